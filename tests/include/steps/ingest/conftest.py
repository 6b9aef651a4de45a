"""What tests of ingestion share: a web server whose responses a test chooses."""

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
    """Length that the response states, if not its own."""
    silent: threading.Event = field(default_factory=threading.Event)
    """Set: respond. Cleared: be silent until it is set."""


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the tests."""


@pytest.fixture
def web() -> Iterator[WebServer]:
    server = QuietServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    state = WebServer(url=f"http://127.0.0.1:{server.server_port}")
    state.silent.set()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.silent.wait(20)
            self.send_response(state.status)
            self.send_header("Content-Length", str(len(state.body) if state.promised is None else state.promised))
            self.end_headers()
            self.wfile.write(state.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name of the base class)
            """Log nothing."""

    server.RequestHandlerClass = Handler
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    state.silent.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def orders_csv(tmp_path: Path) -> Path:
    from tests.support.data_steps import HEADER, orders

    path = tmp_path / "orders.csv"
    path.write_text(HEADER + orders())
    return path
