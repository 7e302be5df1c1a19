"""`/metrics`: the numbers as text, made while it is being sent."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API
from probe.api.replies import stream_reply
from probe.metrics import chunks

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def scrape(request: web.Request) -> web.StreamResponse:
    """Answer with every series."""
    api = request.app[API]
    with api.scrapes.taken():
        slices = (piece.encode() for piece in chunks(api.metrics, api.service.levels()))
        return await stream_reply(request, slices, CONTENT_TYPE)
