"""What the runtime and the kernel's events ask of the monitors, whether they are in this process or in several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from probe.environment import Environment
from probe.lifecycle.events import Probed, Suspected, Trigger
from probe.metrics import Metrics
from probe.monitor.cache import Level, Reading
from probe.monitor.evidence import Evidence
from probe.monitor.places import Places
from probe.monitor.plan import ProbePlan
from probe.monitor.resolve import Spawn
from probe.values import Incarnation, ResourceId


class Watching(Protocol):
    """`Monitors` (`monitor.py`, whose docstrings hold) and those of `probe.workers`."""

    @property
    def places(self) -> Places: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def first_round_done(self) -> bool: ...
    @property
    def fault(self) -> str: ...
    def confirm_by(self, own: str) -> None: ...
    def watch(
        self, plan: ProbePlan, incarnation: Incarnation, alive: bool | None, confirming: bool = False
    ) -> None: ...
    def unwatch(self, id: ResourceId) -> None: ...
    def verify(
        self,
        id: ResourceId,
        trigger: Trigger = Trigger.PROBE,
        *,
        at: float | None = None,
        suspected: bool = True,
        anew: bool = False,
    ) -> None: ...
    def replan(self, plan: ProbePlan) -> None: ...
    def ids(self) -> tuple[ResourceId, ...]: ...
    def plan(self, id: ResourceId) -> ProbePlan | None: ...
    def reading(self, id: ResourceId) -> Reading | None: ...
    def level(self, id: ResourceId) -> Level | None: ...
    async def close(self) -> None: ...


class MakeWatching(Protocol):
    """What makes them."""

    def __call__(
        self,
        environment: Environment,
        spawn: Spawn,
        post: Callable[[Probed | Suspected], None],
        metrics: Metrics,
        *,
        max_in_flight: int,
    ) -> Watching: ...
