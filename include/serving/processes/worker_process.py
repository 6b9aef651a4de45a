"""One worker as the supervisor sees it: a process, the commands that it is sent, and its end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from include.errors import DataRejectedError, TemporaryError
from include.stores.serving.settings import ServingSettings

_ROOT = Path(__file__).resolve().parents[3]
_START_SECONDS = 180.0
_REPLY_SECONDS = 10.0
_KILL_SECONDS = 7.0
"""Beyond the worker's own time to drain."""
# The supervisor may have credentials of stores; a process that runs a model's file gets none.
_PASSED_ON = frozenset({"PATH", "HOME", "LANG", "LANGUAGE", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV"})
_PASSED_ON_PREFIXES = ("LC_", "PYTHON", "OMP_", "OPENBLAS_", "MKL_")


class WorkerProcess:
    """A running worker; made by :meth:`start`."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        settings: ServingSettings,
    ) -> None:
        self._process, self._settings = process, settings
        self._reader, self._writer = streams
        self.port = 0

    @classmethod
    async def start(
        cls, public: socket.socket, folder: Path, arguments: Mapping[str, str], settings: ServingSettings
    ) -> "WorkerProcess":
        """
        Start a worker and wait until it has loaded its model.

        :param public: the public socket; the worker accepts from it once it is activated.
        :param arguments: further options of ``python -m include.serving``: digest and version.
        :raises DataRejectedError: if the worker refuses its bundle; the message states why.
        :raises TemporaryError: if it ends, or does not reply in time.
        """
        # The kernel closes it with either process, however that ends, and the other one reads the end of file.
        ours, theirs = socket.socketpair()
        options = {
            "bundle": str(folder),
            "port": "0",
            "settings": settings.model_dump_json(),
            "public-socket": str(public.fileno()),
            "control-socket": str(theirs.fileno()),
            **arguments,
        }
        command = [word for name, value in options.items() for word in (f"--{name}", value)]
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "include.serving", *command),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=_ROOT,
                env=_environment(),
                # Python closes all other descriptors in the child.
                pass_fds=(public.fileno(), theirs.fileno()),
            )
        worker = cls(process, await asyncio.open_unix_connection(sock=ours), settings)
        try:
            await worker._wait_until_ready()
        # CancelledError as well: a start that is cancelled must leave no process.
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.returncode is None

    @property
    def url(self) -> str:
        """Its private address."""
        return f"http://127.0.0.1:{self.port}"

    async def activate(self) -> None:
        """Let it accept from the public socket."""
        await self._send_command("activate")

    async def deactivate(self) -> None:
        """Let it accept from the public socket no more."""
        await self._send_command("deactivate")

    async def ended(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return await self._process.wait()

    async def stop(self) -> None:
        """Let it finish what it has, then end it, by force if need be."""
        # The worker takes this as the request to shut down, even if SIGTERM is lost.
        self._writer.close()
        if self.is_running:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)
            limit_seconds = self._settings.notice_seconds + self._settings.drain_seconds + _KILL_SECONDS
            try:
                await asyncio.wait_for(self._process.wait(), limit_seconds)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()

    async def _wait_until_ready(self) -> None:
        message = await self._receive(_START_SECONDS)
        if message["event"] == "refused":
            raise DataRejectedError(str(message["message"]))
        self.port = int(message["port"])

    async def _send_command(self, command: str) -> None:
        try:
            self._writer.write(json.dumps({"command": command}).encode() + b"\n")
            await self._writer.drain()
        except ConnectionError as error:
            raise TemporaryError(f"The worker with process id {self.pid} has ended.") from error
        await self._receive(_REPLY_SECONDS)

    async def _receive(self, timeout_seconds: float) -> dict[str, Any]:
        try:
            async with asyncio.timeout(timeout_seconds):
                line = await self._reader.readline()
        except (TimeoutError, ConnectionError) as error:
            message = f"The worker with process id {self.pid} did not reply within {timeout_seconds:g} s."
            raise TemporaryError(message) from error
        if not line:
            code = await self._process.wait()
            raise TemporaryError(f"The worker with process id {self.pid} ended with code {code}; see its lines above.")
        received: dict[str, Any] = json.loads(line)
        return received


def _environment() -> dict[str, str]:
    """Variables that a worker needs; credentials of the platform are not among them."""
    known = (name for name in os.environ if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES))
    return {name: os.environ[name] for name in known}
