"""The server that listens: aiohttp's, with a door before it, tighter time-outs, TLS, and errors in our shape."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import socket
import ssl
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

from aiohttp import web

from probe.api.allowance import Allowance
from probe.api.certificates import Certificates
from probe.api.context import API, Api
from probe.api.door import Seat
from probe.api.errors import error_response, response_of
from probe.api.relay import Reader

log = logging.getLogger(__name__)

BACKLOG = 4096  # the kernel takes less where net.core.somaxconn says so; what finds no room comes again seconds later
ACCEPTS_PER_PASS = 8  # libuv takes one connection a listener and pass: so many listeners share one socket
SWEEP_S = 0.25  # how often those are looked for that let a head wait for too long
SWEPT_PER_PASS = 32
AT_ONCE_BYTES_MAX = 32 * 1024  # of a body; a transport takes twice as much before it has its writer wait
FROZEN_EACH = 256  # connections more than ever before
AIOHTTP_TIMER_S = 86_400.0  # its own timer for heads, one a connection: all of a crowd's would fire in one pass
TLS_GOODBYE_S = 1.0
SAID_BURST = 3  # how often it is said that connections are sent away: so often at once, then
SAID_PER_S = 0.1


class Connection(web.RequestHandler):
    """One client's connection: let in by the door, and telling its own errors in the shape of all others."""

    __slots__ = ("_api", "_crowd", "_reader", "_sweep", "seat")

    def __init__(self, server: web.Server, api: Api, crowd: Allowance, sweep: Sweep, **options: Any) -> None:
        super().__init__(server, **options)
        self._api = api
        self._sweep = sweep
        self._crowd = crowd
        self._reader: Reader | None = None
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
        else:
            self._sweep.begin(self)
            self._sweep.freezer.note(self._api.door.held)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leave the place to others, and nothing that only the garbage collector could free: a crowd comes and goes."""
        if self.seat is not None:
            self._api.door.leave(self.seat)
            self.seat = None
        self._sweep.end(self)
        super().connection_lost(exc)
        self._keepalive_handle = None
        if self._reader is not None:
            self._reader.lost()

    def resume_writing(self) -> None:
        """Go on: the transport's buffer has room again."""
        super().resume_writing()
        if self._reader is not None:
            self._reader.drained()

    @contextmanager
    def followed_by(self, reader: Reader) -> Iterator[None]:
        """Tell a reader of the stream what becomes of this connection."""
        self._reader = reader
        try:
            yield
        finally:
            self._reader = None

    def cut(self) -> None:
        """End the connection at once, whatever is under way."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def cut_idle(self) -> None:
        """End the connection where no request is being answered."""
        if self._waiter is not None and not self._waiter.done():
            self.force_close()

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
            if self._goes_at_once(resp):
                return await super().finish_response(request, resp, start_time)
            async with asyncio.timeout(self._api.settings.limits.write_s):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self.cut()
            return resp, True
        finally:
            if self.seat is not None:
                self._api.door.rest(self.seat)
            if self.transport is not None:
                self._sweep.begin(self)

    def _goes_at_once(self, resp: web.StreamResponse) -> bool:
        """Whether it is whole and small and no answer is before it: then nothing waits for the reader.

        A timer would be a fifth of its cost. Who reads nothing has its next answers behind this one; those are timed.
        """
        if type(resp) is not web.Response or self.transport is None or self.transport.get_write_buffer_size():
            return False
        body = resp.body
        return body is None or (isinstance(body, bytes) and len(body) <= AT_ONCE_BYTES_MAX)


class Freezer:
    """Keeps the garbage collector from walking over a crowd: over 15,000 connections that takes half a second.

    Freezing costs nothing, and what is frozen is still freed with its last reference; a connection leaves no cycles.
    """

    def __init__(self) -> None:
        self._next = FROZEN_EACH

    def note(self, held: int) -> None:
        """Take note of how many connections there are."""
        if held >= self._next:
            self._next = held + FROZEN_EACH
            gc.freeze()


class Sweep:
    """Cuts whoever lets a head wait for too long, a few in a pass; one timer for all connections.

    They stand in the order of their last answer (or of their coming), so that only those due are looked at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, headers_s: float) -> None:
        self._loop = loop
        self._headers_s = headers_s
        self.freezer = Freezer()
        self._waiting: OrderedDict[Connection, float] = OrderedDict()  # since when, in seconds of the loop
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, connection: Connection) -> None:
        """Take the time for the next head from now on."""
        self._waiting[connection] = self._loop.time()
        self._waiting.move_to_end(connection)
        if self._timer is None:
            self._plan(min(SWEEP_S, self._headers_s / 4))

    def end(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._waiting.pop(connection, None)

    def close(self) -> None:
        """Sweep no more."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _plan(self, delay_s: float) -> None:
        self._timer = self._loop.call_later(delay_s, self._run)

    def _run(self) -> None:
        self._timer = None
        due = self._loop.time() - self._headers_s
        for _ in range(SWEPT_PER_PASS):
            first = next(iter(self._waiting.items()), None)
            if first is None:
                return
            connection, since = first
            if since > due:
                self._plan(min(SWEEP_S, self._headers_s / 4))
                return
            del self._waiting[connection]  # one that is being answered comes again behind its answer
            connection.cut_idle()
        self._plan(0)


class Server:
    """A listening server; `url` names the port that it really has."""

    def __init__(self, url: str, runner: web.AppRunner, listeners: list[asyncio.Server], sweep: Sweep) -> None:
        self.url = url
        self._runner = runner
        self._listeners = listeners
        self._sweep = sweep

    async def close(self) -> None:
        """Stop listening, end the requests that wait, let the others finish within a second."""
        for listener in self._listeners:
            listener.close()
        await self._runner.cleanup()
        self._sweep.close()


async def serve(app: web.Application, host: str, port: int, certificates: Certificates | None = None) -> Server:
    """Listen at host and port (0: any free one) for the application. Raises OSError when that cannot be had."""
    limits = app[API].settings.limits
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=limits.close_s)
    await runner.setup()
    assert runner.server is not None
    loop = asyncio.get_running_loop()
    sweep = Sweep(loop, limits.headers_s)
    connect = partial(
        Connection,
        runner.server,
        app[API],
        Allowance(SAID_BURST, SAID_PER_S, loop.time),
        sweep,
        loop=loop,
        access_log=None,
        keepalive_timeout=AIOHTTP_TIMER_S,
        lingering_time=limits.linger_s,
        auto_decompress=False,  # nobody has a reason to send us compressed bodies
    )
    listeners: list[asyncio.Server] = []
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
        listeners.append(await loop.create_server(connect, host, port, backlog=BACKLOG, **secured))
        shared = listeners[0].sockets[0]
        while len(listeners) < ACCEPTS_PER_PASS:
            again = socket.fromfd(shared.fileno(), shared.family, shared.type)
            listeners.append(await loop.create_server(connect, sock=again, backlog=BACKLOG, **secured))
    except BaseException:
        for listener in listeners:
            listener.close()
        await runner.cleanup()
        raise
    bound_host, bound_port = shared.getsockname()[:2]
    scheme = "http" if certificates is None else "https"
    return Server(f"{scheme}://{_in_url(bound_host)}:{bound_port}/", runner, listeners, sweep)


def _in_url(address: str) -> str:
    return f"[{address}]" if ipaddress.ip_address(address.partition("%")[0]).version == 6 else address
