"""A good round told call by call, for `ProbeMetrics` that only listen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from probe.monitor.flight import Flight
from probe.monitor.measures import ProbeMetrics
from probe.values import ResourceId, Stage


class OneByOne(ProbeMetrics, Protocol):
    """Says what `good` sums up by the calls that it stands for."""

    def good(
        self,
        id: ResourceId,
        protocol: str,
        stages: Sequence[tuple[Stage, float]],
        wall: float,
        lag_s: float,
        took_s: float,
    ) -> None:
        self.attempt(id)
        self.ran(id, wall)
        self.lag(lag_s)
        for stage, seconds in stages:
            self.stage(protocol, stage, seconds)
        self.answered(id, took_s)

    def flown(self, flights: Sequence[Flight], wall: float) -> None:
        for flight in flights:
            result, lag_s = flight.result(), max(0.0, flight.started - flight.when)
            self.good(flight.id, flight.protocol, result.stages, wall, lag_s, result.ended - result.started)
