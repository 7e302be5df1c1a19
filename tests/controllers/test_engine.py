"""The real connection to a container engine, against a small HTTP server on a unix socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from probe.controllers import engine
from probe.controllers.engine import EVENT_BYTES_MAX, REPLY_BYTES_MAX, Reply, open_engine
from probe.controllers.link import LinkError
from probe.values import Reason

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(folder: Path, handler: Handler) -> AsyncIterator[Any]:
    """Serve every path by `handler` and connect to it."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.UnixSite(runner, str(folder / "s")).start()
    connection = await open_engine(str(folder / "s"))
    try:
        yield connection
    finally:
        await connection.close()
        await runner.cleanup()


def answering(*lines: bytes, status: int = 200) -> Handler:
    """Answer with the lines, one write each, and end."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        for line in lines:
            await response.write(line)
        await response.write_eof()
        return response

    return handle


async def test_a_request_and_its_answer(tmp_path: Path) -> None:
    """Method, path and query arrive as given; the answer is its status and its JSON."""

    async def echo(request: web.Request) -> web.StreamResponse:
        return web.json_response([request.method, request.path, dict(request.query)], status=201)

    async with serving(tmp_path, echo) as connection:
        reply = await connection.ask("POST", "/containers/a/stop", {"t": "3"})
        assert reply == Reply(201, ["POST", "/containers/a/stop", {"t": "3"}])


async def test_an_answer_without_a_body(tmp_path: Path) -> None:
    """204 and 304 carry nothing, which is an answer, too."""
    async with serving(tmp_path, answering(status=204)) as connection:
        assert await connection.ask("POST", "/x", {}) == Reply(204, None)


def test_what_an_engine_says_went_wrong() -> None:
    """Its own message, or else the status."""
    assert Reply(500, {"message": "no room"}).message == "no room"
    assert Reply(500, ["no room"]).message == Reply(500, None).message == "status 500"


async def test_an_answer_is_bounded(tmp_path: Path) -> None:
    """An engine that does not stop talking is cut off."""
    chunk = b" " * (1 << 16)
    lines = [chunk] * (REPLY_BYTES_MAX // len(chunk) + 1)
    async with serving(tmp_path, answering(*lines)) as connection:
        with pytest.raises(LinkError, match="more than"):
            await connection.ask("GET", "/x", {})


async def test_what_is_no_json_is_no_engine(tmp_path: Path) -> None:
    """Something else that answers on the socket is recognised."""
    async with serving(tmp_path, answering(b"<html>")) as connection:
        with pytest.raises(LinkError, match="is it Docker or Podman"):
            await connection.ask("GET", "/x", {})


async def test_no_socket_and_no_right() -> None:
    """A socket that is not there is said to be; the reason is ours."""
    connection = await open_engine("/nowhere/s")
    with pytest.raises(LinkError, match=r"at /nowhere/s cannot be reached: No such file") as caught:
        await connection.ask("GET", "/x", {})
    assert caught.value.reason is Reason.PROBE_INTERNAL
    await connection.close()


async def collect(stream: Any) -> list[Any]:
    """Take events until the stream ends."""
    async with aclosing(stream) as events:
        return [event async for event in events]


async def test_events_arrive_one_by_one(tmp_path: Path) -> None:
    """First the word that the stream stands, then each event however it was cut; what is no object is passed over."""
    first, second = json.dumps({"Action": "die"}).encode(), json.dumps({"Action": "kill"}).encode()
    pieces = (first[:5], first[5:] + b"\n\n" + second + b"\n", b"[1]\n")
    async with serving(tmp_path, answering(*pieces)) as connection:
        assert await collect(connection.events({})) == [None, {"Action": "die"}, {"Action": "kill"}]


async def test_a_quiet_stream_stands_at_once(tmp_path: Path) -> None:
    """The stream is known to stand before anything has happened, and can be left at any time."""

    async def hang(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    async with serving(tmp_path, hang) as connection, asyncio.timeout(5), aclosing(connection.events({})) as events:
        assert await anext(events) is None


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (answering(b"x" * (3 * EVENT_BYTES_MAX) + b"\n"), "engine at"),
        (answering(b"no json\n"), "is it Docker or Podman"),
        (answering(b"{}", status=404), "no events: status 404"),
    ],
)
async def test_a_stream_that_makes_no_sense_is_given_up(tmp_path: Path, handler: Handler, words: str) -> None:
    """An endless line, a line that is no JSON and a refusal end the stream with an error."""
    async with serving(tmp_path, handler) as connection:
        with pytest.raises(LinkError, match=words):
            await collect(connection.events({}))


async def test_an_engine_that_dies_in_the_middle(tmp_path: Path) -> None:
    """A connection that breaks off is an error of the link, for a request as for the stream."""

    async def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with serving(tmp_path, drop) as connection:
        with pytest.raises(LinkError, match="engine at"):
            await connection.ask("GET", "/x", {})
        with pytest.raises(LinkError, match="engine at"):
            await collect(connection.events({}))


def test_the_engine_is_named_without_a_network() -> None:
    """The host of the URL is a word only: no name is ever resolved for it."""
    assert engine._HOST == "http://engine"
