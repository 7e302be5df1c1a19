"""Several witnesses of one decision."""

from __future__ import annotations

from probe.lifecycle.events import Event, Tick
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.runtime.witness import witness_of


def test_each_is_told_in_order() -> None:
    """Nobody is told by nobody, one is told as it is, several one after the other."""
    told: list[str] = []

    def first(world: World, event: Event, now: float, decision: Decision) -> None:
        told.append("first")

    def second(world: World, event: Event, now: float, decision: Decision) -> None:
        told.append("second")

    assert witness_of([]) is None
    assert witness_of([first]) is first
    both = witness_of([first, second])
    assert both is not None
    both(World(), Tick(), 0.0, step(World(), Tick(), 0.0))
    assert told == ["first", "second"]
