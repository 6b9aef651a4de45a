"""
A TCP proxy whose connections a test can cut; a process of its own, because clients use it after the last test.

``python -m tests.support.cluster.tcp_proxy 10.0.0.1:0 s3.example.org:443`` prints the port that it listens on, and then
executes the lines of its standard input: ``cut`` resets all connections and refuses new ones, ``join`` accepts them
again. It ends with its standard input. Bytes pass unchanged, so TLS is between client and server.
"""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

CHUNK_BYTES = 1 << 16
OUTAGE_SECONDS = 60.0


@dataclass(frozen=True)
class ProxiedServer:
    """A server behind a running proxy."""

    address: str
    """``host:port`` of the proxy."""
    process: "subprocess.Popen[str]"

    @contextmanager
    def cut(self, seconds: float = OUTAGE_SECONDS) -> Iterator[None]:
        """Make the server unreachable while the block runs, and for ``seconds`` at least."""
        self._command("cut")
        until = time.monotonic() + seconds
        try:
            yield
            time.sleep(max(0.0, until - time.monotonic()))
        finally:
            self._command("join")

    def _command(self, word: str) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{word}\n"


@contextmanager
def opened(host: str, server: str) -> Iterator[ProxiedServer]:
    """
    Run a proxy in front of a server.

    :param host: address of this machine to listen at.
    :param server: ``host:port``.
    """
    words = [sys.executable, "-m", "tests.support.cluster.tcp_proxy", host, server]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield ProxiedServer(f"{host}:{int(process.stdout.readline())}", process)
        finally:
            process.stdin.close()


class Proxy:
    """The proxy itself, in its own process."""

    def __init__(self, host: str, server: str) -> None:
        self._host = host
        self._server = server.rsplit(":", 1)
        self._port = 0
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()

    async def join(self) -> None:
        """Listen, at the same port each time."""
        self._listener = await asyncio.start_server(self._serve, self._host, self._port, reuse_address=True)
        self._port = self._listener.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Refuse new connections and reset those that are open."""
        if self._listener:
            self._listener.close()
        for end in list(self._ends):
            # abort() sends a reset, as a lost server's network does; close() would send what is buffered first.
            end.transport.abort()

    async def obey(self) -> None:
        """Execute commands from standard input until it ends."""
        await self.join()
        _print(str(self._port))
        loop = asyncio.get_running_loop()
        while word := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
            if word == "cut":
                self.cut()
            else:
                await self.join()
            _print(word)
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._ends.add(writer)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(self._server[0], int(self._server[1]))
            self._ends.add(far_writer)
            await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer), return_exceptions=True)
            self._end(far_writer)
        self._end(writer)

    def _end(self, writer: asyncio.StreamWriter) -> None:
        self._ends.discard(writer)
        writer.close()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(CHUNK_BYTES):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


if __name__ == "__main__":
    asyncio.run(Proxy(sys.argv[1], sys.argv[2]).obey())
