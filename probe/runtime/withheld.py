"""Watches that wait until the whole store is told: a large one is known, and serves, before its first round begins.

Else the first checks of those told first would take the time of telling the others. Only where the store comes in more
than one slice; whatever else follows from a slice (a start, an adoption) is done at once.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from probe.environment import Clock
from probe.lifecycle.actions import Action, Unwatch, Watch
from probe.lifecycle.world import World
from probe.values import ResourceId

BEGUN_AT_ONCE = 100  # watches, each with its plan and its task, between two turns of others


async def breathe(clock: Clock) -> None:
    """Let others have their turn between two slices of something large.

    What was made until now is here to stay: a garbage collection that walks through it all would hold the loop for
    seconds.
    """
    gc.freeze()
    await clock.sleep(0)


class Withheld:
    """Stands before what carries actions out, and keeps watches back while it is told to."""

    def __init__(self, perform: Callable[[Action, World], None]) -> None:
        self.holding = False
        self._perform = perform
        self._waiting: dict[ResourceId, Watch] = {}

    def perform(self, action: Action, world: World) -> None:
        """Carry out an action, or keep it for later."""
        if self.holding and isinstance(action, Watch):
            self._waiting[action.id] = action
            return
        if self._waiting and isinstance(action, Watch | Unwatch):
            self._waiting.pop(action.id, None)  # the later word holds
        self._perform(action, world)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keep watches back while the store is told in slices; an end that is asked for waits for the rest, too."""
        self.holding = True
        try:
            yield
        finally:
            self.holding = False

    def drop(self) -> None:
        """Forget what waits: we end, and begin nothing any more."""
        self._waiting.clear()

    async def release(self, perform: Callable[[Action], None], world: World, clock: Clock) -> None:
        """Begin the watches that were kept back, so many at once; one that is no longer meant is left out."""
        while self._waiting:
            for id in self._first():
                action = self._waiting.pop(id)
                record = world.records.get(id)
                if record is not None and record.watched and not record.removing and record.next_spec is None:
                    perform(action)
            await breathe(clock)

    def _first(self) -> list[ResourceId]:
        return [id for id, _ in zip(self._waiting, range(BEGUN_AT_ONCE), strict=False)]
