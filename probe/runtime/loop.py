"""One inbox, one loop, one TaskGroup: event -> step -> perform. The shell decides nothing.

Whoever wants something to happen posts an event; the loop takes one at a time, steps the world, tells readers, applies
the decision and performs its actions. What those lead to comes back as events that carry their operation id.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import TypeVar

from probe.controllers.workers import Workers
from probe.environment import Environment
from probe.lifecycle import actions
from probe.lifecycle.capacity import mounted
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import (
    Configured,
    Drained,
    Event,
    Exited,
    OperationFailed,
    Progressed,
    Started,
    Tick,
    Trigger,
    Upgraded,
)
from probe.lifecycle.graph import is_occupied
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.metrics import Metrics
from probe.monitor.contract import MakeWatching
from probe.monitor.kernel import KernelEvents
from probe.monitor.monitor import Monitors
from probe.monitor.plan import ProbePlan
from probe.runtime.detections import Detections
from probe.runtime.feed import Feed
from probe.runtime.inbox import Inbox, Posted
from probe.runtime.lateness import Lateness
from probe.runtime.performing import Performer, Service
from probe.runtime.sweep import sweep
from probe.runtime.withheld import Withheld
from probe.values import Incarnation, Reason, ResourceId, Verdict

DRAIN_BUDGET_S = 3.8  # of the 5 s from SIGTERM to exit; the rest is for closing
DRAIN_KILL_AFTER_S = 2.8  # how long TERM may take before KILL
EVENTS_PER_PASS = 200  # decided before others have their turn

T = TypeVar("T")
Witness = Callable[[World, Event, float, Decision], None]  # told of each decision at its time, when it is applied

_log = logging.getLogger(__name__)


class Runtime:
    """The shell around the core. `open_service` and `plan_of` read the store in force."""

    def __init__(
        self,
        environment: Environment,
        metrics: Metrics,
        *,
        max_in_flight: int,
        open_service: Callable[[ResourceId], Service],
        plan_of: Callable[[ResourceId], ProbePlan],
        witness: Witness | None = None,
        make_monitors: MakeWatching = Monitors,
    ) -> None:
        self.world = World()
        self._witness = witness
        self.environment = environment
        self.clock = environment.clock
        self.metrics = metrics
        self.feed = Feed(environment.clock, metrics)
        self.detections = Detections(environment.clock, metrics)
        self._inbox = Inbox()
        self._lateness = Lateness()
        self.post, self.ask = self._inbox.post, self._inbox.ask
        self.monitors = make_monitors(environment, self.spawn, self.post, metrics, max_in_flight=max_in_flight)
        self.kernel = KernelEvents(environment, self.monitors, metrics)
        self.workers = Workers(self.spawn, self.post)
        performer = Performer(self.workers, self.monitors, metrics, self.post, open_service, plan_of)
        self.services = performer.services
        self.withheld = Withheld(performer.perform)
        self.fault = ""  # what we lost by a mistake of our own; empty as it should be
        self._perform = self.withheld.perform
        self._tasks: asyncio.TaskGroup | None = None
        self._context = copy_context()
        self._stop_services: bool | None = None  # None: run; else end, and whether to stop what is ours

    # --- posting ---

    def exited(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take a controller's word that a service ended by itself."""
        self.post(Exited(id, incarnation, verdict, seen_at=self.clock.now()))

    def spawn(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a task in the one TaskGroup. They share a context and their names: 140 bytes each that nobody needs."""
        assert self._tasks is not None, "the runtime is not running"
        return self._tasks.create_task(coroutine, name="looksalive", context=self._context)

    def end(self, *, stop_services: bool) -> None:
        """Begin to end: in order within the budget, or at once leaving everything running."""
        if self._stop_services is None:
            self._stop_services = stop_services
            self._inbox.wake.set()

    # --- the loop ---

    async def run(self, begin: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run until ended. `begin` is spawned first: it loads the store and serves."""
        async with asyncio.TaskGroup() as self._tasks:
            self.kernel.start()  # before anything is watched, so that no death is missed
            background = [
                self.spawn(begin()),
                self.spawn(sweep(self.clock, self.world, self.monitors.level, self.post)),
            ]
            await self.clock.sleep(0)  # what `begin` has to tell comes before an end that was asked for already
            while self._stop_services is None:
                self._take_all()
                await self._sleep_until_woken()
            self.feed.tell_counts(goes_on=False)
            if self._stop_services:
                await self._drain()
            for task in background:
                task.cancel()
            self._inbox.close()
            self.kernel.close()
            self.withheld.drop()
            await self.monitors.close()
            self.workers.cancel_all()

    def _take_all(self) -> None:
        """Decide on what has happened, so much at a time, and only then on what is overdue."""
        self._inbox.wake.clear()
        for _ in range(EVENTS_PER_PASS):
            if (posted := self._inbox.take()) is None:
                break
            self._take(posted)
        else:
            self._inbox.wake.set()
        due = self._next_tick()
        if due is not None and due <= self.clock.now():
            self._take_tick()

    def _next_tick(self) -> float | None:
        due = self.world.next_due()
        return None if due is None else self._lateness.may_happen_at(due, self.clock.now())

    def _take(self, posted: Posted) -> None:
        """Decide on one event. One that our core stumbles over changes nothing and is dropped; its asker is told."""
        try:
            if posted.before is not None:
                posted.before()
            decision = self._decide(posted.event)
        except Exception as error:  # noqa: BLE001 - nothing that happens to one resource may end the service
            if not posted.refuse(error):
                self._note_fault(posted.event)
        else:
            posted.answer_with(decision)

    def _take_tick(self) -> None:
        """Let what is due happen; if that fails, one by one, so that one resource costs no other its time-outs."""
        try:
            self._decide(Tick())
        except Exception:  # noqa: BLE001 - as above
            self._note_fault(Tick())
            for id in self.world.due_before(self.clock.now()):
                try:
                    self._decide(Tick(id))
                except Exception:  # noqa: BLE001 - as above
                    self._note_fault(Tick(id))
                    self.world.forget_due(id)

    def _note_fault(self, what: object) -> None:
        """Say loudly that we made a mistake; `/readyz` tells it until somebody has looked and restarted us."""
        self.fault = f"a mistake in looksalive lost {type(what).__name__}; the log has it"
        _log.exception("a mistake in looksalive: this is lost, everything else goes on: %r", what)

    async def _sleep_until_woken(self) -> None:
        if self._inbox.wake.is_set():
            await self.clock.sleep(0)  # there is more; but it is others' turn
            return
        due = self._next_tick()
        timer = None if due is None else self.clock.call_at(due, self._inbox.wake.set)
        await self._inbox.wake.wait()
        if timer is not None:
            timer.cancel()

    def _decide(self, event: Event) -> Decision:
        now = self.clock.now()
        decision = step(self.world, event, now)
        self.feed.tell(self.world, decision)
        self.detections.note(event, decision)
        self.world.apply(decision)
        if self._witness is not None:
            self._witness(self.world, event, now, decision)
        self._measure(event, decision)
        for action in decision.actions:
            self.carry_out(action)
        return decision

    def carry_out(self, action: actions.Action) -> None:
        """Perform an action of a decision that was applied; one that cannot be is answered as a failed operation."""
        try:
            self._perform(action, self.world)
        except Exception:  # noqa: BLE001 - as above
            self._note_fault(action)
            if isinstance(action, actions.Start | actions.Stop | actions.Terminate | actions.Upgrade):
                self.post(OperationFailed(action.id, action.op, Verdict(Reason.PROBE_INTERNAL, "not carried out")))

    def _measure(self, event: Event, decision: Decision) -> None:
        """Keep the numbers that only the core knows."""
        if decision.groups:
            self.metrics.maintenance(self.world.maintained)
        if self.world.stores or isinstance(event, Configured):
            self.metrics.capacity(mounted(self.world), self.world.storage_groups_max)
        if isinstance(event, Progressed):
            self.metrics.progressed(event.id, self.clock.wall())
        elif isinstance(event, Started | Upgraded | OperationFailed):
            self.metrics.progressed(event.id, None)

    # --- the end ---

    async def _drain(self) -> None:
        """Take what is ours offline in reverse order, TERM then KILL, within the budget."""
        begun = self.clock.now()
        self.feed.tell_counts(goes_on=False)
        self.post(Drained())
        self._take_all()
        for after_s in (DRAIN_KILL_AFTER_S, DRAIN_BUDGET_S):
            timer = self.clock.call_at(begun + after_s, self._inbox.wake.set)
            while (self.withheld.holding or self._unfinished()) and self.clock.now() < begun + after_s:
                await self._sleep_until_woken()
                self._take_all()
            timer.cancel()
            for id in self._unfinished():
                _log.warning("%s did not stop in time and is killed", id)
                self.services[id].controller.kill(id)

    def _unfinished(self) -> list[ResourceId]:
        draft = Draft(self.world, self.clock.now(), Trigger.OPERATOR)
        records = [record for record in self.world.records.values() if record.spec.ours_to_stop]
        return [record.id for record in records if is_occupied(draft, record) and record.id in self.services]
