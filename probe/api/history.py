"""What was: the minutes of probes behind a strip, the states of a resource over time, `/api/v1/report`.

Minutes are kept in memory; the rest is read from the history's file, in threads, a few at a time (`past.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from probe.api.context import API, Api, find_resource, whole_number
from probe.api.errors import Problem
from probe.api.fanout import Seats
from probe.api.replies import json_reply
from probe.api.shapes import history_of
from probe.history.edges import Course, of_memory
from probe.history.minutes import MINUTES_MAX
from probe.history.past import Past
from probe.history.recent import EVENTS_MAX
from probe.history.recording import Unusable
from probe.history.since import read_since
from probe.history.timeline import Timeline, Turn, fold
from probe.lifecycle.report import ResourceReport

MINUTES = 60
SINCE = "30d"
TIMELINE_SINCE = "24h"


async def history(request: web.Request) -> web.StreamResponse:
    """Answer with the last minutes of one resource."""
    report = find_resource(request)
    minutes = whole_number(request, "minutes", MINUTES, 1, MINUTES_MAX)
    past = request.app[API].service.past
    return json_reply(history_of(str(report.id), () if past is None else past.minutes.buckets(report.id, minutes)))


async def report(request: web.Request) -> web.StreamResponse:
    """Answer with the availability of every resource since a time. One is worked out at once, in a thread."""
    api = request.app[API]
    past = api.service.past
    if past is None:
        raise Problem(409, "no_history", "this service keeps no history; start it without --history off")
    since = since_of(request, SINCE, past.clock.wall())
    with reading(api.reports):
        try:
            return json_reply(await past.availability(since))
        except FileNotFoundError:
            raise Problem(503, "no_history_yet", "nothing of the history is written yet; ask again") from None


async def timeline(request: web.Request) -> web.StreamResponse:
    """Answer with the states of one resource since a time: from the file, and what memory has beyond it."""
    api = request.app[API]
    report = find_resource(request)
    past = api.service.past
    wall = api.service.wall()
    since = since_of(request, TIMELINE_SINCE, wall)
    course = _course(api, report, past)
    if past is None:
        return json_reply(_remembered(course, since, wall))
    with reading(api.readings):
        try:
            return json_reply(await past.timeline(course, since))
        except FileNotFoundError:
            return json_reply(_remembered(course, since, wall))


def since_of(request: web.Request, default: str, wall: float) -> float:
    """Read `since` from the query, in seconds since the epoch. Raises Problem (400)."""
    try:
        return read_since(request.query.get("since", default), wall)
    except ValueError as error:
        raise Problem(400, "bad_query", f"since: {error}") from None


@contextmanager
def reading(seats: Seats) -> Iterator[None]:
    """Hold one of the seats while the file is read, and say what kept it from being read. Raises Problem (503)."""
    with seats.taken():
        try:
            yield
        except Unusable as problem:
            raise Problem(503, "history_unusable", f"the history cannot be used: {problem}") from None
        except FileNotFoundError:
            raise
        except OSError:  # a time-out of ours, behind others or at the disk; or no thread left beside those that hang
            message = "the history was not read in time: others are reading it, or its disk hangs; ask again later"
            raise Problem(503, "history_slow", message, {"Retry-After": "10"}) from None


def _course(api: Api, report: ResourceReport, past: Past | None) -> Course:
    """Collect what memory knows of a resource's course."""
    id = str(report.id)
    edges = [edge for edge in api.service.events_after(0, EVENTS_MAX) if edge.id == id and edge.kind == "state"]
    cause = None if report.root_cause is None else str(report.root_cause)
    now = Turn(report.since, str(report.state), str(report.reason), report.evidence, cause)
    begun = min([report.since, *(edge.time for edge in edges[:1])]) if past is None else past.begun
    return Course(id, begun, edges, now)


def _remembered(course: Course, since: float, until: float) -> Timeline:
    return fold(course.id, since, until, of_memory(course))
