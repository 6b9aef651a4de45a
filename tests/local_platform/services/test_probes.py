import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from local_platform.services.probes import has_heartbeat, listens, responds
from tests.support.servers.in_a_thread import serving


class Health(BaseHTTPRequestHandler):
    """Reports that every component sent its last heartbeat at noon."""

    def do_GET(self) -> None:
        beat = "2026-01-01T12:00:00+00:00"
        text = json.dumps({"scheduler": {"latest_scheduler_heartbeat": beat}}).encode()
        self.send_response(404 if self.path == "/missing" else 200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with serving(Health) as address:
        yield address


def test_a_sign_of_life_of_an_earlier_start_does_not_count(url: str) -> None:
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC).timestamp()
    assert has_heartbeat(url, "scheduler", noon - 1)
    assert not has_heartbeat(url, "scheduler", noon + 1)
    assert not has_heartbeat(url, "dag_processor", noon - 1)


def test_only_a_response_of_success_counts(url: str) -> None:
    assert responds(f"{url}/health")
    assert not responds(f"{url}/missing")
    assert not responds("http://127.0.0.1:9/health")


def test_a_file_is_no_socket_that_listens(tmp_path: Path) -> None:
    path = tmp_path / "some.sock"
    assert not listens(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert not listens(path)
        listener.listen()
        assert listens(path)
