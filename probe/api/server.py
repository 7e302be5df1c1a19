"""The server that listens: aiohttp's, with a door before it, tighter time-outs, TLS, and errors in our shape."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import ssl
from functools import partial
from typing import Any, cast

from aiohttp import web

from probe.api.allowance import Allowance
from probe.api.certificates import Certificates
from probe.api.context import API, Api
from probe.api.door import Seat
from probe.api.errors import error_response, response_of

log = logging.getLogger(__name__)

BACKLOG = 512
TLS_GOODBYE_S = 1.0
SAID_BURST = 3  # how often it is said that connections are sent away: so often at once, then
SAID_PER_S = 0.1


class Connection(web.RequestHandler):
    """One client's connection: let in by the door, and telling its own errors in the shape of all others."""

    __slots__ = ("_api", "_crowd", "seat")

    def __init__(self, server: web.Server, api: Api, crowd: Allowance, **options: Any) -> None:
        super().__init__(server, **options)
        self._api = api
        self._crowd = crowd
        self.seat: Seat | None = None

    @property
    def address(self) -> str:
        """The numeric address of the peer, empty when it has gone."""
        return str(self.peername[0]) if self.peername else ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection where the door lets it in; with TLS, the handshake is done by then."""
        transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass of it
        peer = transport.get_extra_info("peername")
        before = self._api.door.sent_away
        self.seat = self._api.door.admit(str(peer[0]) if peer else "", self.cut)
        if self._api.door.sent_away != before and (left_out := self._crowd.take()) is not None:
            extra = {"fields": {"connections": self._api.door.held, "not_told": left_out}}
            log.warning("there are too many connections: those that are quiet for longest are ended", extra=extra)
        super().connection_made(transport)
        if self.seat is None:
            self.cut()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the place to others."""
        if self.seat is not None:
            self._api.door.leave(self.seat)
        super().connection_lost(exc)

    def cut(self) -> None:
        """End the connection at once, whatever is under way."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    @property
    def vouched(self) -> bool:
        """Whether the client showed a certificate, which then was verified: no other is taken."""
        secured = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        return isinstance(secured, ssl.SSLObject) and bool(secured.getpeercert())

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
        try:
            async with asyncio.timeout(self._api.settings.limits.write_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.cut()
            return resp, True
        finally:
            if self.seat is not None:
                self._api.door.rest(self.seat)


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


async def serve(app: web.Application, host: str, port: int, certificates: Certificates | None = None) -> Server:
    """Listen at host and port (0: any free one) for the application. Raises OSError when that cannot be had."""
    limits = app[API].settings.limits
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.close_s)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    connect = partial(
        Connection,
        runner.server,
        app[API],
        Allowance(SAID_BURST, SAID_PER_S, loop.time),
        loop=loop,
        access_log=None,
        keepalive_timeout=limits.headers_s,
        lingering_time=limits.linger_s,
        auto_decompress=False,  # nobody has a reason to send us compressed bodies
    )
    try:
        secured: dict[str, Any] = (
            {}
            if certificates is None
            else {
                "ssl": certificates.live(),
                "ssl_handshake_timeout": limits.handshake_s,
                "ssl_shutdown_timeout": TLS_GOODBYE_S,
            }
        )
        listener = await loop.create_server(connect, host, port, backlog=BACKLOG, **secured)
    except BaseException:
        await runner.cleanup()
        raise
    bound_host, bound_port = listener.sockets[0].getsockname()[:2]
    scheme = "http" if certificates is None else "https"
    return Server(f"{scheme}://{_in_url(bound_host)}:{bound_port}/", runner, listener)


def _in_url(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
