import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from include.errors import DataRejectedError, TemporaryError
from include.packaging.files import GoldenTable
from include.stores.serving.http import post_directly, request_directly, request_predictions

ROWS = GoldenTable(columns=["a"], data=[[1]])


@contextmanager
def http_server(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("X-Model-Version", "7")
            self.send_header("X-Model-Digest", "sha256:7")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_response_names_the_model_that_gave_it() -> None:
    with http_server(200, b'{"predictions": [0.5]}') as url:
        response = request_predictions(url, ROWS, post_directly)
    assert (response.predictions, response.version, response.digest) == ([0.5], "7", "sha256:7")


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (400, b'{"message": "no"}', DataRejectedError, "answers 400"),
        (503, b"later", TemporaryError, "answers 503: later"),
        (200, b"<html>", TemporaryError, "answers no predictions"),
        (200, b"[]", TemporaryError, "answers no predictions"),
    ],
)
def test_responses_that_are_none(status: int, body: bytes, error: type[Exception], message: str) -> None:
    with http_server(status, body) as url, pytest.raises(error, match=message):
        request_predictions(url, ROWS, post_directly)


def test_address_where_nobody_listens_is_temporary() -> None:
    with pytest.raises(TemporaryError, match=r"does not answer at http://127.0.0.1:1: "):
        request_predictions("http://127.0.0.1:1", ROWS, post_directly)
    with pytest.raises(TemporaryError, match="does not answer"):
        request_directly("GET", "http://127.0.0.1:1/health")
