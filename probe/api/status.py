"""The whole picture and its parts: `/api/v1/status`, one group, one resource.

The picture of many resources is made and sent in slices. Its revision is read first: an edge that happens while it is
being sent may or may not be in it, and then the revision is behind, so that whoever waits for the next one gets it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from itertools import islice

import msgspec
from aiohttp import web

from probe.api import replies
from probe.api.context import API, Api, find_resource, whole_number
from probe.api.errors import Problem
from probe.api.replies import json_reply, next_pass, stream_reply
from probe.api.shapes import StorageGroups, directory_of, group_of, resource_of
from probe.lifecycle.report import ResourceReport
from probe.values import ResourceId, State, evidence_of

OBJECTS_PER_SLICE = 150  # some two milliseconds
PAGE_RESOURCES_MAX = 100_000
REVISION_MAX = 2**63 - 1
WAIT_S = 25  # below the 30 s at which proxies commonly give up
WAIT_S_MAX = 60


async def status(request: web.Request) -> web.StreamResponse:
    """Answer with every group and resource, or with the page that was asked for."""
    api = request.app[API]
    selection = Selection(request)
    if "wait" in request.query:
        await _wait(request, api)
    etag = _etag(api)
    if _matches(request, etag):
        return web.Response(status=304, headers={"ETag": etag, "Cache-Control": "no-cache"})
    return await stream_reply(request, _slices(api, selection), replies.JSON, {"ETag": etag})


async def group(request: web.Request) -> web.StreamResponse:
    """Answer with one group."""
    name = request.match_info["group"]
    for report in request.app[API].service.groups(name):
        if report is not None:
            return json_reply(group_of(report))
        await next_pass()
    raise Problem(404, "no_such_group", f"there is no group {evidence_of(name)}")


async def resource(request: web.Request) -> web.StreamResponse:
    """Answer with one resource."""
    return json_reply(resource_of(find_resource(request)))


class Selection:
    """Which part of the picture the query asks for. Raises Problem (400) for what makes no sense."""

    def __init__(self, request: web.Request) -> None:
        query = request.query
        self.limit = whole_number(request, "limit", PAGE_RESOURCES_MAX, 1, PAGE_RESOURCES_MAX)
        self.whole = "limit" not in query
        self.group = query.get("group")
        self.state = None
        if (state := query.get("state")) is not None:
            if state not in _STATES:
                raise Problem(400, "bad_query", f"state must be one of {', '.join(_STATES)}")
            self.state = State(state)
        self.after = None
        if (after := query.get("after")) is not None:
            try:
                self.after = ResourceId.parse(after)
            except ValueError:
                raise Problem(400, "bad_query", "after must be GROUP/NAME") from None
            if request.app[API].service.resource(self.after) is None:
                raise Problem(400, "bad_query", "the resource named in after is gone; begin again without it")

    def resources(self, api: Api) -> Iterator[ResourceReport | None]:
        """Yield what is asked for, and None for what is passed over, so that passing over is sliced too."""
        passed = self.after is None
        for report in api.service.resources():
            if not passed:
                passed = report.id == self.after
                yield None
            elif (self.group is None or report.id.group == self.group) and self.state in (None, report.state):
                yield report
            else:
                yield None


_STATES = tuple(str(state) for state in State)


def _slices(api: Api, selection: Selection) -> Generator[bytes, None, None]:
    encode = msgspec.json.Encoder().encode
    yield b'{"revision":%d,"node":%s,"groups":[' % (api.service.revision, encode(api.service.node))
    yield from _listed(None if one is None else encode(group_of(one)) for one in api.service.groups(selection.group))
    yield b'],"resources":['
    told, last, following = 0, None, False
    comma = b""
    reports = selection.resources(api)
    while batch := list(islice(reports, OBJECTS_PER_SLICE)):
        kept = [report for report in batch if report is not None]
        if not selection.whole and told + len(kept) > selection.limit:
            kept, following = kept[: selection.limit - told], True
        if kept:
            yield comma + b",".join(encode(resource_of(report)) for report in kept)
            comma, told, last = b",", told + len(kept), kept[-1].id
        else:
            yield b""
        if following:
            break
    room = encode(StorageGroups(*api.service.storage_groups))
    place = None if (report := api.service.directory) is None else directory_of(report)
    tail = (encode(str(last) if following else None), room, encode(place))
    yield b'],"next":%s,"storage_groups":%s,"directory":%s}' % tail


def _listed(encoded: Iterator[bytes | None]) -> Iterator[bytes]:
    """Write a list with commas, so much in a slice; None ends a slice."""
    batch: list[bytes] = []
    comma = b""
    for one in encoded:
        if one is not None:
            batch.append(one)
        if one is None or len(batch) >= OBJECTS_PER_SLICE:
            yield comma + b",".join(batch) if batch else b""
            comma, batch = comma or b"," if batch else comma, []
    if batch:
        yield comma + b",".join(batch)


async def _wait(request: web.Request, api: Api) -> None:
    """Hold a long poll until the revision is above the one named, or the time is over.

    A revision that we have not reached is one of an earlier run of ours: what its reader knows is old, so no waiting.
    """
    revision = whole_number(request, "wait", 0, 0, REVISION_MAX)
    timeout_s = whole_number(request, "timeout_s", WAIT_S, 1, WAIT_S_MAX)
    if revision == api.service.revision:
        with api.waits.taken():
            await api.service.wait_past(revision, timeout_s)


def _etag(api: Api) -> str:
    """Name this picture; weak, because ages and evidence move without a new revision."""
    return f'W/"{api.settings.instance}.{api.service.revision}"'


def _matches(request: web.Request, etag: str) -> bool:
    """Compare If-None-Match weakly (RFC 9110 section 13.1.2)."""
    named = request.headers.get("If-None-Match", "")
    return named.strip() == "*" or etag.removeprefix("W/") in {
        tag.strip().removeprefix("W/") for tag in named.split(",")
    }
