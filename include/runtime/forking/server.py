"""
The fork server: ``python -m include.runtime.forking.server --socket PATH``.

A warm parent that has imported the data libraries and all steps, and forks one process a step, each the leader of its
own session and process group. It has one thread, touches no data, listens on a Unix socket that only its own user may
use. A step lives no longer than the connection that requested it: when the caller closes it or dies, the server ends
the step's group. When the server dies, the kernel kills the children. It never runs stale code: once a file that it
imported has changed, it starts no further child, and begins anew when the last one has ended.
"""

import argparse
import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from include.contract.fork_protocol import (
    DESCRIPTORS,
    MESSAGE_BYTES_AT_MOST,
    Ended,
    ForkRequest,
    Refused,
    Response,
    Started,
    response_to_line,
)
from include.errors import ConfigurationError, PlatformError
from include.processes import become_subreaper, group_exists, signal_group
from include.runtime.events import EventLog
from include.runtime.forking.child import CAUGHT, become_step
from include.runtime.forking.socket import listen, user_of
from include.runtime.forking.warmup import ROOT, ImportedCode, native_thread_pools, thread_count, warm_up

POLL_SECONDS = 0.02
"""How often to look whether a group that got SIGTERM has ended."""
RECEIVE_BYTES = 65_536
TIDY_SECONDS = 1.0
"""How long processes that a finished step left behind may take to end after SIGTERM."""


@dataclass(eq=False)
class Client:
    """One connection: at first a request in pieces, then a step."""

    connection: socket.socket
    received: bytearray = field(default_factory=bytearray)
    descriptors: list[int] = field(default_factory=list)
    pid: int = 0
    grace_seconds: float = 0.0
    exit_code: int | None = None
    kill_at: float | None = None
    """When the group is killed, in monotonic seconds; None before it got SIGTERM."""


