"""A real MLflow server on loopback, for tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from include.processes import signal_group
from tests.support.servers.in_a_thread import serving

START_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class MlflowServer:
    uri: str
    artifacts: Path


@contextmanager
def running_mlflow(folder: Path) -> Iterator[MlflowServer]:
    artifacts = folder / "artifacts"
    port = free_port()
    server = MlflowServer(uri=f"http://127.0.0.1:{port}", artifacts=artifacts)
    arguments = ["server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(artifacts)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # With one worker and without the job runner the server takes 0.4 GB instead of 1.6 GB.
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *arguments],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(server, process, folder / "server.log")
        yield server
    finally:
        signal_group(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            signal_group(process.pid, signal.SIGKILL)
            process.wait(timeout=10)


@contextmanager
def responding(health: int, *, then: int = 200, body: bytes = b"{}") -> Iterator[str]:
    """A server that is no MLflow: one status for its health, another for everything else."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._respond(health if self.path.endswith("/health") else then)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._respond(then)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the parent's name)
            pass

        def _respond(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as address:
        yield address


@contextmanager
def silent() -> Iterator[tuple[str, list[socket.socket]]]:
    """A server that accepts connections and never responds; its address, and the connections that it accepted."""
    taken: list[socket.socket] = []

    def take() -> None:
        with contextlib.suppress(OSError):
            while True:
                taken.append(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", taken
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for one in taken:
                one.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(server: MlflowServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.uri}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    message = f"MLflow did not start: {log.read_text(errors='replace')[-2000:]}"
    raise RuntimeError(message)
