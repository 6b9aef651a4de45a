import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from include.errors import ConfigurationError, PermanentError
from include.stores.http import CA_VARIABLES, BadAddressError, HttpClient, NoResponseError

BIG = b"x" * 3_000_000


class Handler(BaseHTTPRequestHandler):
    """Answers by path, and remembers what it heard."""

    heard: list[tuple[str, str, str | None]]
    elsewhere = ""

    def do_GET(self) -> None:
        self.heard.append((self.command, self.path, self.headers["Authorization"]))
        size = int(self.headers["Content-Length"] or 0)
        body = {"/big": BIG, "/echo": self.rfile.read(size)}.get(self.path, b"found")
        status = {"/no": 404, "/away": 302, "/busy": 503}.get(self.path, 200)
        self.send_response(status)
        if self.path == "/away":
            self.send_header("Location", f"{self.elsewhere}/here")
        self.send_header("X-Who", "The Server")
        self.send_header("Content-Length", str(len(body) + 7 * (self.path == "/half")))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.close_connection = True

    def do_POST(self) -> None:
        self.do_GET()

    do_HEAD = do_PUT = do_POST  # noqa: N815 (the parent's names)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def server(context: ssl.SSLContext | None = None) -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Heard", (Handler,), {"heard": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as result:
        if context is not None:
            result.socket = context.wrap_socket(result.socket, server_side=True)
        thread = threading.Thread(target=result.serve_forever)
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{result.server_port}", handler
        finally:
            result.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", *CA_VARIABLES):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/no", 404), ("/busy", 503)])
def test_any_status_is_a_response(path: str, status: int) -> None:
    with server() as (url, _):
        response = HttpClient().request("GET", url + path)
    assert (response.status, response.content, response.headers["x-who"]) == (status, b"found", "The Server")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_is_sent(method: str) -> None:
    with server() as (url, heard):
        assert HttpClient().request(method, f"{url}/echo", b"body").content == b"body"
    assert heard.heard == [(method, "/echo", None)]


def test_a_head_has_no_content_and_does_not_break_off() -> None:
    with server() as (url, _):
        assert HttpClient().request("HEAD", url).content == b""


def test_a_response_comes_in_pieces() -> None:
    with server() as (url, _), HttpClient().stream("GET", f"{url}/big") as response:
        pieces = list(response.pieces)
    assert b"".join(pieces) == BIG
    assert max(map(len, pieces)) <= 1 << 20


def test_a_response_that_breaks_off_is_no_response() -> None:
    with server() as (url, _), pytest.raises(NoResponseError, match="broke off after 5 of 12 bytes"):
        HttpClient().request("GET", f"{url}/half")


def test_a_response_that_is_too_large_is_refused() -> None:
    with server() as (url, _), pytest.raises(PermanentError, match=r"of 127\.0\.0\.1:\d+ is larger than 1000 bytes"):
        HttpClient(bytes_at_most=1000).request("GET", f"{url}/big")


def test_a_silent_server_is_no_response() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoResponseError, match="timed out"):
        HttpClient(timeout_seconds=0.2).request("GET", f"http://127.0.0.1:{silent.getsockname()[1]}")


def test_nobody_there_is_no_response() -> None:
    with pytest.raises(NoResponseError, match="refused"):
        HttpClient().request("GET", "http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["http://127.0.0.1:port/", "nonsense", "http://127.0.0.1/a b"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(BadAddressError):
        HttpClient().request("GET", url)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/a", "data:,a"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(NoResponseError, match="unknown url type"):
        HttpClient().request("GET", url)


def test_a_redirect_is_followed_without_the_authorization() -> None:
    with server() as (url, first), server() as (elsewhere, second):
        first.elsewhere = elsewhere
        assert HttpClient().request("GET", f"{url}/away", authorization="canary").status == 200
    assert (first.heard, second.heard) == ([("GET", "/away", "canary")], [("GET", "/here", None)])


def test_a_direct_client_follows_neither_redirect_nor_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server() as (url, heard):
        heard.elsewhere = url
        assert HttpClient(is_direct=True).request("GET", f"{url}/away").status == 302
        with pytest.raises(NoResponseError, match="refused"):
            HttpClient().request("GET", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert HttpClient().request("GET", url).status == 200


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of 127.0.0.1 that signs itself, with its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "server.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_a_private_authority_is_trusted_where_a_variable_names_it(
    certificate: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with server(context) as (url, _):
        with pytest.raises(NoResponseError, match="CERTIFICATE_VERIFY_FAILED"):
            HttpClient().request("GET", url)
        monkeypatch.setenv(variable, str(certificate))
        assert HttpClient().request("GET", url).content == b"found"


def test_a_bundle_that_is_not_there_is_a_matter_of_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/ca.pem")
    with pytest.raises(ConfigurationError, match=r"REQUESTS_CA_BUNDLE is \'/nowhere/ca\.pem\', which holds"):
        HttpClient().request("GET", "https://127.0.0.1:1")
