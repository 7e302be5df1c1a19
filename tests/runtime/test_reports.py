"""What readers see of a record and a reading, put together."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from msgspec.structs import replace

from probe.lifecycle.events import Verb
from probe.lifecycle.world import GroupRecord, Record, Request, World
from probe.monitor.cache import Reading
from probe.runtime.reports import MEMBERS_PER_SLICE, report_group, report_level, report_operation, report_resource
from probe.values import OpId, Outcome, Reason, ResourceId, State, Verdict
from tests.scenarios.language import GROUP, spec

SMTP, STORE = ResourceId(GROUP, "smtp"), ResourceId(GROUP, "store")


class _Told:
    """The part of a probe's result that a report looks at."""

    def __init__(self, reason: Reason, ended: float) -> None:
        self.verdict = Verdict(reason, "raw")
        self.ended = ended


def reading(alive: bool | None, reason: Reason, ended: float = 95.0) -> Reading:
    """Make a reading, fresh for 30 s."""
    return Reading(alive, _Told(reason, ended), 1, 30.0)  # type: ignore[arg-type] # a whole dialogue would say no more


def record(state: State, **changes: Any) -> Record:
    """Make a watched record in that state since 40."""
    made = Record(spec("smtp", "smtp", "process", ("store",)), since=40.0, state=state, wanted=True, watched=True)
    return replace(made, **changes)


def report(one: Record, seen: Reading | None, world: World | None = None) -> Any:
    """Report at 100, when the wall clock says 1100."""
    told = report_resource(world or World(), one, seen, now=100.0, wall=1100.0, pid=7)
    level = report_level(one, seen, 100.0)  # a scrape tells the same of it, whatever the case
    assert level._asdict() == {name: getattr(told, name) for name in level._fields}
    return told


@pytest.mark.parametrize(
    ("one", "seen", "alive", "verdict", "reason"),
    [
        (record(State.ONLINE, reason=Reason.MATCHED), None, True, Outcome.ALIVE, Reason.MATCHED),
        (record(State.ONLINE), reading(True, Reason.EOF), True, Outcome.FAILED, Reason.EOF),
        (record(State.ONLINE), reading(False, Reason.EOF), False, Outcome.FAILED, Reason.EOF),
        (record(State.ONLINE), reading(True, Reason.DNS_TIMEOUT), True, Outcome.UNKNOWN, Reason.DNS_TIMEOUT),
        (record(State.ONLINE), reading(True, Reason.MATCHED, ended=60.0), True, Outcome.UNKNOWN, Reason.STALE),
        (record(State.FAILED, reason=Reason.RESET), reading(False, Reason.EOF), False, Outcome.FAILED, Reason.RESET),
        (record(State.FAILED, reason=Reason.EOF), reading(True, Reason.MATCHED), False, Outcome.ALIVE, Reason.EOF),
        (record(State.FAILED, reason=Reason.PROCESS_GONE), None, False, Outcome.FAILED, Reason.PROCESS_GONE),
        (record(State.ONLINE_PENDING), None, False, Outcome.UNKNOWN, Reason.NOT_YET),
        (
            record(State.OFFLINE, watched=False, reason=Reason.SERVICE_STOPPED),
            reading(True, Reason.MATCHED),
            False,
            Outcome.UNKNOWN,
            Reason.SERVICE_STOPPED,
        ),
    ],
)
def test_level_and_last_word(one: Record, seen: Reading | None, alive: bool, verdict: Outcome, reason: Reason) -> None:
    """S62 S66: only online can be alive; the verdict is the last raw one; unknown and stale never change the level."""
    told = report(one, seen)
    assert (told.alive, told.verdict, told.reason) == (alive, verdict, reason)


def test_ages_and_times_are_of_the_wall() -> None:
    """An answer carries its age; the last change of state is told in the wall's time."""
    told = report(record(State.ONLINE), reading(True, Reason.MATCHED))
    assert (told.age_s, told.since, told.stale, told.pid) == (5.0, 1040.0, False, 7)


def test_held_resource_names_what_it_waits_for() -> None:
    """A resource that is wanted and down names its providers that are not online."""
    world = World()
    world.records[STORE] = Record(spec("store", "service", "process"), since=0.0, state=State.FAILED)
    assert report(record(State.OFFLINE), None, world).waiting_for == (STORE,)
    assert report(record(State.OFFLINE, wanted=False), None, world).waiting_for == ()


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([State.ONLINE, State.FAILED, State.ONLINE_PENDING], "failed"),
        ([State.ONLINE, State.OFFLINE_PENDING], "pending"),
        ([State.ONLINE, State.ONLINE], "online"),
        ([State.OFFLINE], "offline"),
        ([State.ONLINE, State.OFFLINE], "partial"),
        ([], "online"),
    ],
)
def test_group_is_as_good_as_its_worst(states: list[State], worst: str) -> None:
    """A group's state is the worst that is in it."""
    world = World()
    for index, state in enumerate(states):
        one = Record(spec(f"r{index}", "smtp", "none"), since=0.0, state=state)
        world.records[one.id] = one
    (told,) = report_group(world, GroupRecord(GROUP, tuple(world.records), here=True), "node1")
    assert told is not None
    assert (told.name, told.owner, told.state, told.resources) == (GROUP, "node1", worst, len(states))


def test_a_large_group_is_described_in_slices() -> None:
    """Between two pieces of a bounded size others have their turn; what goes meanwhile is not counted."""
    world = World()
    for index in range(3 * MEMBERS_PER_SLICE + 1):
        one = Record(spec(f"r{index}", "smtp", "none"), since=0.0, state=State.ONLINE)
        world.records[one.id] = one
    last = one.id
    slices = report_group(world, GroupRecord(GROUP, tuple(world.records), here=True), "node1")
    assert [next(slices) for _ in range(3)] == [None, None, None]
    del world.records[last]
    (told,) = slices
    assert told is not None
    assert (told.state, told.resources) == ("online", 3 * MEMBERS_PER_SLICE)


def test_operation_is_told_in_the_walls_time() -> None:
    """A request's moments are turned into the wall's time, the end only when there is one."""
    request = Request(OpId(3), Verb.OFFLINE, "evs1/smtp", "anna", 10.0, 1)
    told = report_operation(request, lambda at: at + 1000)
    assert (told.id, told.verb, told.state, told.asked_at, told.ended_at) == (3, "offline", "pending", 1010.0, None)
    ended = report_operation(dataclasses.replace(request, state="done", ended_at=12.0), lambda at: at + 1000)
    assert (ended.state, ended.ended_at) == ("done", 1012.0)
