import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from include.serving.processes.draining import ClosedSign


def with_sign(use: Callable[[ClosedSign, int], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as public:
            sign = ClosedSign(public)
            await use(sign, public.getsockname()[1])
            sign.take_down()

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
def test_everyone_is_told_that_no_model_serves(request_bytes: bytes) -> None:
    async def use(sign: ClosedSign, port: int) -> None:
        await sign.put_up("Nothing here.")
        head, body = await ask(port, request_bytes)
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1" in head
        assert body == {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "Nothing here."}

    with_sign(use)


def test_sentence_can_be_changed_and_the_sign_put_up_again() -> None:
    async def use(sign: ClosedSign, port: int) -> None:
        for sentence in ("One.", "Two."):
            await sign.put_up(sentence)
            assert (await ask(port, REQUESTS[0]))[1]["message"] == sentence
        sign.take_down()
        sign.take_down()
        await sign.put_up("Three.")
        assert (await ask(port, REQUESTS[0]))[1]["message"] == "Three."

    with_sign(use)


def test_client_that_says_nothing_sensible_is_let_go() -> None:
    async def use(sign: ClosedSign, port: int) -> None:
        await sign.put_up("Nothing here.")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x" * 200_000)
        writer.write_eof()
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 20) == b""
        writer.close()

    with_sign(use)
