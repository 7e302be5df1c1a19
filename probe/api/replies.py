"""Answers: small ones whole, long ones in slices between which the event loop breathes."""

from __future__ import annotations

import asyncio
import types
import zlib
from collections.abc import Generator
from contextlib import closing

import msgspec
from aiohttp import web

from probe.api.context import API

GZIP_LEVEL = 1  # the cheapest: the text repeats itself so much that more effort gains little

JSON = "application/json"


@types.coroutine
def next_pass() -> Generator[None, None, None]:
    """Let the event loop run everything that waits, once (what sleeping for no time does, without a clock)."""
    yield


def json_reply(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Answer with one JSON document."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(body),
        content_type=JSON,
        headers={"Cache-Control": "no-cache", **(headers or {})},
    )


async def send(request: web.Request, response: web.StreamResponse, data: bytes) -> None:
    """Write a piece and wait until the reader takes it. Raises ConnectionError when it takes nothing for too long."""
    try:
        async with asyncio.timeout(request.app[API].settings.limits.write_s):
            await response.write(data)
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()  # a polite close would wait for what it does not take
        raise ConnectionResetError("the reader takes nothing") from None


async def stream_reply(
    request: web.Request, slices: Generator[bytes, None, None], content_type: str, headers: dict[str, str] | None = None
) -> web.StreamResponse:
    """Answer with what the slices yield, compressed where accepted, one pass of the loop after each.

    An empty slice sends nothing and still lets the loop breathe. When the reader goes, what the slices hold is let go.
    """
    response = web.StreamResponse(headers={"Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})})
    response.headers["Content-Type"] = content_type
    squeeze = zlib.compressobj(GZIP_LEVEL, wbits=31) if _takes_gzip(request) else None
    if squeeze is not None:
        response.headers["Content-Encoding"] = "gzip"
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    with closing(slices):
        for piece in slices:
            data = squeeze.compress(piece) if squeeze is not None else piece
            if data:
                await send(request, response, data)
            await next_pass()
    if squeeze is not None:
        await send(request, response, squeeze.flush())
    await response.write_eof()
    return response


def _takes_gzip(request: web.Request) -> bool:
    """Whether the client accepts gzip (RFC 9110 section 12.5.3): named, or by `*`, and not with quality 0."""
    accepted: dict[str, bool] = {}
    for part in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, parameters = part.partition(";")
        accepted[coding.strip()] = parameters.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return accepted.get("gzip", accepted.get("*", False))
