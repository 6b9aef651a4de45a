import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.model_files import GOLDEN, Golden, GoldenTable, largest_difference, seal_bundle
from include.stores.serving import LocalServing, ServingStore, open_serving, record_of
from include.stores.serving_memory import MemoryServing
from include.stores.serving_settings import ServingSettings
from tests.serving_bundles import bundle, running_supervisor

SETTINGS = ServingSettings(drain_seconds=2)


@pytest.fixture(params=["memory", "local"])
def serving(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ServingStore]:
    if request.param == "memory":
        yield MemoryServing()
        return
    with running_supervisor(tmp_path / "state", tmp_path / "c.sock") as server:
        yield LocalServing(server.control)


def test_life_of_versions(serving: ServingStore) -> None:
    one, two = bundle(1), bundle(2)
    assert serving.status().active is None
    first = serving.start(one, 1, SETTINGS)
    golden = one.golden()
    answer = serving.answer(first.url or "", golden.rows)
    assert largest_difference(golden.predictions, answer.predictions) <= 1e-12
    assert (answer.version, answer.digest) == ("1", one.digest)
    with pytest.raises(TemporaryError, match=r"does not answer|answers 503"):
        serving.answer(serving.status().public_url, golden.rows)

    status = serving.activate(record_of(one, 1))
    assert status.active is not None
    assert status.active.is_same(record_of(one, 1))
    assert serving.answer(status.public_url, golden.rows).version == "1"
    assert serving.activate(record_of(one, 1)).active == status.active

    serving.start(two, 2, SETTINGS)
    assert serving.answer(status.public_url, golden.rows).version == "1"
    serving.discard(record_of(two, 2))
    assert serving.status().candidate is None
    with pytest.raises(TemporaryError, match="was not started"):
        serving.activate(record_of(two, 2))

    serving.start(two, 2, SETTINGS)
    status = serving.activate(record_of(two, 2))
    assert status.previous is not None
    assert status.previous.is_same(record_of(one, 1))
    assert serving.answer(status.public_url, golden.rows).digest == two.digest

    with pytest.raises(TemporaryError, match="is not the active one; nothing was changed"):
        serving.rollback(record_of(one, 1))
    status = serving.rollback(record_of(two, 2))
    assert status.active is not None
    assert status.active.is_same(record_of(one, 1))
    assert status.previous is None
    assert serving.answer(status.public_url, golden.rows).version == "1"
    with pytest.raises(DataRejectedError, match=r"unknown column 'x'|Unknown column 'x'"):
        serving.answer(status.public_url, GoldenTable(columns=["x"], data=[[1]]))
    assert serving.rollback(record_of(one, 1)).active is None


def test_bundle_that_contradicts_itself_never_becomes_a_candidate(serving: ServingStore) -> None:
    good = bundle()
    golden = good.golden()
    content = Golden(rows=golden.rows, predictions=[[0.5, 0.5]] * len(golden.predictions)).content()
    bad = seal_bundle(good.manifest.model_dump(exclude={"files"}), {**good.contents, GOLDEN: content})
    with pytest.raises(DataRejectedError, match="differently than it did in training"):
        serving.start(bad, 1, SETTINGS)
    assert serving.status().candidate is None


@pytest.mark.parametrize("uri", ["", "http://127.0.0.1:80", "unix://host/path", "unix:relative", "/path"])
def test_address_that_is_no_control_socket_is_refused(uri: str) -> None:
    with pytest.raises(ConfigurationError, match=r"ML_SERVING_URI is .*unix:///path"):
        open_serving(uri)


def test_address_may_hold_escaped_characters() -> None:
    assert open_serving("unix:///tmp/a%20b/c.sock") == LocalServing(Path("/tmp/a b/c.sock"))


def test_server_that_is_not_running_is_temporary(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match="Is it running"):
        LocalServing(tmp_path / "none").status()


@contextmanager
def http_server(status: int, body: bytes) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
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


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (400, b'{"message": "no"}', DataRejectedError, "answers 400"),
        (503, b"later", TemporaryError, "answers 503: later"),
        (200, b"<html>", TemporaryError, "answers no predictions"),
        (200, b"[]", TemporaryError, "answers no predictions"),
    ],
)
def test_answers_that_are_none(status: int, body: bytes, error: type[Exception], message: str) -> None:
    with http_server(status, body) as url, pytest.raises(error, match=message):
        LocalServing(Path("/none")).answer(url, GoldenTable(columns=["a"], data=[[1]]))


def test_address_where_nobody_listens_is_temporary() -> None:
    with pytest.raises(TemporaryError, match=r"does not answer at http://127.0.0.1:1"):
        LocalServing(Path("/none")).answer("http://127.0.0.1:1", GoldenTable(columns=["a"], data=[[1]]))
