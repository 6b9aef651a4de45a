"""What tests of ingestion share: a web server with answers to order."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


@dataclass
class WebServer:
    url: str
    body: bytes = b""
    status: int = 200
    promised: int | None = None
    """Length that the answer promises, if not its own."""
    silent: threading.Event = field(default_factory=threading.Event)
    """Set: answer. Cleared: say nothing until it is set."""


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = QuietServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    told = WebServer(url=f"http://127.0.0.1:{server.server_port}")
    told.silent.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.silent.wait(20)
            self.send_response(told.status)
            self.send_header("Content-Length", str(len(told.body) if told.promised is None else told.promised))
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
            """Say nothing."""

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield told
    told.silent.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def orders_csv(tmp_path: Path) -> Path:
    from tests.support.data_steps import HEADER, orders

    path = tmp_path / "orders.csv"
    path.write_text(HEADER + orders())
    return path
