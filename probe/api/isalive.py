"""The cheapest question and the kubelet's: `/isalive`, `/looksalive`, `/livez`, `/readyz`; from the cache (S7, S8)."""

from __future__ import annotations

from aiohttp import web

from probe.api.context import API, find_resource
from probe.api.errors import Problem
from probe.api.replies import json_reply
from probe.api.shapes import Healthy, liveness_of
from probe.lifecycle.report import ResourceReport
from probe.values import Outcome, State


def blameless(report: ResourceReport, *, draining: bool = False) -> bool:
    """Tell whether restarting this very resource would be wrong: what `/livez` of a resource asks.

    Only a resource that failed by itself is to blame: not one whose provider is down, not one that an operator wants
    offline or that is on its way (the grace of a start), not one whose failure is held while its providers are asked
    (its state is still online), never one of which we cannot tell, and nobody while stops are planned.
    """
    caused_elsewhere = report.root_cause is not None and report.root_cause != report.id
    to_blame = report.state is State.FAILED and report.desired is State.ONLINE and not caused_elsewhere
    return draining or not to_blame or report.verdict is Outcome.UNKNOWN


async def isalive(request: web.Request) -> web.StreamResponse:
    """Answer 200 when the resource is alive, 503 when it is not; `/looksalive` is the same code (S8)."""
    report = find_resource(request)
    return _told(report, report.alive)


async def resource_livez(request: web.Request) -> web.StreamResponse:
    """Answer 503 only for the root cause."""
    report = find_resource(request)
    return _told(report, blameless(report, draining=request.app[API].service.draining))


async def resource_readyz(request: web.Request) -> web.StreamResponse:
    """Answer 503 for whatever cannot serve now, whoever is to blame."""
    report = find_resource(request)
    return _told(report, report.alive)


async def livez(request: web.Request) -> web.StreamResponse:
    """Answer whether we serve, whatever the services do."""
    if not request.app[API].service.serving:
        raise Problem(503, "not_serving", "looksalive is not serving")
    return json_reply(Healthy(ok=True), headers=_FRESH)


async def readyz(request: web.Request) -> web.StreamResponse:
    """Answer whether the store is loaded, the first round is done and no stop is planned."""
    if missing := request.app[API].service.not_ready:
        raise Problem(503, "not_ready", missing)
    return json_reply(Healthy(ok=True), headers=_FRESH)


def _told(report: ResourceReport, well: bool) -> web.Response:
    return json_reply(liveness_of(report), 200 if well else 503, _FRESH)


_FRESH = {"Cache-Control": "no-store"}
