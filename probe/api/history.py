"""What was: `/api/v1/resources/{group}/{resource}/history`, the minutes of probes behind a strip; `/api/v1/report`."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API, find_resource, whole_number
from probe.api.errors import Problem
from probe.api.replies import json_reply
from probe.api.shapes import history_of
from probe.history.minutes import MINUTES_MAX
from probe.history.recording import Unusable
from probe.history.since import read_since

MINUTES = 60
SINCE = "30d"


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
    try:
        since = read_since(request.query.get("since", SINCE), past.clock.wall())
    except ValueError as error:
        raise Problem(400, "bad_query", f"since: {error}") from None
    with api.plans.taken():
        try:
            return json_reply(await past.availability(since))
        except FileNotFoundError:
            raise Problem(503, "no_history_yet", "nothing of the history is written yet; ask again") from None
        except Unusable as problem:
            raise Problem(503, "history_unusable", f"the history cannot be used: {problem}") from None
