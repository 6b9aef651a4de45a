import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.contract.fork_protocol import Ended, ForkRequest, Refused, Response, Started, response_to_line
from plugins.operators.local import forked_process
from plugins.operators.local.forked_process import NotForkedError, fork_step

REQUEST = ForkRequest(arguments=("ingest",), environment={}, folder="/bundle", grace_seconds=1.0)
NO_PROCESS = 2**22 + 1


class Server:
    """The other side of the protocol, as far as one connection needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.responses: list[Response] = []
        self.request: ForkRequest | None = None

        self.connection: socket.socket | None = None
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()

    def serve(self) -> None:
        connection, _ = self._listener.accept()
        data, descriptors, _, _ = socket.recv_fds(connection, 65536, 2)
        self.request = ForkRequest.from_line(data)
        os.write(descriptors[0], b"out ")
        os.write(descriptors[1], b"err")
        for descriptor in descriptors:
            os.close(descriptor)
        connection.sendall(b"".join(response_to_line(one) for one in self.responses))
        self.connection = connection

    def close(self) -> None:
        self._listener.close()
        if self.connection:
            self.connection.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "fork.sock")
    yield server
    server.close()


def fork(server: Server, *responses: Response) -> forked_process.ForkedProcess:
    server.responses = list(responses)
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        return fork_step(str(server.path), REQUEST)
    finally:
        thread.join()


def test_a_started_step_is_followed_to_its_end(server: Server) -> None:
    process = fork(server, Started(NO_PROCESS), Ended(65))
    assert server.request == REQUEST
    assert process.pid == NO_PROCESS
    assert os.read(process.output, 100) == b"out err"
    assert process.exit_code() == 65
    process.close()


def test_before_the_end_there_is_no_exit_code(server: Server) -> None:
    process = fork(server, Started(NO_PROCESS))
    assert process.exit_code() is None
    assert server.connection
    server.connection.sendall(response_to_line(Ended(-15)))
    assert process.exit_code() == -15
    process.close()


def test_ending_closes_the_callers_side_and_may_be_called_twice(server: Server) -> None:
    process = fork(server, Started(NO_PROCESS))
    process.end()
    process.end()
    assert server.connection
    assert server.connection.recv(1) == b""
    process.close()
    process.end()


def test_a_server_that_died_took_the_step_along(server: Server) -> None:
    process = fork(server, Started(NO_PROCESS))
    assert server.connection
    server.connection.close()
    assert process.exit_code() == -signal.SIGKILL
    process.close()


def test_a_refusal_gives_the_reason(server: Server) -> None:
    with pytest.raises(NotForkedError, match="the fork server refused: stale"):
        fork(server, Refused("stale"))


def test_a_response_that_does_not_fit_the_request_is_an_error(server: Server) -> None:
    with pytest.raises(NotForkedError, match="its response does not fit the request"):
        fork(server, Ended(0))


def test_no_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotForkedError, match="ML_FORK_SERVER is not set"):
        fork_step(None, REQUEST)
    with pytest.raises(NotForkedError, match=r"nobody\.sock did not respond"):
        fork_step(str(tmp_path / "nobody.sock"), REQUEST)


def test_a_server_that_hangs_is_not_waited_for(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forked_process, "RESPONSE_SECONDS", 0.1)
    with pytest.raises(NotForkedError, match="did not respond"):
        fork_step(str(server.path), REQUEST)
