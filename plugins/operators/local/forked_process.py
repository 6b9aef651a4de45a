"""A step forked by the fork server: the caller's side of the protocol."""

import os
import signal
import socket

from include.contract import settings
from include.contract.fork_protocol import (
    Answer,
    Ended,
    ForkRequest,
    Refused,
    Started,
    answer_from_line,
)
from include.processes import signal_group

ANSWER_SECONDS = 15.0
"""How long the server may take to answer: it may still be importing."""
RECEIVE_BYTES = 4_096


class NotForkedError(Exception):
    """The fork server did not start the step; the text says why, and an ordinary process can."""


class ForkedProcess:
    """A step that the fork server started; its life hangs on the connection."""

    def __init__(self, connection: socket.socket, output: int, pid: int, received: bytearray) -> None:
        self.pid = pid
        self.output = output
        self.watched: int | None = connection.fileno()
        self._connection = connection
        self._received = received
        connection.settimeout(0)

    def exit_code(self) -> int | None:
        """The exit code once nothing of the group is left, negative for a signal; never waits."""
        data = self._receive()
        if b"\n" in self._received:
            answer = answer_from_line(bytes(self._received))
            if isinstance(answer, Ended):
                return answer.exit_code
        if data != b"":
            return None
        # The server died: the kernel killed the step's leader with it, and this is for the rest of the group.
        signal_group(self.pid, signal.SIGKILL)
        return -signal.SIGKILL

    def _receive(self) -> bytes | None:
        """What has come since; None for nothing yet, no bytes for never again."""
        try:
            data = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""
        self._received += data
        return data

    def end(self) -> None:
        """Ask the group to end, and kill it after the grace; at once, and safe in a signal handler."""
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # asked before, or the server is gone

    def close(self) -> None:
        """Give back the file descriptors."""
        os.close(self.output)
        self._connection.close()


def fork_step(path: str | None, request: ForkRequest) -> ForkedProcess:
    """
    Have the fork server start a step.

    :param path: the server's socket, if this installation has one.
    :raises NotForkedError: if it does not.
    """
    if not path:
        raise NotForkedError(f"{settings.FORK_SERVER} is not set")
    output, writing = os.pipe()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    received = bytearray()
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(path)
        _send(connection, request.to_line(), writing)
        answer = _answer(connection, received)
    except (OSError, ValueError) as error:
        connection.close()
        os.close(output)
        raise NotForkedError(f"the fork server at {path} did not answer ({error})") from error
    finally:
        os.close(writing)
    if isinstance(answer, Started):
        return ForkedProcess(connection, output, answer.pid, received)
    connection.close()
    os.close(output)
    reason = answer.reason if isinstance(answer, Refused) else "an answer to another question"
    raise NotForkedError(f"the fork server refused: {reason}")


def _send(connection: socket.socket, line: bytes, writing: int) -> None:
    sent = socket.send_fds(connection, [line], [writing, writing])
    connection.sendall(line[sent:])


def _answer(connection: socket.socket, received: bytearray) -> Answer:
    while b"\n" not in received:
        data = connection.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("it closed the connection")
        received += data
    line, _, rest = received.partition(b"\n")
    received[:] = rest
    return answer_from_line(bytes(line))
