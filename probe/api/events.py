"""What happened: `/api/v1/events` by pages, `/api/v1/stream` as it happens (server-sent events).

A reader of the stream names the last event it saw (Last-Event-ID, or `?after=`) and gets what it missed from the
history first. One that is too slow is passed over, not forgotten: it is caught up from the history. Only when that no
longer reaches back is it told `overrun`, which means: read the status.
"""

from __future__ import annotations

from contextlib import suppress

from aiohttp import HttpVersion11, web

from probe.api.context import API, whole_number
from probe.api.errors import Problem
from probe.api.relay import Seen, is_ours
from probe.api.replies import json_reply, send
from probe.api.server import Connection
from probe.api.shapes import Events, event_of
from probe.history.edges import Cursor

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
    following = page[-1].seq if page else after if is_ours(service, Seen(after)) else 0
    return json_reply(Events(tuple(map(event_of, page)), following))


async def stream(request: web.Request) -> web.StreamResponse:
    """Send each event when it happens, until the reader goes."""
    api = request.app[API]
    seen = _seen(request)
    connection = request.protocol
    assert isinstance(connection, Connection), "only our own server serves this application"
    with api.streams.taken():
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        )
        chunked = request.version >= HttpVersion11
        if chunked:
            response.enable_chunked_encoding()
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        await send(request, response, b"retry: %d\n\n" % RETRY_MS)
        with api.relay.joined(connection, seen, chunked=chunked) as reader, connection.followed_by(reader):
            await reader.gone  # the relay writes; this task has nothing to do until the connection ends
    return response


def _seen(request: web.Request) -> Seen | None:
    """Find the last event that the reader saw; a browser's Last-Event-ID goes before the query it was opened with."""
    last = request.headers.get("Last-Event-ID")
    if last is None:
        return Seen(whole_number(request, "after", 0, 0, SEQ_MAX)) if "after" in request.query else None
    if last.isascii() and last.isdigit() and len(last) <= len(str(SEQ_MAX)):
        return Seen(int(last))
    with suppress(ValueError):
        return Seen(*Cursor.parse(last))
    raise Problem(400, "bad_event_id", "Last-Event-ID must be the id of an event of this stream")
