"""
An S3 server on loopback, for tests: moto, one request at a time, with faults to order.

Moto looks for an object and then writes it; the lock makes its conditional put as atomic as the one of S3. It is a
process of its own, because a client written in Rust may hold Python's lock while it waits for a response.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from include.processes import signal_group

START_TIMEOUT_SECONDS = 120
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "AKIAPLANTEDCANARY00",
    "AWS_SECRET_ACCESS_KEY": "planted/canary/secret/key",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
BUCKET = "platform"
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate</Message></Error>"
_CONFLICT = b"<?xml version='1.0'?><Error><Code>ConditionalRequestConflict</Code><Message>Again</Message></Error>"
_DENIED = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>No</Message></Error>"
_RESPONSES = {
    "slow_down": ("503 Slow Down", _SLOW_DOWN),
    "conflict": ("409 Conflict", _CONFLICT),
    "denied": ("403 Forbidden", _DENIED),
}
_DONE_ALL_THE_SAME = {"lost": "slow_down", "own_conflict": "conflict"}


@dataclass(frozen=True)
class Fault:
    """What happens to requests instead of, or after, what should."""

    kind: str
    """
    ``slow_down``, ``conflict``, ``denied``; ``hang``: no response for 30 s; ``lost`` and ``own_conflict``: done, but
    the response is 503 or 409.
    """
    method: str = ""
    path: str = ""
    """A part of the path; empty for any."""
    times: int = 1_000_000


@dataclass(frozen=True)
class S3Server:
    endpoint: str

    @property
    def environment(self) -> dict[str, str]:
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": self.endpoint}

    def break_with(self, *faults: Fault) -> None:
        body = json.dumps([asdict(fault) for fault in faults]).encode()
        request = urllib.request.Request(f"{self.endpoint}/test-faults", data=body, method="POST")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def heal(self) -> None:
        self.break_with()

    def requests(self) -> list[str]:
        """Requests since the faults were last ordered, as ``PUT /platform/key``."""
        with urllib.request.urlopen(f"{self.endpoint}/test-requests", timeout=10) as response:
            lines: list[str] = json.loads(response.read())
        return lines


@contextmanager
def running_s3(folder: Path) -> Iterator[S3Server]:
    """A server with one empty bucket."""
    ready = folder / "s3-server.json"
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.support.servers.s3_server", str(ready)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, **CREDENTIALS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not ready.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        server = S3Server(endpoint=json.loads(ready.read_text())["endpoint"])
        with urllib.request.urlopen(urllib.request.Request(f"{server.endpoint}/{BUCKET}", method="PUT"), timeout=60):
            pass
        yield server
    finally:
        signal_group(process.pid, signal.SIGKILL)
        process.wait(timeout=10)


Start = Callable[..., Any]
App = Callable[[dict[str, Any], Start], Iterable[bytes]]


class FaultyApp:
    def __init__(self, app: App) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._faults: list[dict[str, Any]] = []
        self._requests: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if path == "/test-faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._requests = []
            return _respond(start, "200 OK", b"")
        if path == "/test-requests":
            return _respond(start, "200 OK", json.dumps(self._requests).encode())
        with self._lock:
            self._requests.append(f"{method} {path}")
            kind = self._kind(method, path)
            if kind in {"", *_DONE_ALL_THE_SAME}:
                response = list(self._app(environ, start if not kind else _silent))
                return response if not kind else _respond(start, *_RESPONSES[_DONE_ALL_THE_SAME[kind]])
        if kind == "hang":
            time.sleep(30)
            return _respond(start, "200 OK", b"")
        # An unread body would be taken for the next request of a kept connection.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return _respond(start, *_RESPONSES[kind])

    def _kind(self, method: str, path: str) -> str:
        for fault in self._faults:
            if fault["times"] > 0 and fault["method"] in {"", method} and fault["path"] in path:
                fault["times"] -= 1
                return str(fault["kind"])
        return ""


def _silent(_status: str, _headers: object, _error: object = None) -> Callable[[bytes], None]:
    return lambda _data: None


def _respond(start: Start, status: str, body: bytes) -> Iterable[bytes]:
    headers: Mapping[str, str] = {"Content-Type": "application/xml", "Content-Length": str(len(body))}
    start(status, list(headers.items()))
    return [body]


def serve(ready: Path) -> None:
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
    from werkzeug.serving import make_server

    app = FaultyApp(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler)
    partial = ready.with_suffix(".partial")
    partial.write_text(json.dumps({"endpoint": f"http://127.0.0.1:{server.server_port}"}))
    # Whoever waits for the file must not read half of it.
    partial.rename(ready)
    server.serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
