"""Who asks an MLflow server, how, how often, and what becomes of its answers."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, PermanentError, PlatformError, TemporaryError
from include.stores.registry.rest import RegistryServer
from tests.support.servers.mlflow_server import free_port, silent

RUN = "runs/get"


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No user of this machine, and no second try."""
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@contextmanager
def reported(*responses: tuple[int, bytes]) -> Iterator[tuple[str, list[tuple[str, str, str | None]]]]:
    """A server that gives these answers, the last one for good; what it was asked: method, path, Authorization."""
    requested: list[tuple[str, str, str | None]] = []

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            requested.append((self.command, self.path, self.headers.get("Authorization")))
            status, body = responses[min(len(requested), len(responses)) - 1]
            self.send_response(status)
            if status == 302:
                self.send_header("Location", body.decode())
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the parent's name)
            pass

    server = HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", requested
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_a_request_is_a_query_or_a_body() -> None:
    with reported((200, b'{"a": 1}')) as (uri, requested):
        server = RegistryServer(uri, uri)

        assert server.get("look", RUN, run_id="a b", page_token=None) == {"a": 1}
        assert server.search("look", "runs/search", filter="x") == {"a": 1}
        assert server.content("look", "1/a file") == b'{"a": 1}'

    assert requested == [
        ("GET", "/api/2.0/mlflow/runs/get?run_id=a+b", None),
        ("POST", "/api/2.0/mlflow/runs/search", None),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/1/a%20file", None),
    ]


def test_who_asks_is_in_the_address_or_in_mlflow_s_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    with reported((200, b"{}")) as (uri, requested):
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
        RegistryServer(uri, uri).get("look", RUN)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "bob")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "his")
        RegistryServer(uri, uri).get("look", RUN)
        RegistryServer(uri.replace("//", "//ann:her%40own@"), uri).get("look", RUN)

    assert [who for _, _, who in requested] == ["Bearer t0ken", basic("bob", "his"), basic("ann", "her@own")]


def test_a_password_does_not_follow_to_another_server() -> None:
    with reported((200, b"{}")) as (other, requested), reported((302, f"{other}/elsewhere".encode())) as (uri, _):
        RegistryServer(uri.replace("//", "//ann:secret@"), uri).get("look", RUN)

    assert requested == [("GET", "/elsewhere", None)]


@pytest.mark.parametrize("how", ["file", "variable"])
def test_what_only_the_library_knows_is_left_to_it(how: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if how == "file":
        (tmp_path / ".mlflow").mkdir()
        content = "[mlflow]\nmlflow_tracking_username = carl\nmlflow_tracking_password = his\n"
        (tmp_path / ".mlflow" / "credentials").write_text(content)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "carl")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "his")
        monkeypatch.setenv("MLFLOW_TRACKING_INSECURE_TLS", "true")
    with reported((200, b'{"a": 1}'), (404, b'{"error_code": "NOT_FOUND", "message": "no"}')) as (uri, requested):
        server = RegistryServer(uri, uri)

        assert server.search("look", "runs/search", filter="x") == {"a": 1}
        with pytest.raises(DataRejectedError, match="could not look: NOT_FOUND: no It is gone"):
            server.get("look", RUN, run_id="1")

    assert requested == [
        ("POST", "/api/2.0/mlflow/runs/search", basic("carl", "his")),
        ("GET", "/api/2.0/mlflow/runs/get?run_id=1", basic("carl", "his")),
    ]


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}', DataRejectedError),
        (400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}', PermanentError),
        (403, b'{"error_code": "PERMISSION_DENIED", "message": "no"}', ConfigurationError),
        (500, b'{"error_code": "INTERNAL_ERROR", "message": "no"}', TemporaryError),
        (401, b"You are not authenticated.", ConfigurationError),
        (404, b"<html>", DataRejectedError),
        (429, b"slow down", TemporaryError),
        (503, b"", TemporaryError),
        (200, b"<html>hello</html>", TemporaryError),
    ],
)
def test_refusals_are_errors_of_the_tree(status: int, body: bytes, error: type[PlatformError]) -> None:
    with reported((status, body)) as (uri, requested):
        with pytest.raises(PlatformError, match=f"MLflow at {uri} could not read run 7: ") as raised:
            RegistryServer(uri, uri).get("read run 7", RUN)
        assert type(raised.value) is error
        assert len(requested) == 1


def test_a_server_that_is_away_is_retried_as_often_as_mlflow_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
    with reported((503, b""), (502, b""), (200, b'{"a": 1}')) as (uri, requested):
        assert RegistryServer(uri, uri).get("look", RUN) == {"a": 1}
        assert len(requested) == 3


def test_nobody_there_is_temporary() -> None:
    uri = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(TemporaryError, match=f"MLflow at {uri} could not look: .*refused"):
        RegistryServer(uri, uri).get("look", RUN)


def test_a_server_that_takes_the_request_and_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "0.2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "0.5")
    with silent() as (uri, taken):
        with pytest.raises(TemporaryError, match=f"MLflow at {uri} could not look: .*timed out It was tried"):
            RegistryServer(uri, uri).get("look", RUN)
        assert len(taken) > 1
