"""What happened: `/api/v1/events` by pages, `/api/v1/stream` as it happens (server-sent events).

A reader of the stream names the last event it saw (Last-Event-ID, or `?after=`) and gets what it missed from the
history first. One that is too slow loses its feed, not its place: it is caught up from the history again. Only when the
history no longer reaches back is it told `overrun`, which means: read the status.
"""

from __future__ import annotations

import asyncio
from contextlib import closing

import msgspec
from aiohttp import web

from probe.api.context import API, whole_number
from probe.api.errors import Problem
from probe.api.replies import json_reply, next_pass, send
from probe.api.service import Service, Subscription
from probe.api.shapes import Events, Overrun, event_of
from probe.lifecycle.report import EventReport

EVENTS_PER_PAGE = 100
EVENTS_PER_PAGE_MAX = 1000
SEQ_MAX = 2**63 - 1
RETRY_MS = 2000


async def events(request: web.Request) -> web.StreamResponse:
    """Answer with the events behind `after`, oldest first."""
    after = whole_number(request, "after", 0, 0, SEQ_MAX)
    limit = whole_number(request, "limit", EVENTS_PER_PAGE, 1, EVENTS_PER_PAGE_MAX)
    service = request.app[API].service
    page = service.events_after(after, limit)
    following = page[-1].seq if page else after if _is_ours(service, after) else 0
    return json_reply(Events(tuple(map(event_of, page)), following))


async def stream(request: web.Request) -> web.StreamResponse:
    """Send each event when it happens, until the reader goes."""
    api = request.app[API]
    seen = _seen(request)
    with api.streams.taken():
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await _Reader(request, response, seen).follow()
    return response


def _is_ours(service: Service, seq: int) -> bool:
    """Tell whether an event of that seq can have been seen in this run of ours: seqs begin again at 1 with each run."""
    return seq == 0 or bool(service.events_after(seq - 1, 1))


def _seen(request: web.Request) -> int | None:
    """Find the last event that the reader saw; a browser's Last-Event-ID goes before the query it was opened with."""
    last = request.headers.get("Last-Event-ID")
    if last is None:
        return whole_number(request, "after", 0, 0, SEQ_MAX) if "after" in request.query else None
    if last.isascii() and last.isdigit() and len(last) <= len(str(SEQ_MAX)):
        return int(last)
    raise Problem(400, "bad_event_id", "Last-Event-ID must be the id of an event of this stream")


class _Reader:
    """One connection that follows the stream."""

    def __init__(self, request: web.Request, response: web.StreamResponse, seen: int | None) -> None:
        self._api = request.app[API]
        self._request = request
        self._response = response
        self._seen = seen

    async def follow(self) -> None:
        """Catch up, then pass on what comes; begin again when the feed was overrun. Ends by cancellation or a reset."""
        await send(self._request, self._response, b"retry: %d\n\n" % RETRY_MS)
        overrun = False
        while True:
            with closing(self._api.service.subscribe()) as feed:  # before catching up: nothing falls in between
                await self._catch_up(overrun)
                await self._pass_on(feed)
            overrun = True

    async def _catch_up(self, overrun: bool) -> None:
        if self._seen is None:
            if overrun:
                await self._tell_overrun()
            return
        if not _is_ours(self._api.service, self._seen):
            await self._tell_overrun()
            self._seen = 0
        while page := self._api.service.events_after(self._seen, EVENTS_PER_PAGE):
            if page[0].seq > self._seen + 1:
                await self._tell_overrun()
            for event in page:
                await self._tell(event)
            await next_pass()

    async def _pass_on(self, feed: Subscription) -> None:
        keep_alive_s = self._api.settings.limits.keep_alive_s
        while not feed.overrun:
            try:
                async with asyncio.timeout(keep_alive_s):
                    event = await feed.next()
            except TimeoutError:
                await self._api.turnstile.enter()  # readers that came together are silent together
                await send(self._request, self._response, b": keep-alive\n\n")
                continue
            if self._seen is None or event.seq > self._seen:
                await self._api.turnstile.enter()
                await self._tell(event)

    async def _tell(self, event: EventReport) -> None:
        await send(self._request, self._response, self._api.frames.of(event))
        self._seen = event.seq

    async def _tell_overrun(self) -> None:
        body = msgspec.json.encode(Overrun(self._api.service.revision))
        await send(self._request, self._response, b"event: overrun\ndata: %s\n\n" % body)