class ForkServer:
    """Accepts requests, forks, watches, ends groups; one thread, one selector."""

    def __init__(self, listener: socket.socket, code: ImportedCode, events: EventLog) -> None:
        self._listener = listener
        self._code = code
        self._events = events
        self._selector = selectors.EpollSelector()
        self._own_descriptors: set[int] = set()
        self._clients: set[Client] = set()
        self._is_shutting_down = False
        self._is_stale = False
        self._threads = native_thread_pools()

    def serve(self) -> bool:
        """
        Serve until SIGTERM, or until the code is stale and no child is left.

        :return: whether to begin anew with the changed code.
        """
        wakeup = self._catch_signals()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(wakeup, selectors.EVENT_READ)
        while not (self._is_done() and (self._is_shutting_down or self._is_stale)):
            for key, _ in self._selector.select(self._timeout()):
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj == wakeup:
                    os.read(wakeup, 4096)
                elif isinstance(key.data, Client):
                    self._receive(key.data)
            self._reap()
            self._end_overdue()
        for client in list(self._clients):
            self._refuse(client, "the server is about to end, or to begin anew with changed code")
        self._selector.close()
        return self._is_stale and not self._is_shutting_down

    def _is_done(self) -> bool:
        return not any(client.pid for client in self._clients)

    def _timeout(self) -> float | None:
        return POLL_SECONDS if any(client.kill_at is not None for client in self._clients) else None

    def _catch_signals(self) -> int:
        receiving, sending = os.pipe()
        os.set_blocking(receiving, False)
        os.set_blocking(sending, False)
        signal.set_wakeup_fd(sending, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        self._own_descriptors = {receiving, sending, self._listener.fileno(), self._selector.fileno()}
        return receiving

    def _stop(self, *_: object) -> None:
        self._is_shutting_down = True
        for client in self._clients:
            self._tell_to_end(client)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        if user_of(connection) != os.getuid():
            connection.close()
            return
        client = Client(connection)
        self._clients.add(client)
        self._selector.register(connection, selectors.EVENT_READ, client)

    def _receive(self, client: Client) -> None:
        try:
            data, descriptors, _, _ = socket.recv_fds(client.connection, RECEIVE_BYTES, DESCRIPTORS)
        except ConnectionError:
            data, descriptors = b"", []
        client.descriptors += descriptors
        if not data:
            self._caller_left(client)
            return
        if client.pid:
            return  # the protocol has one request a connection
        client.received += data
        if b"\n" in client.received:
            self._start(client, bytes(client.received))
        elif len(client.received) > MESSAGE_BYTES_AT_MOST:
            self._refuse(client, f"the request has more than {MESSAGE_BYTES_AT_MOST} bytes")

    def _caller_left(self, client: Client) -> None:
        # From now on the connection would always be readable.
        self._selector.unregister(client.connection)
        if client.pid:
            self._tell_to_end(client)
        else:
            self._forget(client)

    def _start(self, client: Client, line: bytes) -> None:
        try:
            request = ForkRequest.from_line(line)
        except ValueError as error:
            self._refuse(client, str(error))
            return
        reason = self._reason_against(client, request)
        if reason:
            self._refuse(client, reason)
            return
        client.grace_seconds = request.grace_seconds
        client.pid = self._fork(client, request)
        self._close_descriptors(client)
        self._send(client, Started(client.pid))

    def _reason_against(self, client: Client, request: ForkRequest) -> str:
        if len(client.descriptors) != DESCRIPTORS:
            return f"{len(client.descriptors)} file descriptors came with the request, not {DESCRIPTORS}"
        if Path(request.folder).resolve() != ROOT.parent:
            return f"the server runs the code of {ROOT.parent}, and the step asks for that of {request.folder}"
        changed = self._code.changed()
        if changed:
            self._is_stale = True
            more = f" and {len(changed) - 1} more files" if len(changed) > 1 else ""
            return f"{changed[0]}{more} changed since the server imported it; it begins anew"
        return (
            "the server is about to end, or to begin anew with changed code"
            if self._is_shutting_down or self._is_stale
            else ""
        )

    def _fork(self, client: Client, request: ForkRequest) -> int:
        output = (client.descriptors[0], client.descriptors[1])
        inherited = {one for other in self._clients for one in (other.connection.fileno(), *other.descriptors)}
        server = os.getpid()
        # Held back until the child has default handlers: a signal in between would be lost.
        signal.pthread_sigmask(signal.SIG_BLOCK, CAUGHT)
        pid = os.fork()
        if pid == 0:
            become_step(
                request,
                output,
                server_pid=server,
                inherited=(inherited - set(output)) | self._own_descriptors,
                threads=self._threads,
            )
        signal.pthread_sigmask(signal.SIG_UNBLOCK, CAUGHT)
        return pid

    def _reap(self) -> None:
        by_pid = {client.pid: client for client in self._clients if client.pid}
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                client = by_pid.get(pid)
                if client is not None:
                    client.exit_code = os.waitstatus_to_exitcode(status)
                    self._tell_to_end(client, within_seconds=TIDY_SECONDS)

    def _tell_to_end(self, client: Client, within_seconds: float | None = None) -> None:
        """Send SIGTERM to what is left of a step's group, and set the time at which it is killed."""
        if not client.pid:
            return
        _signal_group(client.pid, signal.SIGTERM, is_reaped=client.exit_code is not None)
        wait = client.grace_seconds if within_seconds is None else within_seconds
        if client.kill_at is None or client.exit_code is not None:
            client.kill_at = time.monotonic() + wait

    def _end_overdue(self) -> None:
        for client in [client for client in self._clients if client.kill_at is not None]:
            is_reaped = client.exit_code is not None
            if is_reaped and not group_exists(client.pid):
                self._send(client, Ended(client.exit_code if client.exit_code is not None else 0))
                self._forget(client)
            elif client.kill_at is not None and time.monotonic() >= client.kill_at:
                _signal_group(client.pid, signal.SIGKILL, is_reaped=is_reaped)

    def _refuse(self, client: Client, reason: str) -> None:
        self._events.warn("a step was refused", reason=reason)
        self._send(client, Refused(reason))
        self._forget(client)

    def _send(self, client: Client, response: Response) -> None:
        with contextlib.suppress(OSError):  # a caller that is gone needs no response
            client.connection.sendall(response_to_line(response))

    def _forget(self, client: Client) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(client.connection)
        self._close_descriptors(client)
        client.connection.close()
        self._clients.discard(client)

    def _close_descriptors(self, client: Client) -> None:
        for descriptor in client.descriptors:
            os.close(descriptor)
        client.descriptors.clear()


def _signal_group(pid: int, number: signal.Signals, *, is_reaped: bool) -> None:
    if not signal_group(pid, number) and not is_reaped:
        # Forked, but not yet the leader of its group.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def begin_anew(path: Path, listener: socket.socket) -> NoReturn:
    """Become a server with the changed code; callers that connect meanwhile wait in the listener's queue."""
    os.set_inheritable(listener.fileno(), True)  # noqa: FBT003 (it takes no keyword)
    words = ["-m", "include.runtime.forking.server", "--socket", str(path), "--listener", str(listener.fileno())]
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606


def main(arguments: Sequence[str]) -> int:
    """Warm up, then serve until SIGTERM; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m include.runtime.forking.server")
    parser.add_argument("--socket", required=True, type=Path, help="path of the Unix socket to listen on")
    parser.add_argument("--listener", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    events = EventLog(fields={"step": "fork server"})
    try:
        return _run(given.socket.resolve(), given.listener, events)
    except PlatformError as error:
        events.error("failed", message=str(error))
        return error.exit_code


def _run(path: Path, inherited: int | None, events: EventLog) -> int:
    if sys.platform != "linux":
        raise ConfigurationError("Forking a process that has loaded native libraries is safe on Linux only.")
    began, code = time.monotonic(), ImportedCode()
    listener = socket.socket(fileno=inherited) if inherited is not None else listen(path)
    become_subreaper()
    for failure in warm_up():
        events.warn("not imported", module=failure)
    events.emit("ready", socket=str(path), seconds=round(time.monotonic() - began, 1), threads=thread_count())
    if ForkServer(listener, code, events).serve():
        events.emit("beginning anew with changed code")
        begin_anew(path, listener)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
