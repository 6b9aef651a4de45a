"""
Serve a model on one machine and change it without losing a request.

``python -m include.serving.processes.supervisor --state DIR --control SOCKET --host 127.0.0.1 --port 8080`` owns the
public port and a control socket (the user's alone), runs one worker process a version, and brings the active version
back when it starts.
Exit code 78: the port or the control socket is taken, or the state is damaged; 0 after SIGTERM.
"""

import argparse
import asyncio
import contextlib
import errno
import fcntl
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError

from include.errors import EXIT_DONE, ConfigurationError, DataRejectedError, PlatformError, foreign
from include.serving.processes.fleet import Fleet, log_event
from include.stores.serving.control import (
    REPLY_LIMIT_BYTES,
    ActivateCommand,
    Command,
    DiscardCommand,
    Reply,
    Request,
    RollbackCommand,
    StartCommand,
    check_socket_path,
)

_BACKLOG = 2048
_PORT_WAIT_SECONDS = 2.0
"""A worker whose supervisor was killed releases the port in this time."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    whole = argparse.ArgumentParser(prog="python -m include.serving.processes.supervisor", description=__doc__)
    whole.add_argument("--state", required=True, type=Path, help="folder of the server's own state")
    whole.add_argument("--control", required=True, type=Path, help="path of the control socket")
    whole.add_argument("--host", default="127.0.0.1", help="public address (default: 127.0.0.1)")
    whole.add_argument("--port", required=True, type=int, help="public port; 0 for any")
    return whole


def main(arguments: Sequence[str]) -> int:
    """Run until SIGTERM; returns the exit code."""
    given = parser().parse_args(arguments)
    try:
        # Lock, port, control socket: only the holder of the lock may remove another's socket file.
        with _locked(given.state), contextlib.closing(_public_socket(given.host, given.port)) as public:
            _remove_stale_socket(given.control)
            try:
                asyncio.run(_run(given.state, given.control, public))
            finally:
                given.control.unlink(missing_ok=True)
    except PlatformError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return EXIT_DONE


async def _run(state: Path, control: Path, public: socket.socket) -> None:
    host, port = public.getsockname()[:2]
    fleet = Fleet(state, public, f"http://{f'[{host}]' if ':' in host else host}:{port}")
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    await fleet.open()
    try:
        # After the fleet is open: a command must not meet a state that is half read.
        server = await _listen(control, fleet)
        log_event("listening", public_url=fleet.status().public_url, control=str(control))
        await ending.wait()
        server.close()
    finally:
        await fleet.close()


def _remove_stale_socket(control: Path) -> None:
    """Remove the socket of a supervisor that ended: the lock on the state folder shows that none is running."""
    check_socket_path(control)
    try:
        control.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        control.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"Cannot make control socket {control}: {foreign(error)}.") from error


async def _listen(control: Path, fleet: Fleet) -> asyncio.Server:
    # By umask: between bind and chmod anybody could connect.
    before = os.umask(0o177)
    try:
        return await asyncio.start_unix_server(
            lambda reader, writer: _handle_connection(fleet, reader, writer), path=control, limit=REPLY_LIMIT_BYTES
        )
    except OSError as error:
        raise ConfigurationError(f"Cannot listen on control socket {control}: {foreign(error)}.") from error
    finally:
        os.umask(before)


async def _handle_connection(fleet: Fleet, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ValueError), contextlib.closing(writer):
        reply = await _reply(fleet, await reader.readline())
        writer.write(reply.model_dump_json().encode() + b"\n")
        await writer.drain()


async def _reply(fleet: Fleet, line: bytes) -> Reply:
    try:
        await _execute(fleet, Request.model_validate_json(line).command)
    except ValidationError as error:
        return Reply(kind="configuration", message=f"The model server does not understand: {foreign(error)}")
    except DataRejectedError as error:
        return Reply(kind="data", message=str(error))
    except ConfigurationError as error:
        return Reply(kind="configuration", message=str(error))
    except PlatformError as error:
        return Reply(kind="temporary", message=str(error))
    return Reply(status=fleet.status())


async def _execute(fleet: Fleet, command: Command) -> None:
    if isinstance(command, StartCommand):
        await fleet.start(command.folder, command.record, command.settings)
    elif isinstance(command, ActivateCommand):
        await fleet.activate(command.record)
    elif isinstance(command, DiscardCommand):
        await fleet.discard(command.record)
    elif isinstance(command, RollbackCommand):
        await fleet.rollback(command.record)


@contextlib.contextmanager
def _locked(state: Path) -> Iterator[None]:
    """Hold the state folder's lock: the kernel releases it when the process ends, however it ends."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "supervisor.lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"Another model server runs on {state}; stop it, or choose another --state."
            raise ConfigurationError(message) from error
        yield


def _reason(error: OSError) -> str:
    """The system's message; Python adds the address, which stands in ours already."""
    return os.strerror(error.errno) if error.errno else foreign(error)


def _public_socket(host: str, port: int) -> socket.socket:
    deadline = time.monotonic() + _PORT_WAIT_SECONDS
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            # No SO_REUSEPORT: a second supervisor must fail here, not share the port.
            return socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                message = f"Cannot listen on {host}:{port}: {_reason(error)}. Free it, or choose another --port."
                raise ConfigurationError(message) from error
        time.sleep(0.1)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
