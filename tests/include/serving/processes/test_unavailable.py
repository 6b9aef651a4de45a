import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from include.serving.processes.unavailable import UnavailableServer


def with_server(use: Callable[[UnavailableServer, int], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as public:
            server = UnavailableServer(public)
            await use(server, public.getsockname()[1])
            server.close()

    asyncio.run(main())


async def ask(port: int, request: bytes) -> tuple[bytes, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    head, _, body = (await asyncio.wait_for(reader.read(), 20)).partition(b"\r\n\r\n")
    writer.close()
    return head, json.loads(body) if body else None


REQUESTS = [
    b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /invocations HTTP/1.1\r\nHost: x\r\ncontent-length:  300000 \r\n\r\n" + b"x" * 300_000,
]


@pytest.mark.parametrize("request_bytes", REQUESTS)
def test_every_client_learns_that_no_model_serves(request_bytes: bytes) -> None:
    async def use(server: UnavailableServer, port: int) -> None:
        await server.open("Nothing here.")
        head, body = await ask(port, request_bytes)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        assert body == {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Nothing here."}

    with_server(use)


def test_sentence_can_be_changed_and_the_server_opened_again() -> None:
    async def use(server: UnavailableServer, port: int) -> None:
        for sentence in ("One.", "Two."):
            await server.open(sentence)
            assert (await ask(port, REQUESTS[0]))[1]["message"] == sentence
        server.close()
        server.close()
        await server.open("Three.")
        assert (await ask(port, REQUESTS[0]))[1]["message"] == "Three."

    with_server(use)


def test_client_that_sends_nothing_sensible_is_let_go() -> None:
    async def use(server: UnavailableServer, port: int) -> None:
        await server.open("Nothing here.")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 200_000)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    with_server(use)
