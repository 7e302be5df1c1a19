"""`/api/v1/events`, also backwards: from what memory has into what was recorded, over all runs of ours.

Forwards (`after`) a page is of this run alone, since seqs begin anew with each. Backwards (`before`, or `since`) a page
holds the last events before a place; the `previous` that comes with it is the place before its oldest one, and means
the same when the service has been started anew meanwhile. The oldest comes first on every page.
"""

from __future__ import annotations

import re
from itertools import islice

from aiohttp import web

from probe.api import events as pages
from probe.api.context import API, Api, whole_number
from probe.api.errors import Problem
from probe.api.events import EVENTS_PER_PAGE, EVENTS_PER_PAGE_MAX, SEQ_MAX
from probe.api.history import reading, since_of
from probe.api.replies import json_reply
from probe.api.shapes import Events, event_of
from probe.history.edges import Cursor, Wanted
from probe.history.recent import EVENTS_MAX
from probe.lifecycle.report import EventReport

KINDS = ("state", "operation", "maintenance")
_TARGET = re.compile(r"[A-Za-z0-9][\w.-]{0,252}(/[A-Za-z0-9][\w.-]{0,252})?", re.ASCII)


async def events(request: web.Request) -> web.StreamResponse:
    """Answer with a page of events, oldest first."""
    query = request.query.keys()
    if not query & {"before", "since", "id", "kind"}:
        return await pages.events(request)
    if "after" in query and query & {"before", "since"}:
        raise Problem(400, "bad_query", "after leads forwards, before and since backwards: pass one of them")
    api = request.app[API]
    limit = whole_number(request, "limit", EVENTS_PER_PAGE, 1, EVENTS_PER_PAGE_MAX)
    wanted = _wanted(request, api.service.wall())
    if query & {"before", "since"}:
        return json_reply(await _before(api, _cursor(request), wanted, limit))
    after = whole_number(request, "after", 0, 0, SEQ_MAX)
    kept = api.service.events_after(after, EVENTS_MAX)
    page = list(islice(filter(wanted.takes, kept), limit))
    last = page[-1:] if len(page) == limit else kept[-1:]
    following = last[0].seq if last else after if after == 0 or api.service.events_after(after - 1, 1) else 0
    return json_reply(Events(tuple(map(event_of, page)), following))


async def _before(api: Api, cursor: Cursor | None, wanted: Wanted, limit: int) -> Events:
    kept = api.service.events_after(0, EVENTS_MAX)
    following = kept[-1].seq if kept else 0
    inside = _inside(kept, cursor)
    found = list(islice(filter(wanted.takes, reversed(kept[:inside])), limit + 1))  # the newest first
    more = len(found) > limit
    if not more and api.service.past is not None:
        place = Cursor.before(kept[0]) if kept and (inside or cursor is None) else cursor
        try:
            with reading(api.readings):
                found += await api.service.past.before(place, wanted, limit + 1 - len(found))
            more = len(found) > limit
        except FileNotFoundError:
            pass  # nothing is written yet
        except Problem:
            if not found:
                raise
            more = True  # who asks on is told why there is nothing
    page = found[:limit]
    previous = str(Cursor.before(page[-1])) if more else None
    return Events(tuple(map(event_of, reversed(page))), following, previous)


def _inside(kept: list[EventReport], cursor: Cursor | None) -> int:
    """Say how many of what memory has are before the place; 0: it is not in memory."""
    if cursor is None:
        return len(kept)
    at = cursor.seq - kept[0].seq if kept else -1
    return at if 0 <= at < len(kept) and kept[at].time == cursor.time else 0


def _cursor(request: web.Request) -> Cursor | None:
    text = request.query.get("before", "")
    try:
        return Cursor.parse(text) if text else None
    except ValueError as error:
        raise Problem(400, "bad_query", f"before: {error}") from None


def _wanted(request: web.Request, wall: float) -> Wanted:
    """Read which events are asked for. Raises Problem (400)."""
    target, kind = request.query.get("id", ""), request.query.get("kind", "")
    if target and not _TARGET.fullmatch(target):
        raise Problem(400, "bad_query", "id must be GROUP/NAME or GROUP")
    if kind not in ("", *KINDS):
        raise Problem(400, "bad_query", f"kind must be one of {', '.join(KINDS)}")
    return Wanted(target, kind, since_of(request, "", wall) if "since" in request.query else 0.0)
