"""A step forked by the fork server: the caller's side of the protocol."""

import os
import signal
import socket

from include.contract import settings
from include.contract.fork_protocol import (
    Ended,
    ForkRequest,
    Refused,
    Response,
    Started,
    response_from_line,
)
from include.processes import signal_group

RESPONSE_SECONDS = 15.0
"""How long the server may take to respond; it imports all data libraries first, 4 s on a quiet machine (ADR 4)."""
RECEIVE_BYTES = 4_096


class NotForkedError(Exception):
    """The fork server did not start the step; the message gives the reason. The caller starts an ordinary process."""


class ForkedProcess:
    """A step that the fork server started. The server ends the step's group when this connection closes."""

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
            response = response_from_line(bytes(self._received))
            if isinstance(response, Ended):
                return response.exit_code
        if data != b"":
            return None
        # The server died. The kernel kills only its children, the leaders of groups; what they started is ended here.
        signal_group(self.pid, signal.SIGKILL)
        return -signal.SIGKILL

    def _receive(self) -> bytes | None:
        """The bytes that arrived; None if there are none yet; empty if the server closed the connection."""
        try:
            data = self._connection.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""
        self._received += data
        return data

    def end(self) -> None:
        """Have the server end the group, and kill it after the grace; returns at once, safe in a signal handler."""
        # Half-closed, not closed: the exit code still has to come the other way.
        try:
            self._connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # called before, or the server is gone

    def close(self) -> None:
        """Close the file descriptors."""
        os.close(self.output)
        self._connection.close()


def fork_step(path: str | None, request: ForkRequest) -> ForkedProcess:
    """
    Have the fork server start a step.

    :param path: the server's Unix socket; empty or None if this installation has none.
    :raises NotForkedError: if there is no server, it does not respond, or it refuses.
    """
    if not path:
        raise NotForkedError(f"{settings.FORK_SERVER} is not set")
    output, writing = os.pipe()
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    received = bytearray()
    try:
        connection.settimeout(RESPONSE_SECONDS)
        connection.connect(path)
        _send(connection, request.to_line(), writing)
        response = _response(connection, received)
    except (OSError, ValueError) as error:
        connection.close()
        os.close(output)
        raise NotForkedError(f"the fork server at {path} did not respond ({error})") from error
    finally:
        # Else this process would hold the pipe open, and its reading end would never come to an end.
        os.close(writing)
    if isinstance(response, Started):
        return ForkedProcess(connection, output, response.pid, received)
    connection.close()
    os.close(output)
    reason = response.reason if isinstance(response, Refused) else "its response does not fit the request"
    raise NotForkedError(f"the fork server refused: {reason}")


def _send(connection: socket.socket, line: bytes, writing: int) -> None:
    # Descriptors travel with the first bytes only, and sendmsg may take less than the whole line: the rest follows.
    sent = socket.send_fds(connection, [line], [writing, writing])
    connection.sendall(line[sent:])


def _response(connection: socket.socket, received: bytearray) -> Response:
    while b"\n" not in received:
        data = connection.recv(RECEIVE_BYTES)
        if not data:
            raise ConnectionError("it closed the connection")
        received += data
    line, _, rest = received.partition(b"\n")
    received[:] = rest
    return response_from_line(bytes(line))
