"""The one function: events about nobody, and answers of the past, decide nothing."""

from __future__ import annotations

import pytest

from probe.lifecycle.events import (
    Event,
    Exited,
    Found,
    OperationFailed,
    Probed,
    Started,
    Stopped,
    Tick,
    Trigger,
)
from probe.lifecycle.world import World
from probe.values import Incarnation, OpId, Reason, State, Verdict
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, world_of

EOF = Verdict(Reason.EOF)
NOBODY = id_of("nobody")


@pytest.mark.parametrize(
    "event",
    [
        Started(NOBODY, OpId(1)),
        Stopped(NOBODY, OpId(1)),
        OperationFailed(NOBODY, OpId(1), EOF),
        Found(NOBODY),
        Exited(NOBODY, Incarnation(1), EOF),
        Probed(NOBODY, Incarnation(1), False, EOF),
        Tick(),
        Tick(NOBODY),
    ],
)
def test_event_about_nobody_decides_nothing(event: Event) -> None:
    """Late news of a resource that is gone moves nothing, in an empty world and in a full one."""
    full = world_of(chain(2))
    bring_up(full)
    for world in (World(), full):
        decision = happen(world, event, 1.0)
        assert (decision.records, decision.actions, decision.transitions) == ({}, [], [])


def test_answer_of_an_earlier_operation_only_frees_its_worker() -> None:
    """Rule 4: a late answer is dropped by comparison; it tells no more than that a worker has returned."""
    world = world_of(chain(1, pending_timeout_s=10.0))
    [late] = world.records[id_of("r0")].workers
    happen(world, Tick(), 10.0)
    assert world.records[id_of("r0")].state is State.FAILED
    decision = happen(world, OperationFailed(id_of("r0"), late, EOF), 10.5)
    assert decision.transitions == []
    assert world.records[id_of("r0")].workers == frozenset()


def test_trigger_is_of_the_event_for_its_subject_and_dependency_for_others() -> None:
    """Who caused it: the process for the one that ended, the dependency for those that go down with it."""
    world = world_of(chain(2))
    bring_up(world)
    gone = Exited(id_of("r0"), world.records[id_of("r0")].incarnation, Verdict(Reason.PROCESS_GONE))
    decision = happen(world, gone)
    assert [(edge.id.name, edge.trigger) for edge in decision.transitions] == [
        ("r0", Trigger.PROCESS),
        ("r1", Trigger.DEPENDENCY),
    ]
