"""The response of the public port while no model serves: 503 with a message, so that no client waits in vain."""

import asyncio
import contextlib
import json
import os
import re
import socket

_READ_SECONDS = 5.0
_HEAD_LIMIT_BYTES = 64 * 1024
_BODY_LIMIT_BYTES = 1 << 20
_LENGTH = re.compile(rb"(?i)\r\ncontent-length:\s*(\d{1,12})\s*\r\n")


class UnavailableServer:
    """Accepts from the public socket and responds with 503."""

    def __init__(self, public: socket.socket) -> None:
        self._public = public
        self._server: asyncio.Server | None = None
        self._message = ""

    async def open(self, message: str) -> None:
        """Respond with this message from now on."""
        self._message = message
        if self._server is None:
            # A duplicate: asyncio closes what it was given, and the public socket must stay open for the workers.
            listener = socket.socket(fileno=os.dup(self._public.fileno()))
            self._server = await asyncio.start_server(self._refuse, sock=listener, limit=_HEAD_LIMIT_BYTES)

    def close(self) -> None:
        """Accept no more; open connections still get their response."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _refuse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        failures = (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
        with contextlib.suppress(*failures), contextlib.closing(writer):
            # A client that sends nothing would hold a task for as long as it likes.
            async with asyncio.timeout(_READ_SECONDS):
                # A client that still sends when its connection is closed would lose the response.
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                if length is not None:
                    await reader.readexactly(min(int(length[1]), _BODY_LIMIT_BYTES))
                writer.write(self._response())
                await writer.drain()

    def _response(self) -> bytes:
        body = json.dumps({"error_code": "TEMPORARILY_UNAVAILABLE", "message": self._message}).encode()
        head = (
            "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
            f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body
