"""`/api/v1/events` and `/api/v1/stream`: order, resumption, slow readers, bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from probe.api.app import ApiSettings
from probe.api.limits import Limits
from probe.values import Reason, ResourceId, State
from tests.api.conftest import Opener, Outside
from tests.api.service import StaticService, failed, report

UP, DOWN = report("smtp"), failed("smtp")


def _flap(service: StaticService, count: int, evidence: str = "") -> None:
    for number in range(count):
        service.edge(DOWN if number % 2 == 0 else UP, evidence=evidence)


class Stream:
    """A reader of the stream: frames as (event, id, data)."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def frame(self) -> dict[str, str]:
        """Read the next frame with data; comments and the retry are passed over."""
        while True:
            fields = await self.raw()
            if "data" in fields:
                return fields

    async def raw(self) -> dict[str, str]:
        async with asyncio.timeout(5):
            text = (await self.answer.content.readuntil(b"\n\n")).decode()
        return {name: value.lstrip() for name, _, value in (line.partition(":") for line in text.rstrip().split("\n"))}

    async def seqs(self, count: int) -> list[int]:
        return [int((await self.frame())["id"].partition("@")[0]) for _ in range(count)]


@asynccontextmanager
async def stream_of(api: Outside, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    async with api.session.get(f"{api.server.url}api/v1/stream{query}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/event-stream"
        stream = Stream(answer)
        assert await stream.raw() == {"retry": "2000"}
        yield stream


async def test_events_by_pages(opened: Opener) -> None:
    """Each event is told once, oldest first, with the contract's fields; `next` leads on."""
    service = StaticService(UP)
    api = await opened(service)
    service.edge(failed("smtp", Reason.EOF, root_cause=ResourceId("evs1", "store"), evidence="<b>"), trigger="kernel")
    _flap(service, 3)
    _, _, body = await api.get("/api/v1/events?limit=3")
    told = json.loads(body)
    assert told["events"][0] == {
        "seq": 1,
        "time": 1_700_000_001.0,
        "id": "evs1/smtp",
        "kind": "state",
        "from": "online",
        "to": "failed",
        "reason": "eof",
        "evidence": "<b>",
        "root_cause": "evs1/store",
        "trigger": "kernel",
        "operation": None,
    }
    assert ([one["seq"] for one in told["events"]], told["next"]) == ([1, 2, 3], 3)
    _, _, body = await api.get("/api/v1/events?after=3")
    assert ([one["seq"] for one in json.loads(body)["events"]], json.loads(body)["next"]) == ([4], 4)
    _, _, body = await api.get("/api/v1/events?after=4")
    assert json.loads(body) == {"events": [], "next": 4}


async def test_a_page_behind_what_never_was_begins_again(opened: Opener) -> None:
    """A seq that this run has not reached is of an earlier run: the reader is led to the beginning."""
    api = await opened(StaticService(UP))
    _flap(api.service, 2)
    _, _, body = await api.get("/api/v1/events?after=500")
    assert json.loads(body) == {"events": [], "next": 0}


@pytest.mark.parametrize("query", ["after=-1", "after=x", "limit=0", "limit=1001"])
async def test_nonsense_is_refused(opened: Opener, query: str) -> None:
    """A page that makes no sense is 400."""
    assert (await (await opened()).get(f"/api/v1/events?{query}"))[0] == 400


async def test_the_stream_tells_edges_as_they_happen(opened: Opener) -> None:
    """A frame has the seq as its id and the very object of /api/v1/events as its data."""
    service = StaticService(UP)
    api = await opened(service)
    async with stream_of(api) as stream:
        await api.readers_are(1)
        service.edge(DOWN, evidence="line\nid: 99\n\ndata: {}")
        frame = await stream.frame()
        _, _, body = await api.get("/api/v1/events")
        event = json.loads(body)["events"][0]
        assert (json.loads(frame["data"]), frame["id"]) == (event, f"1@{event['time']!r}")


@pytest.mark.parametrize("by", ["header", "query", "both"])
async def test_a_stream_resumes_where_it_was(opened: Opener, by: str) -> None:
    """Last-Event-ID (or ?after=) gets what was missed, then what comes, each once; the header goes first."""
    service = StaticService(UP)
    api = await opened(service)
    _flap(service, 250)
    headers = {"Last-Event-ID": "3"} if by != "query" else {}
    query = {"header": "", "query": "?after=3", "both": "?after=200"}[by]
    async with stream_of(api, query, **headers) as stream:
        assert await stream.seqs(247) == list(range(4, 251))
        service.edge(DOWN)
        assert await stream.seqs(1) == [251]


async def test_a_stream_whose_past_is_gone_says_so(opened: Opener) -> None:
    """When the history no longer reaches back to what was seen, `overrun` comes before the rest."""
    service = StaticService(UP, history_max=5)
    api = await opened(service)
    _flap(service, 20)
    async with stream_of(api, **{"Last-Event-ID": "3"}) as stream:
        frame = await stream.frame()
        assert (frame["event"], json.loads(frame["data"])) == ("overrun", {"revision": 21})
        assert await stream.seqs(5) == [16, 17, 18, 19, 20]


async def test_a_stream_of_an_earlier_run_begins_again(opened: Opener) -> None:
    """A reader that saw more than we ever told is of an earlier run: it is told so and loses nothing of this one."""
    service = StaticService(UP)
    api = await opened(service)
    _flap(service, 2)
    async with stream_of(api, **{"Last-Event-ID": "500"}) as stream:
        assert (await stream.frame())["event"] == "overrun"
        assert await stream.seqs(2) == [1, 2]
        service.edge(DOWN)
        assert await stream.seqs(1) == [3]


async def test_a_stream_of_an_earlier_run_begins_again_also_where_we_have_told_more(opened: Opener) -> None:
    """The id names the event, not only its number: event 1 of another run is not ours, so all of this run is told."""
    service = StaticService(UP)
    api = await opened(service)
    _flap(service, 3)
    ours = service.events_after(0, 1)[0].time
    async with stream_of(api, **{"Last-Event-ID": f"1@{ours - 60.0!r}"}) as stream:
        assert (await stream.frame())["event"] == "overrun"
        assert await stream.seqs(3) == [1, 2, 3]
    async with stream_of(api, **{"Last-Event-ID": f"1@{ours!r}"}) as stream:
        assert await stream.seqs(2) == [2, 3]


@pytest.mark.parametrize("seen", ["x", "1@", "@5", "-1", "1.5", "\u0661", "9" * 40])
async def test_a_foreign_event_id_is_refused(opened: Opener, seen: str) -> None:
    """An id that is none of ours is 400."""
    code, _, _ = await (await opened()).get("/api/v1/stream", Last_Event_ID=seen)
    assert code == 400


async def test_a_slow_reader_loses_no_event_and_holds_nobody_up(opened: Opener) -> None:
    """Who does not read while much happens is passed over and caught up in order; the others hear all at once."""
    count, evidence = 900, "x" * 20_000  # more than all the buffers on the way hold
    service = StaticService(UP, history_max=count + 1)
    api = await opened(service)
    async with stream_of(api) as slow, stream_of(api) as quick:
        await api.readers_are(2)
        service.edge(DOWN, evidence=evidence)
        assert await slow.seqs(1) == [1]
        for begin in range(1, count, 10):
            _flap(service, 10, evidence)
            assert await quick.seqs(10 if begin > 1 else 11) == list(range(begin + (begin > 1), begin + 11))
        assert any(reader.wire.writing_paused for reader in api.relay.readers)
        assert await slow.seqs(count) == list(range(2, count + 2))


async def test_a_reader_left_behind_by_the_history_is_told(opened: Opener) -> None:
    """A reader that fell behind further than the history reaches gets `overrun` once, and then the newest events."""
    service = StaticService(UP, history_max=3)
    api = await opened(service)
    async with stream_of(api) as stream:
        await api.readers_are(1)
        service.edge(DOWN)
        assert await stream.seqs(1) == [1]
        _flap(service, 20)  # in one pass of the loop
        frames = [await stream.frame() for _ in range(4)]
    assert [frame.get("event") for frame in frames] == ["overrun", None, None, None]
    assert [frame["id"].partition("@")[0] for frame in frames[1:]] == ["19", "20", "21"]


async def test_a_reader_that_takes_nothing_loses_itself_alone(opened: Opener) -> None:
    """A reader whose buffers stay full for `write_s` is cut off; one beside it hears everything."""
    service = StaticService(UP)
    api = await opened(service, settings=ApiSettings(limits=Limits(write_s=0.3)))
    stuck_reader, stuck = await asyncio.open_connection("127.0.0.1", api.port, limit=1024)
    stuck.write(b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await stuck_reader.readuntil(b"retry: ")
    async with stream_of(api) as quick:
        await api.readers_are(2)
        told = 0
        while len(api.relay.readers) == 2:
            _flap(service, 10, "x" * 20_000)
            assert await quick.seqs(10) == list(range(told + 1, told + 11))
            told += 10
        assert not quick.answer.content.at_eof()
    stuck.close()


async def test_a_reader_that_goes_frees_its_seat_at_once(opened: Opener) -> None:
    """No event and no sign of life is needed to find out that a reader has gone."""
    api = await opened(StaticService(UP))
    async with stream_of(api):
        await api.readers_are(1)
    await api.readers_are(0)


async def test_an_old_client_gets_its_stream_unchunked(opened: Opener) -> None:
    """HTTP/1.0 knows no chunks: frames come as they are."""
    service = StaticService(UP)
    api = await opened(service)
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(b"GET /api/v1/stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    await api.readers_are(1)
    service.edge(DOWN)
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\n\n") == b"retry: 2000\n\n"
        assert (await reader.readuntil(b"\ndata: ")).startswith(b"id: 1@")
    writer.close()


async def test_a_silent_stream_shows_signs_of_life(opened: Opener) -> None:
    """Without events a comment comes now and then, and loses none that follow."""
    service = StaticService(UP)
    api = await opened(service, settings=ApiSettings(limits=Limits(keep_alive_s=0.05)))
    async with stream_of(api) as stream:
        assert await stream.raw() == {"": "keep-alive"}
        assert await stream.raw() == {"": "keep-alive"}
        service.edge(DOWN)
        assert await stream.seqs(1) == [1]


async def test_readers_are_bounded(opened: Opener) -> None:
    """One reader more than there are seats is told to come back; a seat is free again when its reader goes."""
    service = StaticService(UP)
    api = await opened(service, settings=ApiSettings(limits=Limits(streams=2, keep_alive_s=0.05)))
    async with stream_of(api), stream_of(api):
        code, headers, body = await api.get("/api/v1/stream")
        assert (code, headers["Retry-After"], json.loads(body)["error"]["code"]) == (503, "5", "too_many_readers")
    await api.readers_are(0)
    async with stream_of(api):
        pass


async def test_one_event_reaches_many_readers(opened: Opener) -> None:
    """200 readers all get the same event, written to in slices."""
    service = StaticService(UP)
    api = await opened(service, settings=ApiSettings(limits=Limits(per_address=1000)))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        answers: list[Any] = [await session.get(f"{api.server.url}api/v1/stream") for _ in range(200)]
        await api.readers_are(200)
        service.edge(failed("smtp", state=State.FAILED))
        assert [await Stream(answer).seqs(1) for answer in answers] == [[1]] * 200
        for answer in answers:
            answer.close()
