"""All watches of this process: what the runtime asks of the monitor, and what readers see of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from bindings.addresses import read_binding
from bindings.model import VirtualServer
from probe.environment import Environment
from probe.lifecycle.events import Probed, Suspected, Trigger
from probe.monitor.cache import Level, Reading
from probe.monitor.common import OWN_TIMEOUT_S
from probe.monitor.engine import Engine
from probe.monitor.evidence import Evidence
from probe.monitor.measures import ProbeMetrics
from probe.monitor.places import Places
from probe.monitor.plan import ProbePlan
from probe.monitor.resolve import Names, Spawn
from probe.monitor.surroundings import Surroundings
from probe.monitor.targets import Targets
from probe.monitor.time_waits import TimeWaits
from probe.monitor.watch import Watch
from probe.values import Incarnation, ResourceId


class Monitors:
    """Watch resources over one engine. Needs a running event loop. Raises RuntimeError on one that has no `add_reader`.

    `spawn` makes a task; `post` takes the edges and must not block. `max_in_flight` bounds the open sockets.
    `evidence` keeps the dialogues of failures, where that is not to be our own.
    """

    __slots__ = ("_around", "_first_round_done", "_looked_at", "_names", "_spawn", "_targets", "_unread", "_watches",
                 "engine", "evidence", "places")  # fmt: skip

    def __init__(
        self,
        environment: Environment,
        spawn: Spawn,
        post: Callable[[Probed | Suspected], None],
        metrics: ProbeMetrics,
        *,
        max_in_flight: int,
        evidence: Evidence | None = None,
    ) -> None:
        self.engine = Engine(
            environment,
            max_in_flight=max_in_flight,
            loop_lag=metrics.loop_lag,
            time_waits=TimeWaits(environment.files),
        )
        self._names = Names(environment.network, environment.clock, self.engine.wheel, spawn)
        self.evidence = Evidence(environment.clock) if evidence is None else evidence
        self._watches: dict[ResourceId, Watch] = {}
        self._around = Surroundings(
            self.engine,
            self._names,
            environment.randomness,
            metrics,
            post,
            self._first_read,
            self.evidence,
            lambda: len(self._watches) - self._looked_at,
            self._watches.values,
            spawn,
        )
        self._targets = Targets(environment)
        self._spawn = spawn
        self.places = Places()
        self._looked_at = 0  # of the watches, those that are no conversation
        self._unread = 0
        self._first_round_done = False

    def __repr__(self) -> str:
        return f"<Monitors of {len(self._watches)} resources, {self._unread} not yet read, {self.engine!r}>"

    @property
    def first_round_done(self) -> bool:
        """Whether every resource watched at the start has been asked once; stays true, and is true without any."""
        return self._first_round_done or not self._unread

    def confirm_by(self, own: str) -> None:
        """Ask a listener of our own, `ADDRESS:PORT`, before failures are told (`common.py`)."""
        server = VirtualServer(
            key="/tcp/own", protocol="tcp", bindings=(read_binding(own, False),), probe_timeout_s=OWN_TIMEOUT_S
        )
        (target,) = self._targets.targets_for(server)
        if target.name is None and target.obstacle is None:
            self._around.common.own = target

    def watch(self, plan: ProbePlan, incarnation: Incarnation, alive: bool | None, confirming: bool = False) -> None:
        """Begin to watch a resource, with a check at once (S66); for the same incarnation go on as before.

        `alive` is the level known so far. `confirming`: an online is in progress, only the edge to alive is posted.
        """
        watch = self._watches.get(plan.id)
        if watch is not None and watch.incarnation == incarnation:
            if plan is not watch.plan:
                self.replan(plan)
            watch.go_on(alive, confirming)
            return
        self.unwatch(plan.id)
        watch = self._watches[plan.id] = Watch(self._around, plan, incarnation, alive, confirming)
        self.places.add(plan)
        self._looked_at += plan.observe is not None
        self._unread += 1
        watch.task = self._spawn(watch.run())
        watch.check_now()

    def unwatch(self, id: ResourceId) -> None:
        """Stop watching: no check after this (S68). Idempotent."""
        watch = self._watches.pop(id, None)
        if watch is not None:
            self.places.remove(watch.plan)
            self._looked_at -= watch.plan.observe is not None
            if not watch.rounds:
                self._first_read()
            watch.end()

    def verify(
        self,
        id: ResourceId,
        trigger: Trigger = Trigger.PROBE,
        *,
        at: float | None = None,
        suspected: bool = True,
        anew: bool = False,
    ) -> None:
        """Check now, ahead of the schedule (S67); the event that asks for it counts as the first failure.

        An edge that follows is posted with `trigger`; `at` is when the event came (clock seconds). With `suspected`
        false the event says nothing about this resource and counts as nothing. `anew`: a dialogue under way is begun
        again, unless a failure of it counts already.
        """
        watch = self._watches.get(id)
        if watch is not None:
            watch.verify(trigger, at, suspected=suspected, anew=anew)

    def replan(self, plan: ProbePlan) -> None:
        """Take over a changed plan; cache, counters and (unless the period changed) due time stay."""
        watch = self._watches.get(plan.id)
        if watch is not None:
            self.places.remove(watch.plan)
            self.places.add(plan)
            self._looked_at += (plan.observe is not None) - (watch.plan.observe is not None)
            watch.replan(plan)

    @property
    def fault(self) -> str:
        """Why most of our rounds cannot tell; empty as it should be."""
        return self._around.health.fault

    def ids(self) -> tuple[ResourceId, ...]:
        """Name all that are watched now."""
        return tuple(self._watches)

    def plan(self, id: ResourceId) -> ProbePlan | None:
        """Return the plan in force; None when not watched."""
        watch = self._watches.get(id)
        return None if watch is None else watch.plan

    def reading(self, id: ResourceId) -> Reading | None:
        """Return the last reading, without any I/O (S7); None when not watched or not yet asked."""
        watch = self._watches.get(id)
        return None if watch is None else watch.reading

    def level(self, id: ResourceId) -> Level | None:
        """Return what most readers want of the last reading, at no cost; None when there is none."""
        watch = self._watches.get(id)
        return watch if watch is not None and watch.rounds else None

    async def close(self) -> None:
        """Stop everything; no socket and no task is left."""
        watches = list(self._watches.values())
        tasks = [task for watch in watches for task in watch.tasks]
        self._watches.clear()
        self._looked_at = 0
        for watch in watches:
            watch.end()
        self._names.close()
        self._around.health.close()
        self._around.common.close()
        self.engine.close()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _first_read(self) -> None:
        self._unread -= 1
        if not self._unread:
            self._first_round_done = True
