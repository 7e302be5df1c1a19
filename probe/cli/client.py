"""Ask a running service over HTTP: bounded answers, bounded time, errors as in errors.py."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from probe.cli.errors import Garbled, Refused, ServiceError, Unreachable, Untrusted
from probe.cli.output import safe
from probe.cli.trust import HUNG_UP, explain
from probe.secret import Secret

RESPONSE_BYTES_MAX = 64 * 1024 * 1024  # the whole status of 100,000 resources is about 50 MB
READ_BYTES = 64 * 1024
ANSWER_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
RETRY_AFTER_DIGITS_MAX = 9


class Client:
    """One service and, where control is wanted, the token for it."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: Secret[str] | None) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}

    async def ask(self, path: str, query: Mapping[str, str] | None = None, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """GET a JSON document. Raises ServiceError."""
        return await self._talk("GET", path, query or {}, timeout_s)

    async def order(self, path: str, body: Mapping[str, Any] | None = None, timeout_s: float = ANSWER_TIMEOUT_S) -> Any:
        """POST a JSON object, an empty one unless told. Raises ServiceError."""
        return await self._talk("POST", path, {}, timeout_s, body or {})

    @asynccontextmanager
    async def stream(self, path: str, headers: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a GET whose body does not end, and give its pieces as they come. Raises ServiceError."""
        try:
            async with self._session.get(
                self._url + path, headers={**self._headers, **headers}, allow_redirects=False
            ) as response:
                if response.status != 200:
                    self._understand(max(response.status, 300), await _read(response), _retry_after(response))
                yield response.content.iter_any()
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise Garbled(f"{self._url} does not speak HTTP as looksalive does: {safe(error)}") from None

    def _unreachable(self, error: Exception) -> ServiceError:
        if told := explain(error):
            return Untrusted(f"cannot talk with {self._url}: {told}")
        connected = not isinstance(error, aiohttp.ClientConnectorError)
        reset = connected and getattr(error, "errno", None) == errno.ECONNRESET
        if reset or isinstance(error, aiohttp.ServerDisconnectedError):
            plain = "hung up without an answer; if it speaks TLS, write https:// in the URL"
            return Unreachable(f"{self._url} {plain if self._url.startswith('http:') else HUNG_UP}")
        number = getattr(error, "errno", None) or 0  # what the resolver says has a negative one, and words of its own
        reason = (os.strerror(number) if number > 0 else getattr(error, "strerror", None)) or str(error)
        return Unreachable(
            f"cannot reach {self._url}: {safe(reason or type(error).__name__)}; is looksalive running there?"
        )

    async def _talk(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        timeout_s: float,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.request(
                    method, self._url + path, params=query, headers=self._headers, json=body, allow_redirects=False
                ) as response,
            ):
                raw = await _read(response)
                status, retry_after_s = response.status, _retry_after(response)
        except TimeoutError as error:
            connecting = isinstance(error, aiohttp.ConnectionTimeoutError)
            waited_s = min(CONNECT_TIMEOUT_S, timeout_s) if connecting else timeout_s
            raise Unreachable(f"{self._url} did not answer within {waited_s:.3g} s", timed_out=True) from None
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, OSError) as error:
            raise self._unreachable(error) from None
        except (aiohttp.ClientError, ValueError) as error:
            raise Garbled(f"{self._url} does not speak HTTP as looksalive does: {safe(error)}") from None
        return self._understand(status, raw, retry_after_s)

    def _understand(self, status: int, raw: bytes, retry_after_s: float | None) -> Any:
        try:
            document = json.loads(raw)
        except (ValueError, RecursionError):
            raise Garbled(f"{self._url} answered {status} without JSON; is that looksalive?") from None
        if status < 300:
            return document
        error = document.get("error") if isinstance(document, dict) else None
        if not isinstance(error, dict):
            raise Garbled(f"{self._url} answered {status} without a reason; is that looksalive?")
        message = safe(error.get("message", f"refused with {status}"))
        raise Refused(status, safe(error.get("code", "")), message, retry_after_s)


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Read how many seconds to wait (RFC 9110 section 10.2.3); a date, which we never send, is not understood."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) <= RETRY_AFTER_DIGITS_MAX else None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    pieces: list[bytes] = []
    total = 0
    async for piece in response.content.iter_chunked(READ_BYTES):
        total += len(piece)
        if total > RESPONSE_BYTES_MAX:
            raise ValueError(f"an answer of more than {RESPONSE_BYTES_MAX} bytes")
        pieces.append(piece)
    return b"".join(pieces)


@asynccontextmanager
async def connected(
    url: str, token: Secret[str] | None = None, context: ssl.SSLContext | None = None
) -> AsyncIterator[Client]:
    """Open a client for the service at `url`, over TLS as `context` says; nothing is sent yet."""
    limits = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)  # the whole is bounded in `_talk`
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=True if context is None else context),
        timeout=limits,
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield Client(session, url, token)
