"""What the controllers over shared connections are made with in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from probe.controllers.contract import Background, ControllerError
from probe.values import Incarnation, ResourceId, Verdict
from tests.sim.environment import SimClock
from tests.sim.loop import current_loop, run_virtual

ID = ResourceId("evs1", "store")
OTHER = ResourceId("evs1", "smtp")


def spawn(work: Background) -> asyncio.Task[None]:
    """Begin what a controller does in the background."""
    return asyncio.get_running_loop().create_task(work)


class Ground:
    """The clock, and what the controller told."""

    def __init__(self) -> None:
        self.clock = SimClock(current_loop())
        self.told: list[tuple[ResourceId, Incarnation, Verdict]] = []

    def tell(self, id: ResourceId, incarnation: Incarnation, verdict: Verdict) -> None:
        """Take a controller's word that a service ended."""
        self.told.append((id, incarnation, verdict))

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts told."""
        return [verdict for _, _, verdict in self.told]

    async def pass_time(self, seconds: float = 1.0) -> None:
        """Let virtual time go by."""
        await self.clock.sleep(seconds)


def virtually(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a test in virtual time; a task or a timer left behind fails it."""
    run_virtual(main())


async def refused(operation: Coroutine[Any, Any, None]) -> Verdict:
    """Return the verdict of an operation that must fail."""
    try:
        await operation
    except ControllerError as error:
        return error.verdict
    raise AssertionError("the operation succeeded")
