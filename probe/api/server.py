"""The server that listens: aiohttp's, with tighter time-outs, a bound on connections and errors in our shape."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from functools import partial

from aiohttp import web

from probe.api.errors import error_response, response_of

log = logging.getLogger(__name__)

HEADERS_S_MAX = 10.0  # from the connection, or from the last answer, to the next whole head
LINGER_S_MAX = 2.0  # reading on after an answer that did not want the body
CLOSE_S_MAX = 1.0  # for answers under way when we close
CONNECTIONS_MAX = 4000  # readers must not use up the descriptors that probes need
BACKLOG = 512


class Connection(web.RequestHandler):
    """One client's connection: bounded in number, and telling its own errors in the shape of all others."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many already."""
        super().connection_made(transport)
        if self._manager is not None and len(self._manager.connections) > CONNECTIONS_MAX:
            log.warning("a connection was refused: there are too many", extra={"connections": CONNECTIONS_MAX})
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - aiohttp's signature; the parser's text quotes the client: not told
    ) -> web.StreamResponse:
        """Answer what could not be parsed, and what failed beyond the application."""
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is out already")
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
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_S_MAX)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    connect = partial(
        Connection,
        runner.server,
        loop=loop,
        access_log=None,  # type: ignore[arg-type] # turns it off, as AppRunner does; the stub only knows a logger
        keepalive_timeout=HEADERS_S_MAX,
        lingering_time=LINGER_S_MAX,
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
