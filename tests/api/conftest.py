"""A real server on a loopback port in front of a service that the test holds."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest

from probe.api.app import ApiSettings, Server, make_app, serve
from probe.api.context import API
from probe.api.relay import Relay
from probe.api.replies import next_pass
from probe.metrics import Metrics
from tests.api.service import MemoryFiles, StaticService, report

TOKENS = {"viewer": "v-secret", "operator": "o-secret", "admin": "a-secret"}


def token_lines() -> bytes:
    """One token of each role."""
    lines = ["# who may do what", ""]
    lines += [f"{role}-1:{role}:{hashlib.sha256(token.encode()).hexdigest()}" for role, token in TOKENS.items()]
    return "\n".join(lines).encode()


@dataclass
class Outside:
    """The API under test, as a client sees it and as the test made it."""

    service: StaticService
    relay: Relay
    metrics: Metrics
    files: MemoryFiles
    server: Server
    session: aiohttp.ClientSession

    @property
    def port(self) -> int:
        return int(self.server.url.rstrip("/").rpartition(":")[2])

    async def readers_are(self, count: int) -> None:
        """Wait until so many follow the stream."""
        async with asyncio.timeout(5):
            while len(self.relay.readers) != count:
                await next_pass()

    async def get(self, path: str, **headers: str) -> tuple[int, Mapping[str, str], bytes]:
        """GET without following redirects; header names with underscores for hyphens."""
        return await self.ask("GET", path, {name.replace("_", "-"): value for name, value in headers.items()})

    async def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        url = self.server.url.rstrip("/") + path
        async with self.session.request(method, url, headers=headers, data=body, allow_redirects=False) as answer:
            return answer.status, answer.headers, await answer.read()

    async def raw(self, sent: bytes, *, quiet_s: float = 5.0) -> bytes:
        """Send bytes as they are and return what comes back until the end of one JSON answer, or of the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(sent)
        answer = b""
        try:
            async with asyncio.timeout(quiet_s):
                while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
                    if not (piece := await reader.read(65536)):
                        break
                    answer += piece
        finally:
            writer.close()
            await writer.wait_closed()
        return answer

    async def order(self, path: str, token: str = TOKENS["operator"], body: bytes = b"{}") -> tuple[int, bytes]:
        """POST a verb as an operator would."""
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        status, _, answer = await self.ask("POST", path, headers, body)
        return status, answer


Opener = Callable[..., Awaitable[Outside]]


@pytest.fixture
async def opened() -> AsyncIterator[Opener]:
    """Open an API: `await opened(service, token_file=...)`."""
    async with AsyncExitStack() as stack:

        async def open_api(
            service: StaticService | None = None, *, tokens: bytes | None = None, settings: ApiSettings | None = None
        ) -> Outside:
            service = service or StaticService(report("smtp"))
            files = MemoryFiles(**({"tokens": tokens} if tokens is not None else {}))
            metrics = Metrics()
            if settings is None:
                settings = ApiSettings(token_file="tokens" if tokens is not None else None, files=files)
            app = make_app(service, metrics, settings)
            server = await serve(app, "127.0.0.1", 0)
            stack.push_async_callback(server.close)
            session = aiohttp.ClientSession(auto_decompress=False, headers={"Accept-Encoding": "identity"})
            stack.push_async_callback(session.close)
            return Outside(service, app[API].relay, metrics, files, server, session)

        yield open_api
