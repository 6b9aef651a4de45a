import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from include.errors import ConfigurationError, DataRejectedError, TemporaryError
from include.stores.serving.control import ModelRecord, Reply, ServingStatus, StatusCommand, send

STATUS = ServingStatus(public_url="http://127.0.0.1:1")


@contextmanager
def answering(path: Path, line: bytes) -> Iterator[None]:
    """A server that says one line to whoever asks first."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def response() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(line)

        thread = threading.Thread(target=response)
        thread.start()
        yield
        thread.join()


def requested(path: Path, line: bytes) -> ServingStatus:
    with answering(path, line):
        return send(path, StatusCommand(), timeout_seconds=5)


def test_status_comes_back(tmp_path: Path) -> None:
    assert requested(tmp_path / "s", Reply(status=STATUS).model_dump_json().encode() + b"\n") == STATUS


@pytest.mark.parametrize(
    ("kind", "error"),
    [("data", DataRejectedError), ("configuration", ConfigurationError), ("temporary", TemporaryError)],
)
def test_refusal_is_an_error_of_its_kind(tmp_path: Path, kind: str, error: type[Exception]) -> None:
    reply = Reply.model_validate({"kind": kind, "message": "Because."})
    with pytest.raises(error, match=r"^Because\.$"):
        requested(tmp_path / "s", reply.model_dump_json().encode() + b"\n")


@pytest.mark.parametrize("line", [b"", b"what?\n", b'{"more": 1}\n'])
def test_response_that_is_none_is_temporary(tmp_path: Path, line: bytes) -> None:
    with pytest.raises(TemporaryError, match="answered"):
        requested(tmp_path / "s", line)


def test_server_that_is_not_there_is_temporary_and_states_where(tmp_path: Path) -> None:
    with pytest.raises(TemporaryError, match=f"does not answer at {tmp_path}/s"):
        send(tmp_path / "s", StatusCommand(), timeout_seconds=1)


def test_server_that_is_silent_is_temporary(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(TemporaryError, match="timed out"):
            send(tmp_path / "s", StatusCommand(), timeout_seconds=0.05)


def test_path_that_no_socket_can_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="bytes long, at most 107"):
        send(Path(f"/{'x' * 120}{os.sep}s"), StatusCommand(), timeout_seconds=1)


def test_same_version_is_recognised_by_everything_but_its_address() -> None:
    record = ModelRecord(project="p", model="m", version=1, digest="d")
    assert record.is_same(record.model_copy(update={"url": "http://127.0.0.1:2"}))
    assert not record.is_same(record.model_copy(update={"version": 2}))
    assert not record.is_same(None)
