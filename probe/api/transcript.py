"""`/api/v1/resources/{group}/{resource}/transcript`: what was said in the last failures, bounded and escaped."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API, find_resource
from probe.api.replies import json_reply
from probe.api.shapes import Transcripts


async def transcript(request: web.Request) -> web.StreamResponse:
    """Answer with the dialogues that are kept of a resource."""
    report = find_resource(request)
    told = request.app[API].service.transcripts(report.id)
    return json_reply(Transcripts(str(report.id), told), headers={"Cache-Control": "no-store"})
