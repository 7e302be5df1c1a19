"""One inbox, one loop, one TaskGroup: event -> step -> perform. The shell decides nothing.

Whoever wants something to happen posts an event; the loop takes one at a time, steps the world, tells readers, applies
the decision and performs its actions. What those lead to comes back as events that carry their operation id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TypeVar, assert_never

from probe.controllers.contract import Controller, ServiceSpec
from probe.controllers.workers import Workers
from probe.environment import Environment
from probe.lifecycle import actions
from probe.lifecycle.events import Drained, Event, Exited, Found, Probed, Started, Stopped, Tick, Trigger
from probe.lifecycle.graph import is_occupied
from probe.lifecycle.step import step
from probe.lifecycle.world import NEVER_STARTED, Decision, Draft, World
from probe.metrics import Metrics
from probe.monitor.kernel import KernelEvents
from probe.monitor.monitor import Monitors
from probe.monitor.plan import ProbePlan
from probe.runtime.detections import Detections
from probe.runtime.feed import Feed
from probe.values import Incarnation, ResourceId, State, Verdict

DRAIN_BUDGET_S = 3.8  # of the 5 s from SIGTERM to exit; the rest is for closing
DRAIN_KILL_AFTER_S = 2.8  # how long TERM may take before KILL
SWEEP_INTERVAL_S = 5.0  # S62: looks_alive_interval_s
SWEEP_SLICE = 500  # resources read between two passes of the loop

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Service:
    """A resource as configured when it was opened: who controls it, with what (S48)."""

    controller: Controller
    spec: ServiceSpec


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
    ) -> None:
        self.world = World()
        self.environment = environment
        self.clock = environment.clock
        self.metrics = metrics
        self.feed = Feed(environment.clock, metrics)
        self.detections = Detections(environment.clock, metrics)
        self.services: dict[ResourceId, Service] = {}
        self.monitors = Monitors(environment, self.spawn, self.post, metrics, max_in_flight=max_in_flight)
        self.kernel = KernelEvents(environment, self.monitors, metrics)
        self.workers = Workers(self.spawn, self.post)
        self._open_service = open_service
        self._plan_of = plan_of
        self._inbox: deque[tuple[Event, asyncio.Future[Decision] | None]] = deque()
        self._wake = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._stop_services: bool | None = None  # None: run; else end, and whether to stop what is ours

    # --- posting ---

    def post(self, event: Event) -> None:
        """Put an event into the inbox; never blocks."""
        self._inbox.append((event, None))
        self._wake.set()

    async def ask(self, event: Event) -> Decision:
        """Post an event and return what was decided on it, as soon as it is decided."""
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._inbox.append((event, answer))
        self._wake.set()
        return await answer

    def exited(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take a controller's word that a service ended by itself."""
        self.post(Exited(id, incarnation, verdict, seen_at=self.clock.now()))

    def spawn(self, coroutine: Coroutine[object, object, T]) -> asyncio.Task[T]:
        """Start a task in the one TaskGroup."""
        assert self._tasks is not None, "the runtime is not running"
        return self._tasks.create_task(coroutine)

    def end(self, *, stop_services: bool) -> None:
        """Begin to end: in order within the budget, or at once leaving everything running."""
        if self._stop_services is None:
            self._stop_services = stop_services
            self._wake.set()

    # --- the loop ---

    async def run(self, begin: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run until ended. `begin` is spawned first: it loads the store and serves."""
        async with asyncio.TaskGroup() as self._tasks:
            self.kernel.start()  # before anything is watched, so that no death is missed
            background = [self.spawn(begin()), self.spawn(self._sweep())]
            while self._stop_services is None:
                self._take_all()
                await self._sleep_until_woken()
            if self._stop_services:
                await self._drain()
            self.kernel.close()
            await self.monitors.close()
            for task in background:
                task.cancel()
            self.workers.cancel_all()

    def _take_all(self) -> None:
        self._wake.clear()
        while True:
            due = self.world.next_due()
            if due is not None and due <= self.clock.now():
                self._decide(Tick())
            elif self._inbox:
                event, answer = self._inbox.popleft()
                decision = self._decide(event)
                if answer is not None and not answer.done():
                    answer.set_result(decision)
            else:
                return

    async def _sleep_until_woken(self) -> None:
        due = self.world.next_due()
        timer = None if due is None else self.clock.call_at(due, self._wake.set)
        await self._wake.wait()
        if timer is not None:
            timer.cancel()

    def _decide(self, event: Event) -> Decision:
        decision = step(self.world, event, self.clock.now())
        self.feed.tell(self.world, decision)
        self.detections.note(event, decision)
        self.world.apply(decision)
        for action in decision.actions:
            self._perform(action)
        return decision

    def _perform(self, action: actions.Action) -> None:
        match action:
            case actions.Start(id, op, incarnation):
                service = self.services[id]
                self.workers.begin(Started(id, op), lambda: service.controller.start(service.spec, incarnation))
            case actions.Stop(id, op):
                service = self.services[id]
                self.workers.begin(Stopped(id, op), lambda: service.controller.stop(service.spec))
            case actions.Terminate(id, op):
                service = self.services[id]
                self.workers.begin(Stopped(id, op), lambda: service.controller.terminate(service.spec))
            case actions.Kill(id):
                self.services[id].controller.kill(id)
            case actions.Cancel(id, op):
                self.workers.cancel(id, op)
            case actions.Watch(id, incarnation, alive, confirming):
                self.monitors.watch(self._plan_of(id), incarnation, alive, confirming)
            case actions.Unwatch(id):
                self.monitors.unwatch(id)
            case actions.Verify(id):
                self.monitors.verify(id)
            case actions.Open(id):
                service = self.services[id] = self._open_service(id)
                self.metrics.declare(id)
                if service.controller.adopt(service.spec, NEVER_STARTED):
                    self.post(Found(id))
            case actions.Close(id):
                self.services.pop(id, None)
                if id not in self.world.records:
                    self.metrics.forget(id)
                    self.monitors.evidence.forget(id)
            case _:
                assert_never(action)

    # --- the lost event made good (S62) ---

    async def _sweep(self) -> None:
        while True:
            await self.clock.sleep(SWEEP_INTERVAL_S)
            for index, id in enumerate(list(self.world.records)):
                if index % SWEEP_SLICE == 0:
                    await self.clock.sleep(0)
                record, reading = self.world.records.get(id), self.monitors.reading(id)
                if record is None or reading is None or record.state is not State.ONLINE or not record.watched:
                    continue
                if reading.alive is False:
                    self.post(Probed(id, record.incarnation, False, reading.verdict))

    # --- the end ---

    async def _drain(self) -> None:
        """Take what is ours offline in reverse order, TERM then KILL, within the budget."""
        begun = self.clock.now()
        self.post(Drained())
        self._take_all()
        for after_s in (DRAIN_KILL_AFTER_S, DRAIN_BUDGET_S):
            timer = self.clock.call_at(begun + after_s, self._wake.set)
            while self._unfinished() and self.clock.now() < begun + after_s:
                await self._sleep_until_woken()
                self._take_all()
            timer.cancel()
            for id in self._unfinished():
                _log.warning("%s did not stop in time and is killed", id)
                self.services[id].controller.kill(id)

    def _unfinished(self) -> list[ResourceId]:
        draft = Draft(self.world, self.clock.now(), Trigger.OPERATOR)
        return [id for id, record in self.world.records.items() if is_occupied(draft, record)]
