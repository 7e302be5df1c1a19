"""Who is told of every decision, made one of several."""

from __future__ import annotations

from collections.abc import Iterable

from probe.lifecycle.events import Event
from probe.lifecycle.world import Decision, World
from probe.runtime.loop import Witness


def witness_of(notes: Iterable[Witness]) -> Witness | None:
    """Make one witness of several; None of none."""
    told = tuple(notes)
    if len(told) < 2:
        return next(iter(told), None)

    def note(world: World, event: Event, now: float, decision: Decision) -> None:
        for each in told:
            each(world, event, now, decision)

    return note
