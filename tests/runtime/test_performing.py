"""The core's actions carried out: by the controller as it was opened, and no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.workers import Workers
from probe.lifecycle import actions
from probe.lifecycle.events import Event, Found, Started, Stopped, Upgraded
from probe.lifecycle.world import Record, World
from probe.metrics import Metrics
from probe.monitor.monitor import Monitors
from probe.monitor.plan import ProbePlan
from probe.runtime.performing import Performer, Service
from probe.values import Incarnation, OpId, Reason, ResourceId, Verdict
from tests.scenarios.language import spec
from tests.sim.environment import make_environment
from tests.sim.loop import run_virtual

STORE = ResourceId("evs1", "store")


class Recorder:
    """A controller that does everything at once and notes it."""

    acts = ours_to_stop = True

    def __init__(self, *, runs: bool = False, blind: bool = False) -> None:
        self.calls: list[str] = []
        self.runs = runs
        self.blind = blind

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Note a start."""
        self.calls.append(f"start {service.parameters['version']} as {incarnation}")

    async def stop(self, service: ServiceSpec) -> None:
        """Note a stop."""
        self.calls.append(f"stop {service.parameters['version']}")

    async def terminate(self, service: ServiceSpec) -> None:
        """Note a terminate."""
        self.calls.append(f"terminate {service.parameters['version']}")

    async def upgrade(self, service: ServiceSpec) -> None:
        """Note an upgrade."""
        self.calls.append(f"upgrade {service.parameters['version']}")

    def kill(self, id: ResourceId) -> None:
        """Note a kill."""
        self.calls.append(f"kill {id}")

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Say what the test wants said."""
        del service, incarnation
        if self.blind:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, "cannot look"))
        return self.runs

    def pid(self, id: ResourceId) -> int | None:
        """Know none."""
        del id
        return None

    def release(self) -> None:
        """Have nothing to forget."""


def perform(controller: Recorder, body: Callable[[Performer, World, list[Event]], None]) -> list[Event]:
    """Let a performer act in virtual time; return what was posted. Each opening finds a new version in the store."""
    posted: list[Event] = []
    version = iter(range(1, 10))

    def no_plan(id: ResourceId) -> ProbePlan:
        raise AssertionError(f"{id} is not asked here")

    async def main() -> None:
        environment, _ = make_environment(1)
        async with asyncio.TaskGroup() as tasks:
            metrics = Metrics()
            workers = Workers(tasks.create_task, posted.append)
            monitors = Monitors(environment, tasks.create_task, posted.append, metrics, max_in_flight=1)
            performer = Performer(
                workers,
                monitors,
                metrics,
                posted.append,
                lambda id: Service(controller, ServiceSpec(id, {"version": next(version)})),
                no_plan,
            )
            world = World()
            world.records[STORE] = Record(spec("store", "service", "process"), since=0.0)
            body(performer, world, posted)
            await monitors.close()

    run_virtual(main())
    return posted


def test_operations_reach_the_controller_and_are_answered() -> None:
    """S3, S53: every operation reaches the service as it was opened, and is answered with its id."""
    controller = Recorder()

    def body(performer: Performer, world: World, posted: list[Event]) -> None:
        del posted
        for action in (
            actions.Open(STORE),
            actions.Start(STORE, OpId(1), Incarnation(5)),
            actions.Stop(STORE, OpId(2)),
            actions.Terminate(STORE, OpId(3)),
            actions.Upgrade(STORE, OpId(4)),
            actions.Kill(STORE),
        ):
            performer.perform(action, world)

    posted = perform(controller, body)
    assert controller.calls == ["kill evs1/store", "start 1 as 5", "stop 1", "terminate 1", "upgrade 1"]
    ended = [Started(STORE, OpId(1)), Stopped(STORE, OpId(2)), Stopped(STORE, OpId(3)), Upgraded(STORE, OpId(4))]
    assert posted == ended


def test_opened_again_it_is_what_the_store_says_now() -> None:
    """S47: what is closed and opened again is started with what the store says then."""
    controller = Recorder()

    def body(performer: Performer, world: World, posted: list[Event]) -> None:
        del posted
        performer.perform(actions.Open(STORE), world)
        performer.perform(actions.Close(STORE), world)
        assert performer.services == {}
        performer.perform(actions.Open(STORE), world)
        performer.perform(actions.Start(STORE, OpId(1), Incarnation(1)), world)

    perform(controller, body)
    assert controller.calls == ["start 2 as 1"]


def test_service_that_still_runs_is_found() -> None:
    """What an earlier run left running is told to the core when it is opened."""

    def body(performer: Performer, world: World, posted: list[Event]) -> None:
        performer.perform(actions.Open(STORE), world)
        assert posted == [Found(STORE)]

    perform(Recorder(runs=True), body)


def test_controller_that_cannot_look_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A record that cannot be read is said; the resource is opened all the same, and its start will answer for it."""

    def body(performer: Performer, world: World, posted: list[Event]) -> None:
        with caplog.at_level(logging.WARNING):
            performer.perform(actions.Open(STORE), world)
        assert list(performer.services) == [STORE]
        assert posted == []

    perform(Recorder(blind=True), body)
    assert "cannot say whether evs1/store still runs: cannot look" in caplog.text
