"""The table of transitions: closed, reachable, and nothing moves but by it."""

from __future__ import annotations

from itertools import product

import pytest

from probe.lifecycle.transitions import TABLE, ImpossibleTransition, Input, diagram, move
from probe.values import State


def test_every_state_can_be_left_and_reached() -> None:
    """No state is a trap and none is unreachable from offline."""
    assert {source for source, _ in TABLE} == set(State)
    reached, fresh = {State.OFFLINE}, {State.OFFLINE}
    while fresh:
        fresh = {target for (source, _), target in TABLE.items() if source in fresh} - reached
        reached |= fresh
    assert reached == set(State)


def test_online_has_two_doors() -> None:
    """Only a confirmed start and good checks of a failed resource lead to online."""
    doors = {occurrence for (_, occurrence), target in TABLE.items() if target is State.ONLINE}
    assert doors == {Input.READY, Input.RECOVER}


@pytest.mark.parametrize("pair", [pair for pair in product(State, Input) if pair not in TABLE], ids=str)
def test_what_the_table_lacks_is_refused(pair: tuple[State, Input]) -> None:
    """A pair outside of the table is a bug of ours and raises."""
    with pytest.raises(ImpossibleTransition):
        move(*pair)


def test_diagram_draws_every_transition() -> None:
    """The README's diagram has an arrow for every pair of states that the table joins, with its inputs."""
    drawn = diagram()
    for (source, occurrence), target in TABLE.items():
        arrow = f"{source.replace('-', '_')} --> {target.replace('-', '_')}: "
        [line] = [line for line in drawn.splitlines() if arrow in line]
        assert occurrence in line.split(": ")[1].split(", ")
