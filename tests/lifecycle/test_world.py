"""The tables: bounded, and due times found whatever happened to them since."""

from __future__ import annotations

from msgspec.structs import replace

from probe.lifecycle.events import Asked, Exited, Started, Tick, Verb
from probe.lifecycle.step import step
from probe.lifecycle.world import DUE_STALE_MAX, REQUESTS_MAX, Decision, Record, World
from probe.values import Reason, State, Verdict
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, world_of
from tests.scenarios.language import spec


def due_world(*dues: float) -> World:
    """Make a world of resources that are due at those times."""
    world = World()
    records = [Record(spec(f"r{index}", "smtp", "process"), since=0.0, due=due) for index, due in enumerate(dues)]
    world.apply(Decision(records={record.id: record for record in records}, next_op=1))
    return world


def test_due_times_come_earliest_first() -> None:
    """The next due time is the earliest; whose time has come is listed in that order and kept."""
    world = due_world(5.0, 3.0, 9.0)
    assert world.next_due() == 3.0
    assert [id.name for id in world.due_before(6.0)] == ["r1", "r0"]
    assert [id.name for id in world.due_before(6.0)] == ["r1", "r0"]


def test_due_time_that_changed_or_went_is_not_found() -> None:
    """Only what a record says now counts; entries of the past are dropped."""
    world = due_world(5.0, 3.0)
    late, gone = replace(world.records[id_of("r0")], due=7.0), replace(world.records[id_of("r1")], due=None)
    world.apply(Decision(records={late.id: late, gone.id: gone}, next_op=1))
    assert world.due_before(6.0) == []
    assert world.next_due() == 7.0


def test_forgotten_due_time_comes_back_with_another_one() -> None:
    """A due time that cannot be stepped over is left out until the resource has a new one."""
    world = due_world(5.0, 3.0)
    world.forget_due(id_of("r1"))
    assert world.next_due() == 5.0
    again = replace(world.records[id_of("r1")], due=4.0)
    world.apply(Decision(records={again.id: again}, next_op=1))
    assert world.next_due() == 4.0


def test_years_of_restarts_leave_a_bounded_heap() -> None:
    """Each restart has a due time that is never reached; they do not pile up."""
    world = world_of(chain(3, pending_timeout_s=1e9, restart_threshold=1_000_000))
    bring_up(world)
    for _ in range(500):
        record = world.records[id_of("r2")]
        happen(world, Exited(record.id, record.incarnation, Verdict(Reason.PROCESS_GONE)))
        op = world.records[id_of("r2")].op
        assert op is not None
        happen(world, Started(record.id, op))
    assert world.records[id_of("r2")].restarts == 500
    assert len(world._due) <= 2 * len(world.records) + DUE_STALE_MAX


def test_requests_are_bounded() -> None:
    """Operators may ask for ever; the latest requests are kept."""
    world = world_of(chain(1))
    bring_up(world)
    for _ in range(REQUESTS_MAX + 10):
        last = happen(world, Asked(Verb.ONLINE, id_of("r0"))).answer
    assert len(world.requests) == REQUESTS_MAX
    assert last in world.requests


def test_thrown_away_draft_is_a_plan() -> None:
    """A decision that is not applied has changed nothing."""
    world = world_of(chain(3))
    bring_up(world)
    before = dict(world.records)
    plan = step(world, Asked(Verb.OFFLINE, id_of("r0")), 0.0)
    assert [edge.to for edge in plan.transitions] == [State.OFFLINE_PENDING]
    assert world.records == before
    assert world.requests == {}


def test_tick_can_look_at_one() -> None:
    """A tick for one resource leaves the others' due times for the next."""
    world = due_world(1.0, 1.0)
    for id, record in world.records.items():
        world.records[id] = replace(record, state=State.FAILED)
    happen(world, Tick(id_of("r1")), now=2.0)
    assert [world.records[id_of(name)].due for name in ("r0", "r1")] == [1.0, None]
