"""The monitors of several processes, seen as one: what the runtime has in the place of `Monitors` with `--workers N`.

Rules:
1. What is conversed with is watched by a worker. What is looked at (`ProbePlan.observe`: this node's addresses and
   mounts, a controller's word, programs) stays here, with who can look; kernel events are heard here, and sent on as
   checks.
2. A resource belongs to a worker by a stable hash of its id, not of its group: a small store has all in one group.
   Before there are `EACH_MIN` for every worker the first one has them all: whether most fail at once (the common
   cause) is judged within a worker, where there must be enough of them for that.
3. The last reading of everything is kept here and read without I/O (S7). The death of a worker changes nothing of it:
   it grows old until the next worker has asked.
4. Counters come as differences and are added up, so they never fall.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from itertools import count
from typing import assert_never
from zlib import crc32

from probe.environment import Environment, Timer
from probe.environment.channel import Worker
from probe.lifecycle.events import Probed, Suspected, Trigger
from probe.metrics import Metrics
from probe.monitor.cache import Level, Reading
from probe.monitor.monitor import Monitors
from probe.monitor.plan import ProbePlan
from probe.monitor.resolve import Spawn
from probe.values import Incarnation, ResourceId
from probe.workers import wire
from probe.workers.counting import add_counts, add_heights
from probe.workers.readings import result_of
from probe.workers.shard import STATES, Shadow, Shard

EACH_MIN = 16
TICK_S = 1.0
EXIT_S = 0.5  # that the workers have to end by themselves
KILLED_S = 1.0  # ... and until the kernel says that they are dead

log = logging.getLogger(__name__)


def shard_of(id: ResourceId, workers: int) -> int:
    """Say which of so many workers a resource belongs to: always the same one, in every run."""
    return crc32(str(id).encode()) % workers


class ShardedMonitors:
    """`Watching` over so many workers; `start` makes a worker's process. Needs a running event loop."""

    def __init__(
        self,
        environment: Environment,
        spawn: Spawn,
        post: Callable[[Probed | Suspected], None],
        metrics: Metrics,
        *,
        max_in_flight: int,
        workers: int,
        start: Callable[[], Worker],
    ) -> None:
        self._local = Monitors(environment, spawn, post, metrics, max_in_flight=max_in_flight)
        self._looked_at: dict[ResourceId, Incarnation] = {}  # what is watched here
        self._shadows: dict[ResourceId, Shadow] = {}
        self.places = self._local.places
        self.evidence = self._local.evidence
        self._clock = environment.clock
        self._post = post
        self._metrics = metrics
        self._shards = [
            Shard(number, environment.clock, start, self._receive, self._changed, self._watch_here)
            for number in range(1, workers + 1)
        ]
        self._spread = False
        self._serials = count(1)
        self._unread = 0
        self._first_round_done = False
        self._ticked_at = self._clock.now()
        self._timer: Timer = self._clock.call_at(self._ticked_at + TICK_S, self._tick)

    def __repr__(self) -> str:
        return f"<ShardedMonitors {self._shards!r}, {self._unread} not yet read, {self._local!r}>"

    # --- what the runtime asks: see `Monitors` ---

    @property
    def first_round_done(self) -> bool:
        """Whether every resource watched at the start has been asked once."""
        return self._local.first_round_done and (self._first_round_done or not self._unread)

    @property
    def fault(self) -> str:
        """Why most rounds cannot tell, here or in a worker, or which worker does not come back."""
        return self._local.fault or next((shard.fault for shard in self._shards if shard.fault), "")

    def confirm_by(self, own: str) -> None:
        """Ask a listener of our own before failures are told."""
        self._local.confirm_by(own)
        for shard in self._shards:
            shard.confirm_by(own)

    def watch(self, plan: ProbePlan, incarnation: Incarnation, alive: bool | None, confirming: bool = False) -> None:
        """Begin to watch a resource, or go on with the same incarnation of it."""
        id = plan.id
        if plan.observe is not None:
            self._end(id)
            self._looked_at[id] = incarnation
            self._local.watch(plan, incarnation, alive, confirming)
            return
        shadow = self._shadows.get(id)
        if shadow is not None and shadow.incarnation == incarnation:
            if plan is not shadow.plan:
                self.replan(plan)
            self._go_on(shadow, alive, confirming)
            return
        self.unwatch(id)
        shard = self._shards[shard_of(id, len(self._shards)) if self._spread else 0]
        shadow = self._shadows[id] = Shadow(next(self._serials), plan, incarnation, alive, confirming, shard)
        self.places.add(plan)
        self._unread += 1
        shard.begin(shadow)
        if not self._spread and len(self._shadows) >= EACH_MIN * len(self._shards):
            self._spread_out()

    def unwatch(self, id: ResourceId) -> None:
        """Stop watching. Idempotent."""
        self._end(id)
        if self._looked_at.pop(id, None) is not None:
            self._local.unwatch(id)

    def verify(
        self,
        id: ResourceId,
        trigger: Trigger = Trigger.PROBE,
        *,
        at: float | None = None,
        suspected: bool = True,
        anew: bool = False,
    ) -> None:
        """Check now, ahead of the schedule."""
        shadow = self._shadows.get(id)
        if shadow is not None:
            shadow.shard.ask(shadow, trigger, at, suspected=suspected, anew=anew)
        else:
            self._local.verify(id, trigger, at=at, suspected=suspected, anew=anew)

    def replan(self, plan: ProbePlan) -> None:
        """Take over a changed plan; what now is asked instead of looked at, or the other way, begins anew."""
        shadow, here = self._shadows.get(plan.id), self._looked_at.get(plan.id)
        if shadow is not None and plan.observe is None:
            self.places.remove(shadow.plan)
            self.places.add(plan)
            shadow.plan = plan
            if shadow.reading is not None:
                shadow.reading = shadow.reading._replace(fresh_s=plan.fresh_s)
            shadow.shard.replan(shadow)
        elif here is not None and plan.observe is not None:
            self._local.replan(plan)
        elif (incarnation := here if shadow is None else shadow.incarnation) is not None:
            reading = self.reading(plan.id)
            self.watch(plan, incarnation, None if reading is None else reading.alive)

    def ids(self) -> tuple[ResourceId, ...]:
        """Name all that are watched now."""
        return (*self._local.ids(), *self._shadows)

    def plan(self, id: ResourceId) -> ProbePlan | None:
        """Return the plan in force; None when not watched."""
        shadow = self._shadows.get(id)
        return self._local.plan(id) if shadow is None else shadow.plan

    def reading(self, id: ResourceId) -> Reading | None:
        """Return the last reading, without any I/O (S7)."""
        shadow = self._shadows.get(id)
        return self._local.reading(id) if shadow is None else shadow.reading

    def level(self, id: ResourceId) -> Level | None:
        """Return what most readers want of the last reading."""
        shadow = self._shadows.get(id)
        return self._local.level(id) if shadow is None else shadow.reading

    async def close(self) -> None:
        """Stop everything; no process, no socket and no task is left."""
        self._timer.cancel()
        for shard in self._shards:
            shard.close()
        if not await self._buried(EXIT_S):
            for shard in self._shards:
                shard.kill()
            if not await self._buried(KILLED_S):
                log.error("a worker cannot be killed: the kernel holds it")
        await self._local.close()

    async def _buried(self, within_s: float) -> bool:
        try:
            async with asyncio.timeout(within_s):
                for shard in self._shards:
                    await shard.buried.wait()
        except TimeoutError:
            return False
        return True

    # --- whose is it ---

    def _go_on(self, shadow: Shadow, alive: bool | None, confirming: bool) -> None:
        shadow.word += 1
        shadow.confirming = confirming
        if alive is not None:
            shadow.alive = alive
            if shadow.reading is not None:
                shadow.reading = shadow.reading._replace(alive=alive)
        shadow.shard.go_on(shadow)

    def _end(self, id: ResourceId) -> None:
        shadow = self._shadows.pop(id, None)
        if shadow is not None:
            self.places.remove(shadow.plan)
            if shadow.reading is None:
                self._first_read()
            shadow.shard.end(shadow)

    def _spread_out(self) -> None:
        """Give every worker its share, from now on."""
        self._spread = True
        for id, shadow in list(self._shadows.items()):
            shard = self._shards[shard_of(id, len(self._shards))]
            if shard is not shadow.shard:
                shadow.shard.end(shadow)
                shadow.serial = next(self._serials)
                shard.begin(shadow)

    def _watch_here(self, shadow: Shadow) -> None:
        log.warning("%s has too many bindings to be told to a worker: it is asked by the main process", shadow.plan.id)
        self._end(shadow.plan.id)
        self._looked_at[shadow.plan.id] = shadow.incarnation
        self._local.watch(shadow.plan, shadow.incarnation, shadow.alive, shadow.confirming)

    # --- what the workers say ---

    def _receive(self, shard: Shard, news: wire.News) -> None:
        match news:
            case wire.Report(told):
                for one in told:
                    self._take(shard, one)
            case wire.Edge(serial, alive, verdict, trigger, seen_at):
                if (shadow := shard.shadows.get(serial)) is not None:
                    shadow.confirming = shadow.confirming and not alive
                    self._post(Probed(shadow.plan.id, shadow.incarnation, alive, verdict, trigger, seen_at))
            case wire.Suspicion(serial):
                if (shadow := shard.shadows.get(serial)) is not None:
                    self._post(Suspected(shadow.plan.id, shadow.incarnation))
            case wire.Beat(fault, heights):
                shard.illness = fault
                add_heights(self._metrics, heights)
                self._tell_health()
            case _:
                assert_never(news)

    def _take(self, shard: Shard, told: wire.Told) -> None:
        shadow = shard.shadows.get(told.serial)
        if shadow is None:
            ended = shard.ending.get(told.serial)
            if ended is not None:
                add_counts(self._metrics, ended, told.counts)
                if not told.rounds:
                    del shard.ending[told.serial]
            return
        add_counts(self._metrics, shadow.plan, told.counts)
        before = shadow.reading
        if told.answers:
            result = result_of(told.answers, shadow.plan, before)
        else:
            result = None if before is None else before.result
        if result is None or not told.rounds:
            return  # it is about a plan that is no longer in force
        if told.word == shadow.word:
            shadow.alive = told.alive
        result = self.evidence.keep(shadow.plan.id, result)
        shadow.reading = Reading(shadow.alive, result, told.rounds, shadow.plan.fresh_s)
        if before is None:
            self._first_read()

    def _first_read(self) -> None:
        self._unread -= 1
        if not self._unread:
            self._first_round_done = True

    # --- how they are ---

    def _tick(self) -> None:
        now = self._clock.now()
        lived_s = min(now - self._ticked_at, 2 * TICK_S)  # of a pause of ours, the workers' silence says nothing
        self._ticked_at = now
        for shard in self._shards:
            shard.lived(lived_s)
        self._timer = self._clock.call_at(now + TICK_S, self._tick)

    def _changed(self) -> None:
        shards = [shard for shard in self._shards if shard.started]
        states = [shard.state for shard in shards]
        self._metrics.count_workers(
            {state: states.count(state) for state in STATES}, sum(shard.restarts for shard in shards)
        )
        self._tell_health()

    def _tell_health(self) -> None:
        healthy = not self._local.fault and not any(shard.illness for shard in self._shards)
        if healthy is not self._metrics.prober_healthy:
            self._metrics.prober_health(healthy)
