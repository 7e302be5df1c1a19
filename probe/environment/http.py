"""Real HTTP to services on this node, over their unix sockets or TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import aiohttp

from probe.environment import HttpAnswer, HttpError

READ_BYTES = 65_536


class RealHttp:
    """`probe.environment.Http` by aiohttp; no session outlives its request, so a service may restart between two."""

    async def ask(
        self,
        method: str,
        url: str,
        *,
        socket: str | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        bytes_max: int,
    ) -> HttpAnswer:
        """Send one request and read the answer, at most `bytes_max` bytes of it. Raises OSError, HttpError."""
        connector: aiohttp.BaseConnector
        connector = aiohttp.TCPConnector(force_close=True) if socket is None else aiohttp.UnixConnector(socket, True)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    timeout=aiohttp.ClientTimeout(total=None),
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                ) as session,
                session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                return HttpAnswer(answer.status, await _read(answer.content, bytes_max))
        except aiohttp.ClientConnectorError as error:
            raise error.os_error from error  # what it says of itself is not what `strerror` should be
        except aiohttp.ClientError as error:
            if isinstance(error, OSError):
                raise
            raise HttpError(str(error) or type(error).__name__) from error
        except asyncio.IncompleteReadError as error:
            raise HttpError("the answer broke off") from error


async def _read(content: aiohttp.StreamReader, bytes_max: int) -> bytes:
    read = bytearray()
    async for piece in content.iter_chunked(READ_BYTES):
        read += piece
        if len(read) > bytes_max:
            raise HttpError(f"the answer is larger than {bytes_max} bytes")
    return bytes(read)
