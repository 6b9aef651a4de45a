import socket
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.steps.ingest.fetch import fetch
from include.steps.ingest.fetch_http import http_pieces
from include.steps.ingest.location import Location
from tests.include.steps.ingest.conftest import WebServer
from tests.support.data_steps import HEADER, Shop, orders


def test_a_response(web: WebServer) -> None:
    web.body = b"x" * 3_000_000
    file = fetch(Location(f"{web.url}/a.csv"))
    with file.opened() as stream:
        assert stream.read() == web.body
    file.close()


def test_a_source_is_ingested(web: WebServer, tmp_path: Path) -> None:
    web.body = (HEADER + orders(4)).encode()
    shop = Shop(tmp_path, overrides={"location": f"{web.url}/{{partition}}.csv?token=CANARY"})
    receipt = shop.receipt(shop.ingest())
    assert receipt.inputs[0].name == f"{web.url}/2013-03.csv"
    assert len(shop.rows("raw/orders")) == 4


@pytest.mark.parametrize("status", [500, 502, 503, 408, 425, 429])
def test_a_busy_server(web: WebServer, status: int) -> None:
    web.status = status
    with pytest.raises(TemporaryError, match=rf"responded with status {status}: the server cannot serve the file now"):
        list(http_pieces(Location(web.url)))


@pytest.mark.parametrize("status", [404, 410])
def test_a_missing_file(web: WebServer, status: int) -> None:
    web.status = status
    with pytest.raises(DataRejectedError, match=rf"responded with status {status}: no such file"):
        list(http_pieces(Location(web.url)))


@pytest.mark.parametrize("status", [400, 401, 403, 418])
def test_a_refusal(web: WebServer, status: int) -> None:
    web.status = status
    with pytest.raises(ConfigurationError, match=rf"responded with status {status}: the request is refused"):
        list(http_pieces(Location(web.url)))


def test_a_response_that_breaks_off(web: WebServer) -> None:
    web.body, web.promised = b"half", 1000
    with pytest.raises(TemporaryError, match=r"broke off after 4 of 1000 bytes|did not respond"):
        list(http_pieces(Location(web.url)))


def test_a_silent_server(web: WebServer) -> None:
    web.silent.clear()
    with pytest.raises(TemporaryError, match=r"did not respond: .*timed out"):
        list(http_pieces(Location(web.url), silence_seconds=0.2))


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(TemporaryError, match=r"did not respond: .*refused"):
        list(http_pieces(Location(f"http://127.0.0.1:{port}/a.csv")))


@pytest.mark.parametrize("address", ["http:///a.csv", "http://127.0.0.1:port/a.csv"])
def test_an_address_that_is_none(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"names no bucket or server|is not a valid address"):
        list(http_pieces(Location(address)))
