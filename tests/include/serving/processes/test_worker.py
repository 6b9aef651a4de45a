import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.packaging.files import MODEL, write_bundle
from include.stores.serving.settings import ServingSettings
from tests.support.servers.mlflow_server import free_port
from tests.support.serving_bundles import ROOT, bundle, clean_environment, pipeline, rows, split_body, stop, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    result = tmp_path_factory.mktemp("bundle")
    write_bundle(bundle(), result)
    return result


def start(
    folder: Path, port: int, settings: ServingSettings | None = None, **options: Any
) -> "subprocess.Popen[bytes]":
    words = {"bundle": folder, "port": port, "settings": (settings or ServingSettings()).model_dump_json(), **options}
    arguments = [str(word) for name, value in words.items() for word in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-m", "include.serving", *arguments],
        cwd=ROOT,
        env=clean_environment(),
        stderr=subprocess.PIPE,
    )


@contextmanager
def running(folder: Path, settings: ServingSettings | None = None) -> "Iterator[tuple[subprocess.Popen[bytes], int]]":
    port = free_port()
    process = start(folder, port, settings, version=3)
    try:
        wait_until(lambda: process.poll() is not None or status(port, "/ready") == 200, 120)
        yield process, port
    finally:
        stop(process)
        if process.stderr is not None:
            process.stderr.close()


def status(port: int, path: str) -> int | None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def predict(port: int) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/invocations", split_body(rows(2, seed=4)), JSON)
    response = connection.getresponse()
    result = response.status, json.loads(response.read())
    connection.close()
    return result


def test_worker_responds_and_ends_well_on_sigterm(folder: Path) -> None:
    with running(folder) as (process, port):
        expected = pipeline().predict_proba(rows(2, seed=4)).tolist()
        assert predict(port) == (200, {"predictions": expected})
        assert stop(process) == 0


def test_sigterm_drains(folder: Path) -> None:
    """While it drains, what was begun is finished, ``/ready`` says 503, and then the process ends with 0."""
    with running(folder, ServingSettings(notice_seconds=2, drain_seconds=20)) as (process, port):
        body = split_body(rows(2, seed=4))
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        slow.putrequest("POST", "/invocations")
        for name, value in {**JSON, "Content-Length": str(len(body))}.items():
            slow.putheader(name, value)
        slow.endheaders(body[:10])
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: status(port, "/ready") == 503)
        assert predict(port)[0] == 200
        wait_until(lambda: status(port, "/ready") is None)
        assert process.poll() is None
        slow.send(body[10:])
        response = slow.getresponse()
        assert response.status == 200
        assert len(json.loads(response.read())["predictions"]) == 2
        slow.close()
        assert process.wait(timeout=60) == 0


def test_chunked_body_has_a_limit_too(folder: Path) -> None:
    with running(folder, ServingSettings(request_bytes_at_most=2000)) as (_, port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        chunks = (b"x" * 500 for _ in range(20))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request("POST", "/invocations", chunks, JSON, encode_chunked=True)
        response = connection.getresponse()
        assert response.status == 413
        assert json.loads(response.read())["error_code"] == "REQUEST_TOO_LARGE"
        assert response.headers["X-Model-Version"] == "3"
        connection.close()
        assert predict(port)[0] == 200


def test_concurrent_requests_share_calls_of_the_model(folder: Path) -> None:
    with running(folder) as (_, port):
        result: list[int] = []
        threads = [
            threading.Thread(target=lambda: result.extend(predict(port)[0] for _ in range(20))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert result == [200] * 160
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
        connection.close()
        calls = next(float(line.split()[1]) for line in lines if line.startswith("ml_serving_batch_rows_count"))
        assert "ml_serving_rows_total 320.0" in lines
        assert calls < 160


def refused(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    _, message = process.communicate(timeout=120)
    return process.returncode, message.decode()


def test_pickle_in_the_place_of_the_model_is_refused(tmp_path: Path) -> None:
    write_bundle(bundle(), tmp_path)
    (tmp_path / MODEL).write_bytes(b"\x80\x04.")
    code, message = refused(start(tmp_path, 0))
    assert code == os.EX_DATAERR
    assert "model.skops of bundle" in message
    assert "(it is a pickle)" in message
    assert "Traceback" not in message


def test_bundle_of_another_digest_is_refused(folder: Path) -> None:
    code, message = refused(start(folder, 0, digest="sha256:other"))
    assert code == os.EX_DATAERR
    assert "but the bundle should be sha256:other" in message


def test_port_that_is_taken_is_one_sentence(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, message = refused(start(folder, port))
    assert code == os.EX_CONFIG
    assert message == f"Cannot listen on 127.0.0.1:{port}: Address already in use. Choose another --port.\n"
