"""The server that listens: its url, its time-outs, its bounds, its end, and the shape of every error."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from probe.api.allowance import Allowance
from probe.api.app import ApiSettings, make_app, serve
from probe.api.context import API
from probe.api.errors import HARDENING
from probe.api.limits import Limits
from probe.api.replies import next_pass
from probe.api.server import SWEPT_PER_PASS, Connection, Sweep
from probe.metrics import Metrics
from tests.api.conftest import Opener
from tests.api.service import StaticService, report

Ts = TypeVarTuple("Ts")

HEAD = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(("host", "begin"), [("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")])
async def test_the_url_names_the_real_port(host: str, begin: str) -> None:
    """Port 0 takes any free port, and the url says which; an IPv6 address stands in brackets."""
    server = await serve(make_app(StaticService(), Metrics()), host, 0)
    assert server.url.startswith(begin)
    assert not server.url.endswith(":0/")
    async with aiohttp.ClientSession() as session, session.get(f"{server.url}livez") as answer:
        assert answer.status == 200
    await server.close()


async def test_an_address_in_use_is_the_callers_error() -> None:
    """Listening where somebody listens raises OSError and leaves nothing behind."""
    server = await serve(make_app(StaticService(), Metrics()), "127.0.0.1", 0)
    port = int(server.url.rstrip("/").rpartition(":")[2])
    with pytest.raises(OSError, match="in use"):
        await serve(make_app(StaticService(), Metrics()), "127.0.0.1", port)
    await server.close()
    again = await serve(make_app(StaticService(), Metrics()), "127.0.0.1", port)
    await again.close()


@pytest.mark.parametrize("sent", [b"", b"GET /livez HT", HEAD + b"X-Slow: "], ids=["nothing", "line", "headers"])
async def test_slow_headers_are_cut(opened: Opener, sent: bytes) -> None:
    """A head that is not whole in its time ends the connection, with no answer; on every connection anew."""
    api = await opened(settings=ApiSettings(limits=Limits(headers_s=0.2)))
    assert await api.raw(sent) == b""
    assert (await api.raw(HEAD + b"\r\n" + sent)).startswith(b"HTTP/1.1 200 ")


async def test_dripping_headers_are_cut_too(opened: Opener) -> None:
    """One byte now and then does not keep a connection: the time is for the whole head."""
    api = await opened(settings=ApiSettings(limits=Limits(headers_s=0.3)))
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(HEAD + b"X-Slow: ")
    ended = asyncio.ensure_future(reader.read())
    async with asyncio.timeout(5):
        while not ended.done():
            writer.write(b"x")
            await asyncio.wait([ended], timeout=0.05)
    assert ended.result() == b""
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"EHLO example.org\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX Y: 1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 500 + b"\r\n",
        b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
    ids=["TLS", "SMTP", "header name", "long header", "long target", "many headers", "length", "smuggling"],
)
async def test_what_is_no_http_is_refused_in_our_shape(opened: Opener, sent: bytes) -> None:
    """Bytes that are no request are 400 in the shape of every error, without an echo of them; the connection ends."""
    api = await opened()
    answer = await api.raw(sent)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 400 " in head.split(b"\r\n")[0]
    assert json.loads(body)["error"]["code"] == "bad_request"
    assert b"Server: looksalive\r\n" in head + b"\r\n"
    assert all(f"{name}: {value}".encode() in head for name, value in HARDENING.items())
    assert len(body) < 200


@pytest.mark.parametrize(
    "path", ["/nope", "/api/v1", "/api/v1/status/", "/page/../app.py", "/page/%2e%2e%2fapp.py", "/%ff"]
)
async def test_nothing_there(opened: Opener, path: str) -> None:
    """A path that leads nowhere is 404 in the shape of every error, without an echo of the path."""
    api = await opened()
    answer = await api.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "not_found"


async def test_an_odd_expectation_is_refused_in_our_shape(opened: Opener) -> None:
    """An Expect that is not 100-continue is 417 in the shape of every error."""
    answer = await (await opened()).raw(HEAD + b"Expect: a-miracle\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 417 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "expectation_failed"


async def test_a_fault_of_ours_tells_no_internals(opened: Opener, caplog: pytest.LogCaptureFixture) -> None:
    """An exception inside is 500 without its text; the log has it, the next request is served."""
    service = StaticService(report("smtp"))
    api = await opened(service)
    service.broken = RuntimeError("secret detail")
    with caplog.at_level(logging.ERROR):
        code, headers, body = await api.get("/isalive/evs1/smtp")
    assert (code, json.loads(body)["error"]["code"]) == (500, "internal")
    assert b"secret" not in body
    assert "nosniff" in headers["X-Content-Type-Options"]
    assert "secret detail" in caplog.text
    service.broken = None
    assert (await api.get("/isalive/evs1/smtp"))[0] == 200


async def test_a_connection_leaves_nothing_to_the_collector(opened: Opener) -> None:
    """Whoever goes, in the middle of a head, behind an answer or as a reader of the stream, is freed at once."""
    api = await opened(settings=ApiSettings(limits=Limits(headers_s=0.2)))
    gc.collect()
    known = [one for one in gc.get_objects() if isinstance(one, Connection)]  # of other tests, whoever still holds them
    gc.disable()
    try:
        assert await api.raw(HEAD + b"X-Slow: ") == b""
        assert (await api.raw(HEAD + b"Connection: close\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(HEAD.replace(b"livez", b"api/v1/stream") + b"\r\n")
        await api.readers_are(1)
        writer.close()
        await writer.wait_closed()
        await api.readers_are(0)
        del reader, writer
        async with asyncio.timeout(5):
            while sum(isinstance(one, Connection) for one in gc.get_objects()) > len(known):
                await next_pass()
    finally:
        gc.enable()


async def test_many_slow_heads_are_cut_in_slices() -> None:
    """Whoever is due at the same moment is cut a few in a pass; who is being answered, or has gone, is let alone."""
    loop = asyncio.get_running_loop()
    app = make_app(StaticService(), Metrics())
    server = await serve(app, "127.0.0.1", 0)
    cut: list[int] = []

    class Waiting(Connection):
        def cut_idle(self) -> None:
            cut.append(1)

    sweep = Sweep(loop, 0.05)
    count = 5 * SWEPT_PER_PASS + 1
    crowd = [
        Waiting(web.Server(lambda _: None), app[API], Allowance(1, 1, loop.time), sweep, loop=loop)  # type: ignore[arg-type,return-value] # it handles nothing here
        for _ in range(count)
    ]
    for one in crowd:
        sweep.begin(one)
    sweep.end(crowd[0])
    async with asyncio.timeout(5):
        told = 0
        while told < count - 1:
            await next_pass()
            assert len(cut) - told <= SWEPT_PER_PASS
            told = len(cut)
    await server.close()
    sweep.close()


async def test_connections_are_bounded(opened: Opener) -> None:
    """One connection more than allowed is closed at once; a free place can be taken again."""
    api = await opened(settings=ApiSettings(limits=Limits(connections=2, reserve=0)))
    held = [await asyncio.open_connection("127.0.0.1", api.port) for _ in range(2)]
    for reader, writer in held:
        writer.write(HEAD.replace(b"livez", b"api/v1/stream") + b"\r\n")
        await reader.readuntil(b"retry: ")
    assert await api.raw(HEAD + b"\r\n") == b""
    held[0][1].close()
    await held[0][1].wait_closed()
    async with asyncio.timeout(5):
        while not await api.raw(HEAD + b"\r\n"):
            pass
    held[1][1].close()
    await held[1][1].wait_closed()


async def test_a_reader_that_takes_nothing_is_cut(opened: Opener) -> None:
    """A client that asks for much and reads nothing is cut off after its time; its answer is given up."""
    service = StaticService(*(report(f"r{number}", evidence="x" * 1000) for number in range(20_000)))
    api = await opened(service, settings=ApiSettings(limits=Limits(write_s=0.2, connections=1, reserve=0)))
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
    writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        await service.walked.wait()
        while not await api.raw(HEAD + b"\r\n"):  # its place is free although it has not read what is under way
            pass
        answer = b""
        while piece := await reader.read(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert not answer.endswith(b"0\r\n\r\n")  # half an answer must not look whole
    writer.close()
    await writer.wait_closed()


class TimersLoop(asyncio.SelectorEventLoop):
    """Counts the timers that are set on it."""

    timers = 0

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Set a timer."""
        self.timers += 1
        return super().call_at(when, callback, *args, context=context)


