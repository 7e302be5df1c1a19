"""The server that listens: aiohttp's, with tighter time-outs, a bound on connections and errors in our shape."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from functools import partial
from typing import Any

from aiohttp import web

from probe.api.context import API
from probe.api.errors import error_response, response_of

log = logging.getLogger(__name__)

BACKLOG = 512


class Connection(web.RequestHandler):
    """One client's connection: bounded in number, and telling its own errors in the shape of all others."""

    __slots__ = ("_connections_max", "_server")

    def __init__(self, server: web.Server, connections_max: int, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._connections_max = connections_max

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many already."""
        super().connection_made(transport)
        if len(self._server.connections) > self._connections_max:
            log.warning("a connection was refused: there are too many", extra={"connections": self._connections_max})
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; the parser's text quotes the client: not told
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and what failed beyond the application."""
        if request.writer.output_size > 0 or isinstance(exc, ConnectionError):
            raise ConnectionError("nobody is left to tell, or half an answer is out already")
        if status == 400:
            return error_response(400, "bad_request", "this is not HTTP as we understand it", close=True)
        log.error("a request failed outside of the application", exc_info=exc)
        return error_response(500, "internal", "a fault of looksalive itself; its log has the details", close=True)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; aiohttp's own errors from before the middlewares (417) get our shape here."""
        if isinstance(resp, web.HTTPException):
            resp = response_of(resp)
        return await super().finish_response(request, resp, start_time)


class Server:
    """A listening server; `url` names the port that it really has."""

    def __init__(self, url: str, runner: web.AppRunner, listener: asyncio.Server) -> None:
        self.url = url
        self._runner = runner
        self._listener = listener

    async def close(self) -> None:
        """Stop listening, end the requests that wait, let the others finish within a second."""
        self._listener.close()
        await self._runner.cleanup()


async def serve(app: web.Application, host: str, port: int) -> Server:
    """Listen at host and port (0: any free one) for the application. Raises OSError when that cannot be had."""
    limits = app[API].settings.limits
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.close_s)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    connect = partial(
        Connection,
        runner.server,
        limits.connections,
        loop=loop,
        access_log=None,
        keepalive_timeout=limits.headers_s,
        lingering_time=limits.linger_s,
        auto_decompress=False,  # nobody has a reason to send us compressed bodies
    )
    try:
        listener = await loop.create_server(connect, host, port, backlog=BACKLOG)
    except BaseException:
        await runner.cleanup()
        raise
    bound_host, bound_port = listener.sockets[0].getsockname()[:2]
    return Server(f"http://{_in_url(bound_host)}:{bound_port}/", runner, listener)


def _in_url(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
