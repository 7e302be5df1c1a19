"""A process controller on a simulated machine: one service, what was told of it, and how to look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from probe.controllers.contract import ServiceSpec
from probe.controllers.process import ProcessController
from probe.values import Incarnation, ResourceId, Verdict
from tests.sim.environment import Run, start_run
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.programs import Recipe, Running

STATE_DIR = "/state"
PROGRAM = "/usr/sbin/served"
ID = ResourceId("evs1", "smtp")
RECORD_FOLDER = f"{STATE_DIR}/processes/evs1"
RECORD = f"{RECORD_FOLDER}/smtp.json"
OUTPUT = f"{STATE_DIR}/output/evs1/smtp.log"


class House:
    """The machine, the present run of our program on it, its controller and what that told."""

    def __init__(self, recipe: Recipe | None = None) -> None:
        self.machine = Machine(1, current_loop().timeline)
        self.recipe = self.machine.recipes[PROGRAM] = recipe or Recipe()
        self.told: list[tuple[Incarnation, Verdict]] = []
        self.run = self.start_run()

    def start_run(self) -> Run:
        """Start our program, or start it again after `run.die()`."""
        self.run = start_run(self.machine)
        self.controller = ProcessController(self.run.environment, STATE_DIR, self._tell)
        return self.run

    def _tell(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        assert id == ID
        self.told.append((incarnation, verdict))

    def service(self, **parameters: object) -> ServiceSpec:
        """Name the service, with parameters besides its command."""
        return ServiceSpec(ID, {"command": [PROGRAM], **parameters})

    async def start(self, incarnation: int = 1, **parameters: object) -> Running:
        """Start the service and return its program."""
        await self.controller.start(self.service(**parameters), Incarnation(incarnation))
        return self.only

    @property
    def alive(self) -> list[Running]:
        """The programs of which anything is left."""
        return [one for one in self.machine.programs.values() if one.group_running]

    @property
    def only(self) -> Running:
        """The one program that is alive."""
        (only,) = self.alive
        return only

    @property
    def now(self) -> float:
        """Virtual seconds since the start."""
        return self.run.clock.now()

    @property
    def recorded(self) -> bool:
        """Whether there is a record on the disk."""
        return RECORD in self.machine.disk.files

    async def pass_time(self, seconds: float) -> None:
        """Let virtual time go by."""
        await self.run.clock.sleep(seconds)


def in_house(test: Callable[[House], Coroutine[Any, Any, None]], recipe: Recipe | None = None) -> None:
    """Run a test in virtual time."""

    async def main() -> None:
        await test(House(recipe))

    run_virtual(main())


def in_background(operation: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Begin an operation as its worker would."""
    return asyncio.get_running_loop().create_task(operation)