def test_small_answers_have_no_timer_each() -> None:
    """What goes out at once is not timed, one request after the other; what is large, or waits behind another, is."""
    asked = 100

    async def body() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, TimersLoop)
        server = await serve(make_app(StaticService(report("smtp")), Metrics(), ApiSettings()), "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(server.url).port)
        counts = []
        for path in (b"isalive/evs1/smtp", b"openapi.json"):
            before = loop.timers
            for _ in range(asked):
                writer.write(b"GET /%s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.splitlines() if line.lower().startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            counts.append(loop.timers - before)
        writer.close()
        await server.close()
        assert counts[0] < asked / 2 < asked <= counts[1]

    with asyncio.Runner(loop_factory=TimersLoop) as runner:
        runner.run(body())


async def test_closing_ends_whoever_waits() -> None:
    """Closing does not wait for streams and long polls, which never end by themselves."""
    service = StaticService(report("smtp"))
    settings = ApiSettings(limits=Limits(close_s=30))
    app = make_app(service, Metrics(), settings)
    server = await serve(app, "127.0.0.1", 0)
    relay = app[API].relay
    async with aiohttp.ClientSession() as session:
        stream = await session.get(f"{server.url}api/v1/stream")
        poll = asyncio.ensure_future(session.get(f"{server.url}api/v1/status?wait=1&timeout_s=60"))
        await service.polled.wait()
        assert len(relay.readers) == 1
        async with asyncio.timeout(3):
            await server.close()
            with pytest.raises(aiohttp.ClientError):
                await poll
            with pytest.raises(aiohttp.ClientError):
                await stream.content.read()
        stream.close()
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{server.url}livez")
    assert not relay.readers


async def test_a_head_is_a_get_without_its_body(opened: Opener) -> None:
    """HEAD answers with the code and the headers of the GET and no body, also where the answer is a stream."""
    api = await opened()
    for path in ("/livez", "/api/v1/status", "/metrics", "/", "/isalive/evs1/smtp"):
        _, headers, _ = await api.get(path)
        answer = await api.raw(
            f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode(), quiet_s=3
        )
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), path
        assert f"Content-Type: {headers['Content-Type']}".encode() in head
        assert body == b"", path


async def test_settings_that_cannot_work_are_refused() -> None:
    """A token file without files to read it with is an error at once, not at the first verb."""
    with pytest.raises(ValueError, match="token file"):
        make_app(StaticService(), Metrics(), ApiSettings(token_file="tokens"))
