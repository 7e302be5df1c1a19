"""What a controller that looks by itself is tested in: virtual time, fake programs, a list of what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from probe.controllers.contract import Acting, Background, ControllerError, ServiceSpec
from probe.environment import Environment, Http, NoHttp
from probe.values import Incarnation, ResourceId, Verdict
from tests.sim.environment import start_run
from tests.sim.hooks import SimPrograms
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine

STATE_DIR = "/state"
ID = ResourceId("evs1", "store")
Told = tuple[ResourceId, Incarnation, Verdict]


class Surroundings:
    """An environment of its own, and what is told and spawned in it."""

    def __init__(self, make_http: Callable[[Any], Http] | None = None) -> None:
        run = start_run(Machine(1, current_loop().timeline))
        self.clock = run.clock
        self.programs = SimPrograms(run.clock)
        http = NoHttp() if make_http is None else make_http(run.clock)
        self.environment: Environment = replace(run.environment, programs=self.programs, http=http)
        self.told: list[Told] = []
        self.tasks: list[asyncio.Task[None]] = []

    def tell(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take a controller's word that a service ended."""
        self.told.append((id, incarnation, verdict))

    def spawn(self, work: Background) -> asyncio.Task[None]:
        """Begin a task in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        return task

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time go by."""
        await self.clock.sleep(seconds)

    async def end(self, controller: Acting) -> None:
        """End as a run of ours does: nothing is looked at any more, what is in the background is cancelled."""
        controller.release()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def refusal_of(operation: Coroutine[Any, Any, None]) -> Verdict:
    """Return why an operation was not done."""
    try:
        await operation
    except ControllerError as error:
        return error.verdict
    raise AssertionError("it was done")


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in virtual time."""
    run_virtual(test())


def begin(operation: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin an operation as its worker would."""
    return asyncio.get_running_loop().create_task(operation)


def service(**parameters: object) -> ServiceSpec:
    """Name the service."""
    return ServiceSpec(ID, parameters)
