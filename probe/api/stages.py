"""How long each stage of a resource's last probe took."""

from __future__ import annotations

import msgspec
from aiohttp import web

from probe.api.context import API, find_resource
from probe.api.replies import json_reply

SECONDS_DIGITS = 6


class StageTime(msgspec.Struct, frozen=True):
    """One stage of the dialogue, in the order in which it happened."""

    stage: str
    seconds: float


class Stages(msgspec.Struct, frozen=True):
    """The stages of the last probe, of the binding that decided; none where nothing is asked over a network."""

    id: str
    stages: tuple[StageTime, ...]


async def stages(request: web.Request) -> web.StreamResponse:
    """Answer with the stages of one resource's last probe."""
    report = find_resource(request)
    told = request.app[API].service.stages(report.id)
    times = tuple(StageTime(stage, round(seconds, SECONDS_DIGITS)) for stage, seconds in told)
    return json_reply(Stages(str(report.id), times), headers={"Cache-Control": "no-store"})
