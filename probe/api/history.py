"""What was: `/api/v1/resources/{group}/{resource}/history`, the minutes of probes behind a strip."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API, find_resource, whole_number
from probe.api.replies import json_reply
from probe.api.shapes import history_of
from probe.history.minutes import MINUTES_MAX

MINUTES = 60


async def history(request: web.Request) -> web.StreamResponse:
    """Answer with the last minutes of one resource."""
    report = find_resource(request)
    minutes = whole_number(request, "minutes", MINUTES, 1, MINUTES_MAX)
    past = request.app[API].service.past
    return json_reply(history_of(str(report.id), () if past is None else past.minutes.buckets(report.id, minutes)))
