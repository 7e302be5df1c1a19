"""A container engine (Docker or Podman) as the container controller sees it: requests and a stream of events.

The real one speaks HTTP over the engine's unix socket with aiohttp. Nothing here pulls or creates anything.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from probe.controllers.link import LinkError, link_error

REPLY_BYTES_MAX = 4 << 20  # what an engine says of one container is some 20 KB
EVENT_BYTES_MAX = 1 << 16

_HOST = "http://engine"  # the name means nothing over a unix socket


class Reply(NamedTuple):
    """The answer to a request: the HTTP status, and the JSON it carried (None when there was none)."""

    status: int
    value: Any

    @property
    def message(self) -> str:
        """What the engine said went wrong."""
        if isinstance(self.value, Mapping) and "message" in self.value:
            return str(self.value["message"])
        return f"status {self.status}"


class Engine(Protocol):
    """An open connection to an engine."""

    async def ask(self, method: str, path: str, query: Mapping[str, str]) -> Reply:
        """Send a request and return the answer; waits as long as the engine does. Raises LinkError."""

    def events(self, query: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any] | None]:
        """Iterate over events: None first, as soon as the stream stands; then each event. Raises LinkError."""

    async def close(self) -> None:
        """End the connection."""


OpenEngine = Callable[[str], Awaitable[Engine]]


async def open_engine(socket: str) -> Engine:
    """Get ready to talk to the engine behind a unix socket; the first request connects."""
    return _HttpEngine(socket)


class _HttpEngine:
    """An engine behind a unix socket."""

    def __init__(self, socket: str) -> None:
        self._what = f"the container engine at {socket}"
        self._session = aiohttp.ClientSession(
            # A kept connection may be closed by the engine just when a request that must not be repeated goes out.
            connector=aiohttp.UnixConnector(path=socket, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),  # a stop takes as long as it takes: the core bounds operations
            read_bufsize=EVENT_BYTES_MAX,
            auto_decompress=False,
        )

    async def ask(self, method: str, path: str, query: Mapping[str, str]) -> Reply:
        async with self._request(method, path, query) as response:
            body = b""
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > REPLY_BYTES_MAX:
                    raise LinkError(f"{self._what}: an answer of more than {REPLY_BYTES_MAX} bytes")
            return Reply(response.status, self._decoded(body) if body.strip() else None)

    async def events(self, query: Mapping[str, str]) -> AsyncIterator[Mapping[str, Any] | None]:
        async with self._request("GET", "/events", query) as response:
            if response.status != 200:
                raise LinkError(f"{self._what}: no events: status {response.status}")
            yield None
            async for line in response.content:
                event = self._decoded(line) if line.strip() else None
                if isinstance(event, dict):
                    yield event

    async def close(self) -> None:
        await self._session.close()

    @asynccontextmanager
    async def _request(self, method: str, path: str, query: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.request(
                method, _HOST + quote(path), params=dict(query), allow_redirects=False
            ) as response:
                yield response
        except aiohttp.ClientConnectorError as error:
            raise link_error(error.os_error, f"{self._what} cannot be reached") from error
        except HttpProcessingError as error:
            raise LinkError(f"{self._what}: a line of more than {EVENT_BYTES_MAX} bytes, or no HTTP") from error
        except (aiohttp.ClientError, OSError) as error:
            raise LinkError(f"{self._what}: {str(error) or type(error).__name__}") from error

    def _decoded(self, raw: bytes) -> Any:
        try:
            return json.loads(raw)
        except ValueError as error:
            raise LinkError(f"{self._what} does not speak JSON: is it Docker or Podman?") from error
