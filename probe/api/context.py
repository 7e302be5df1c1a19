"""What every handler needs: the service, the numbers, the settings, and the seats that bound who may wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from probe.api.door import Door, Network
from probe.api.errors import Problem
from probe.api.fanout import Seats
from probe.api.limits import Limits
from probe.api.relay import Relay
from probe.api.service import Service
from probe.api.tokens import TokenFile, TokenFiles
from probe.history.attempt import Attempt
from probe.lifecycle.report import ResourceReport
from probe.metrics import Metrics
from probe.values import ResourceId, evidence_of


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What an operator decides about the outside."""

    allowed_hosts: tuple[str, ...] = ()  # names beside IP literals and loopback names that the Host header may say
    token_file: str | None = None  # without one, control verbs are off
    files: TokenFiles | None = None  # the environment's files; needed with a token file
    limits: Limits = field(default_factory=Limits)
    trusted_proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed
    audit: Callable[[Attempt], None] | None = None  # is told of refused control requests, and of changes of the store
    instance: str = ""  # differs from run to run, so that an ETag of an earlier run never matches


@dataclass(frozen=True, slots=True)
class Api:
    """Everything a handler may touch."""

    service: Service
    metrics: Metrics
    settings: ApiSettings
    tokens: TokenFile | None
    streams: Seats
    waits: Seats
    scrapes: Seats
    plans: Seats
    readings: Seats
    reports: Seats
    door: Door
    relay: Relay

    def close(self) -> None:
        """End every request that waits for something to happen."""
        for seats in (self.streams, self.waits, self.scrapes, self.plans, self.readings, self.reports):
            seats.clear()


API = web.AppKey("api", Api)


def resource_id(request: web.Request) -> ResourceId:
    """Take the resource's id from the path."""
    return ResourceId(request.match_info["group"], request.match_info["resource"])


def find_resource(request: web.Request) -> ResourceReport:
    """Look up the resource that the path names. Raises Problem (404)."""
    id = resource_id(request)
    report = request.app[API].service.resource(id)
    if report is None:
        raise Problem(404, "no_such_resource", f"there is no resource {evidence_of(str(id))}")
    return report


def whole_number(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """Read a whole number from the query. Raises Problem (400) outside of [low, high]."""
    text = request.query.get(name)
    if text is None:
        return default
    digits = len(str(high))
    if text.isascii() and text.isdigit() and len(text) <= digits and low <= int(text) <= high:
        return int(text)
    raise Problem(400, "bad_query", f"{name} must be a whole number from {low} to {high}")
