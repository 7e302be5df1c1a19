"""HTTP to services on this node, over unix sockets and TCP, against real servers of all manners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from probe.environment import HttpAnswer, HttpError
from probe.environment.http import RealHttp

BOUND = 1000


@asynccontextmanager
async def serving(path: Path, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve one handler on a unix socket and on TCP; gives the TCP address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(path)).start()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[-1][1]}"
    finally:
        await runner.cleanup()


async def echo(request: web.Request) -> web.Response:
    """Tell what was asked."""
    body = (await request.read()).decode()
    return web.Response(status=418, text=f"{request.method} {request.path} {request.headers['X-Y']} {body}")


async def test_one_request_over_either_socket(tmp_path: Path) -> None:
    """Method, path, headers and body arrive; the status and the body come back, whatever they are."""
    path = tmp_path / "s"
    expected = HttpAnswer(418, b"POST /a/b z {}")
    async with serving(path, echo) as url:
        ask = RealHttp().ask
        options = {"body": b"{}", "headers": {"X-Y": "z"}, "bytes_max": BOUND}
        assert await ask("POST", "http://x/a/b", socket=str(path), **options) == expected  # type: ignore[arg-type] # mixed on purpose
        assert await ask("POST", f"{url}/a/b", **options) == expected  # type: ignore[arg-type] # mixed on purpose


async def test_a_redirect_is_an_answer(tmp_path: Path) -> None:
    """Nobody is sent elsewhere by what answers at a socket."""

    async def redirect(_: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    async with serving(tmp_path / "s", redirect):
        answer = await RealHttp().ask("GET", "http://x/", socket=str(tmp_path / "s"), bytes_max=BOUND)
    assert answer.status == 302


async def test_an_answer_has_a_bound(tmp_path: Path) -> None:
    """What is larger than wanted is not read; what is packed stays packed, so it cannot grow either."""

    async def endless(_: web.Request) -> web.Response:
        return web.Response(body=b"x" * (BOUND + 1))

    async with serving(tmp_path / "s", endless):
        with pytest.raises(HttpError, match="larger than 1000 bytes"):
            await RealHttp().ask("GET", "http://x/", socket=str(tmp_path / "s"), bytes_max=BOUND)


async def test_nobody_there(tmp_path: Path) -> None:
    """No socket and no listener behind one are an OSError that names itself."""
    with pytest.raises(FileNotFoundError) as caught:
        await RealHttp().ask("GET", "http://x/", socket=str(tmp_path / "s"), bytes_max=BOUND)
    assert caught.value.strerror == "No such file or directory"
    with pytest.raises(ConnectionRefusedError):
        await RealHttp().ask("GET", "http://127.0.0.1:1/", bytes_max=BOUND)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000,
    ],
)
async def test_what_is_no_http_is_said_to_be_none(tmp_path: Path, answer: bytes) -> None:
    """A server that hangs up, breaks off or speaks something else is an HttpError, never another exception."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_unix_server(talk, tmp_path / "s")
    async with server:
        with pytest.raises(HttpError):
            await RealHttp().ask("GET", "http://x/", socket=str(tmp_path / "s"), bytes_max=BOUND)


async def test_a_cancel_leaves_nothing_open(tmp_path: Path) -> None:
    """A caller's own time-out ends the request."""

    async def silent(_: web.Request) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with serving(tmp_path / "s", silent):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await RealHttp().ask("GET", "http://x/", socket=str(tmp_path / "s"), bytes_max=BOUND)
