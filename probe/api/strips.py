"""The heartbeat strips of many resources in one answer: `/api/v1/strips`, by their ids or by pages.

A strip is told in columns, one number a minute, so that a page of strips is small. It is made and sent in slices.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice

import msgspec
from aiohttp import web

from probe.api import replies
from probe.api.context import API, Api, whole_number
from probe.api.errors import Problem
from probe.api.history import MINUTES
from probe.api.replies import stream_reply
from probe.api.status import OBJECTS_PER_SLICE, Selection
from probe.history import minutes as kept_minutes
from probe.history.minutes import MINUTE_S
from probe.values import ResourceId

STRIPS_PER_PAGE = 200
STRIPS_PER_PAGE_MAX = 1000
MINUTES_MAX = 240  # of a strip; the history of one resource goes back further
CELLS_PER_SLICE = 600  # minutes told before the loop breathes


class Strip(msgspec.Struct, frozen=True):
    """A resource's minutes in columns, oldest first and without a hole; the last is the running one.

    All counts of a minute 0: nothing is known of it. The columns are empty when we keep no history.
    """

    id: str
    ok: tuple[int, ...]
    failed: tuple[int, ...]
    unknown: tuple[int, ...]
    max_s: tuple[float | None, ...]  # of the good answers, from the dial on


class Strips(msgspec.Struct, frozen=True):
    """A page of strips; `next` is the `after` of the following page."""

    bucket_s: int
    since: int  # when the first minute of each begins, seconds since the epoch; 0 when we keep no history
    strips: tuple[Strip, ...]
    next: str | None


async def strips(request: web.Request) -> web.StreamResponse:
    """Answer with the strips that were asked for."""
    api = request.app[API]
    minutes = whole_number(request, "minutes", MINUTES, 1, MINUTES_MAX)
    limit = whole_number(request, "limit", STRIPS_PER_PAGE, 1, STRIPS_PER_PAGE_MAX)
    ids = _named(request, api) if "ids" in request.query else _selected(Selection(request), api)
    past = api.service.past
    strips = None if past is None else past.minutes.strips(minutes)
    return await stream_reply(request, _slices(strips, minutes, ids, limit), replies.JSON)


def _named(request: web.Request, api: Api) -> Iterator[ResourceId]:
    """Give those that are named and there. Raises Problem (400)."""
    try:
        named = dict.fromkeys(map(ResourceId.parse, request.query["ids"].split(",")))
    except ValueError:
        raise Problem(400, "bad_query", "ids must be GROUP/NAME,GROUP/NAME") from None
    if len(named) > STRIPS_PER_PAGE_MAX:
        raise Problem(400, "bad_query", f"ids may name {STRIPS_PER_PAGE_MAX} resources")
    return (id for id in named if api.service.resource(id) is not None)


def _selected(selection: Selection, api: Api) -> Iterator[ResourceId | None]:
    return (None if report is None else report.id for report in selection.resources(api))


def _slices(
    strips: kept_minutes.Strips | None, minutes: int, ids: Iterator[ResourceId | None], limit: int
) -> Generator[bytes, None, None]:
    encode = msgspec.json.Encoder().encode
    yield b'{"bucket_s":%d,"since":%d,"strips":[' % (MINUTE_S, 0 if strips is None else strips.since)
    told, last, following, comma = 0, None, False, b""
    while batch := list(islice(ids, OBJECTS_PER_SLICE)):
        kept = [id for id in batch if id is not None]
        following = told + len(kept) > limit
        kept = kept[: limit - told]
        per_slice = max(1, CELLS_PER_SLICE // minutes)
        for begin in range(0, len(kept), per_slice):
            part = kept[begin : begin + per_slice]
            yield comma + b",".join(encode(_strip(strips, id)) for id in part)
            comma, told, last = b",", told + len(part), part[-1]
        if following:
            break
        yield b""
    yield b'],"next":%s}' % encode(str(last) if following else None)


def _strip(strips: kept_minutes.Strips | None, id: ResourceId) -> Strip:
    if strips is None:
        return Strip(str(id), (), (), (), ())
    buckets = strips.of(id)
    return Strip(
        str(id),
        tuple(bucket.ok for bucket in buckets),
        tuple(bucket.failed for bucket in buckets),
        tuple(bucket.unknown for bucket in buckets),
        tuple(bucket.max_s for bucket in buckets),
    )
