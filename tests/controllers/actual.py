"""What a controller that looks by itself is tested in for real: the real environment, a list of what it told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from probe.controllers.contract import Acting, Background
from probe.environment import Environment, Programs
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.files import RealFiles
from probe.environment.http import RealHttp
from probe.environment.network import RealNetwork
from probe.environment.processes import RealProcesses
from probe.environment.programs import RealPrograms
from probe.values import Incarnation, Reason, ResourceId, Verdict


class Actual:
    """The real environment on the running loop, and what is told and spawned in it."""

    def __init__(self, wrap: Callable[[Programs], Programs] = lambda programs: programs) -> None:
        processes = RealProcesses()
        self.environment = Environment(
            clock=LoopClock(),
            randomness=SystemRandomness(),
            files=RealFiles(),
            network=RealNetwork(),
            processes=processes,
            programs=wrap(RealPrograms(processes)),
            http=RealHttp(),
        )
        self.told: list[tuple[ResourceId, Incarnation, Verdict]] = []
        self.tasks: list[asyncio.Task[None]] = []

    def tell(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take a controller's word that a service ended."""
        self.told.append((id, incarnation, verdict))

    def spawn(self, work: Background) -> asyncio.Task[None]:
        """Begin a task in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.append(task)
        return task

    @property
    def reasons(self) -> list[Reason]:
        """Why what was told ended."""
        return [told[2].reason for told in self.told]

    async def end(self, controller: Acting) -> None:
        """End as a run of ours does."""
        controller.release()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
