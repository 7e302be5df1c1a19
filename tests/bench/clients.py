"""A crowd, as a program of its own: `python -m tests.bench.clients PORT STREAMS SLOW REQUESTS`, driven over stdin.

Each client has a source address of its own in 127.0.0.0/8. Streams ask for /api/v1/stream and read what comes; slow
ones send a head byte by byte and come again when they are sent away; REQUESTS a second are made on a few connections.
Each line read from stdin is answered by a line of JSON; the end of stdin ends it. `greet PORT` instead is a very cheap
SMTP server on every address.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import cast

import uvloop

STREAM = b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
SLOW = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
DRIP_S = 2.0
AGAIN_S = 1.0
OPENING_AT_ONCE = 50
ASK = b"GET /isalive/default/smtp-%d HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASKERS = 20
ASKED_ABOUT = 100


def source(number: int) -> str:
    """Return the n-th client's address."""
    return f"127.{101 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


class Stream(asyncio.Protocol):
    """One reader of the stream."""

    def __init__(self, seen: Counter[str]) -> None:
        self._seen = seen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._seen["streams"] += 1
        cast("asyncio.Transport", transport).write(STREAM)

    def data_received(self, data: bytes) -> None:
        self._seen["served"] += data.startswith(b"HTTP/1.1 200")
        self._seen["refused"] += data.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5"))
        self._seen["events"] += data.count(b"\ndata: ")

    def connection_lost(self, exc: Exception | None) -> None:
        self._seen["streams"] -= 1
        self._seen["streams_lost"] += 1


async def _dawdle(number: int, port: int, seen: Counter[str]) -> None:
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source(number), 0))
            seen["slow_opened"] += 1
            writer.write(SLOW)
            while not reader.at_eof():
                writer.write(b"x")
                try:
                    async with asyncio.timeout(DRIP_S):
                        await reader.read(1)
                except TimeoutError:
                    continue
            writer.close()
        except OSError:
            pass
        seen["slow_ended"] += 1
        await asyncio.sleep(AGAIN_S)


async def _ask(number: int, port: int, every_s: float, seen: Counter[str]) -> None:
    """Ask at an even pace; an answer that is late lets the next question wait, and is caught up."""
    loop = asyncio.get_running_loop()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source(2**17 + number), 0))
    due = loop.time() + every_s * number / ASKERS
    while True:
        await asyncio.sleep(due - loop.time())
        due += every_s
        writer.write(ASK % (seen["asked"] % ASKED_ABOUT))
        seen["asked"] += 1
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        seen["answered"] += head.startswith(b"HTTP/1.1 200")


async def _crowd(port: int, streams: int, slow: int, requests: int = 0) -> None:
    loop, seen = asyncio.get_running_loop(), Counter[str]()
    turns = asyncio.Semaphore(OPENING_AT_ONCE)

    async def follow(number: int) -> None:
        async with turns:
            try:
                await loop.create_connection(lambda: Stream(seen), "127.0.0.1", port, local_addr=(source(number), 0))
            except OSError:
                seen["streams_lost"] += 1

    tasks = [asyncio.ensure_future(_dawdle(streams + number, port, seen)) for number in range(slow)]
    await asyncio.gather(*map(follow, range(streams)))
    if requests:
        tasks += [asyncio.ensure_future(_ask(number, port, ASKERS / requests, seen)) for number in range(ASKERS)]
    while await loop.run_in_executor(None, sys.stdin.readline):
        sys.stdout.write(json.dumps(seen) + "\n")
        sys.stdout.flush()
    for task in tasks:
        task.cancel()


class Greeter(asyncio.Protocol):
    """Greets as SMTP, and takes its leave."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(b"220 crowd.example.org ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"221 bye\r\n")
        self._transport.close()


async def _greet(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Greeter, "0.0.0.0", port, backlog=4096)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await loop.run_in_executor(None, sys.stdin.readline)
    server.close()


def main(words: list[str]) -> None:
    """Be a crowd or a greeter."""
    if words[0] == "greet":
        uvloop.run(_greet(int(words[1])))
    else:
        uvloop.run(_crowd(*map(int, words)))


if __name__ == "__main__":
    main(sys.argv[1:])
