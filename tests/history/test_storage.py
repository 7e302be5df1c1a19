"""The journal's file: whole batches, runs that are told apart, and a size and an age that are kept."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from probe.history.storage import Checkpoint, Decided, Missed, Retention, Storage
from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Asked, Configured, Drained, Event, Maintained, Planned, Verb
from probe.lifecycle.report import EventReport
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.values import OpId, ResourceId
from tests.history.kit import PLENTY, VERSION, WALL, entries_of, record, some_events, sql, writing
from tests.lifecycle.worlds import bring_up, chain, world_of

EDGE = EventReport(1, WALL, "evs1/r0", "state", "online", "failed", "eof", "x", None, "probe", OpId(3))


def test_what_is_written_is_there(tmp_path: Path) -> None:
    """Every decision has its row, numbered from 1 without a gap; short values are text that anybody can read."""
    events = some_events()
    path = record(tmp_path / "h", events)
    rows = sql(path, "SELECT seq, run, time, now, event, answer FROM decisions ORDER BY seq")
    assert [row[:4] for row in rows] == [(n, 1, WALL + now, now) for n, (_, now) in enumerate(events, 1)]
    assert rows[1][4] == '["Owned",{"group":"evs1","here":true}]'
    assert sql(path, "SELECT version FROM runs") == [(VERSION,)]


def test_long_values_are_compressed(tmp_path: Path) -> None:
    """A large store costs a fraction of its text."""
    world = World()
    event = Configured(tuple(chain(500)))
    with writing(tmp_path / "h") as storage:
        storage.write([Decided(WALL, 0.0, event, step(world, event, 0.0))])
    ((size, kind),) = sql(tmp_path / "h", "SELECT length(event), typeof(event) FROM decisions")
    assert kind == "blob"
    assert isinstance(size, int)
    assert size < 20_000


def test_a_second_run_goes_on_behind_the_first(tmp_path: Path) -> None:
    """A start after an end numbers on, is a run of its own, and begins with a checkpoint of an empty world."""
    path = record(tmp_path / "h", some_events())
    last = len(some_events())
    record(path, some_events())
    assert sql(path, "SELECT min(seq), max(seq) FROM decisions WHERE run = 2") == [(last + 1, 2 * last)]
    assert sql(path, "SELECT DISTINCT seq, run FROM checkpoints") == [(0, 1), (last, 2)]


def test_a_file_opened_anew_has_a_gap(tmp_path: Path) -> None:
    """A run that has to open its file again claims nothing of what was in between."""
    path = record(tmp_path / "h", some_events())
    with writing(path, first=False):
        pass
    assert sql(path, "SELECT run, why FROM gaps") == [(2, "the file was opened anew")]


def test_a_batch_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A batch that fails in the middle leaves nothing; written again, its numbers are the same."""
    entries = list(entries_of(some_events()))
    with writing(tmp_path / "h") as storage:
        storage.write([EDGE])
        with pytest.raises(sqlite3.IntegrityError):
            storage.write([*entries[:5], EDGE])  # an edge of that number is there
        assert sql(tmp_path / "h", "SELECT count(*) FROM decisions") == [(0,)]
        storage.write(entries[:5])
    assert sql(tmp_path / "h", "SELECT max(seq) FROM decisions") == [(5,)]


def test_edges_are_kept_as_they_were_told(tmp_path: Path) -> None:
    """An edge is a row with everything that readers were told."""
    with writing(tmp_path / "h") as storage:
        storage.write([EDGE, replace(EDGE, seq=2, root_cause="evs1/sa", operation=None)])
    assert sql(tmp_path / "h", 'SELECT run, seq, id, "from", "to", reason, root_cause, operation FROM edges') == [
        (1, 1, "evs1/r0", "online", "failed", "eof", None, 3),
        (1, 2, "evs1/r0", "online", "failed", "eof", "evs1/sa", None),
    ]


def test_every_verb_is_in_the_audit(tmp_path: Path) -> None:
    """Who asked for what, and what was answered; also what was refused, and what came without a name."""
    world = world_of(chain(1))
    bring_up(world)
    events: list[Event] = [
        Asked(Verb.RESTART, ResourceId("evs1", "r0"), "anna"),
        Asked(Verb.OFFLINE, "nobody", "bert"),
        Maintained("evs1", on=True, owner="carl"),
        Planned(on=True, by="dora"),
        Planned(on=False),
        Drained(),
    ]
    with writing(tmp_path / "h") as storage:
        storage.write([Decided(WALL, 1.0, event, step(world, event, 1.0)) for event in events])
    rows = sql(tmp_path / "h", "SELECT who, verb, target, granted, answer FROM audit ORDER BY id")
    assert [row[:4] for row in rows] == [
        ("anna", "restart", "evs1/r0", 1),
        ("bert", "offline", "nobody", 0),
        ("carl", "maintained on", "evs1", 1),
        ("dora", "planned on", "", 1),
        ("", "planned off", "", 1),
        ("", "drained", "", 1),
    ]
    assert str(rows[0][4]).isdigit()
    assert str(rows[1][4]).startswith("not_found: there is no nobody")


def test_the_oldest_goes_when_it_is_too_much(tmp_path: Path) -> None:
    """Pruning by size drops from checkpoint to checkpoint, and always keeps the newest and what follows it."""
    path = tmp_path / "h"
    with writing(path) as storage:
        for _ in range(20):
            storage.write(entries_of(some_events(), 5))
        size = storage.bytes_used
        storage.prune(Retention(size // 2, 1e9), WALL + 1e6)
        assert size // 4 < storage.bytes_used <= size // 2
        ((first_decision,),) = sql(path, "SELECT min(seq) FROM decisions")
        assert sql(path, "SELECT min(seq) + 1 FROM checkpoints") == [(first_decision,)]
        storage.prune(Retention(1, 1e9), WALL + 1e6)
        ((checkpoints,),) = sql(path, "SELECT count(DISTINCT seq) FROM checkpoints")
        assert checkpoints == 1
    assert path.stat().st_size < size


def test_the_oldest_goes_when_it_is_too_old(tmp_path: Path) -> None:
    """Pruning by age drops what lies before a checkpoint that is too old itself, edges and audit too.

    Of each resource the last edge of before stays: it says how the resource stood when the rest begins.
    """
    path = tmp_path / "h"
    world = World()
    with writing(path) as storage:
        for day in range(10):
            time = WALL + 86_400 * day
            event = Asked(Verb.ONLINE, "nobody", f"day {day}")
            storage.write([replace(EDGE, seq=day + 1, time=time), Decided(time, 0.0, event, step(world, event, 0.0))])
            storage.write([Checkpoint(time, snapshot(world))])
        storage.prune(Retention(2**40, 3 * 86_400.0), WALL + 86_400 * 9)
    assert sql(path, "SELECT min(seq), max(seq) FROM decisions") == [(7, 10)]
    assert sql(path, "SELECT min(seq), count(*) FROM edges") == [(6, 5)]
    assert sql(path, "SELECT min(who) FROM audit") == [("day 6",)]


def test_pruning_leaves_a_number_alone(tmp_path: Path) -> None:
    """A run that begins after everything was pruned numbers on: a number never means two decisions."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write(entries_of(some_events(), 1))
        storage.prune(Retention(1, 1e9), WALL)
        assert sql(path, "SELECT count(*) FROM decisions") == [(0,)]
    with writing(path) as storage:
        storage.write(list(entries_of(some_events()))[:1])
    assert sql(path, "SELECT min(seq) FROM decisions") == [(len(some_events()) + 1,)]


def test_gaps_stand_behind_what_was_written_last(tmp_path: Path) -> None:
    """What is missing is counted, where it is missing."""
    entries = list(entries_of(some_events()))
    with writing(tmp_path / "h") as storage:
        storage.write([*entries[:4], Missed(WALL, 7, "the disk was too slow"), *entries[4:]])
    assert sql(tmp_path / "h", "SELECT seq, missed, why FROM gaps") == [(4, 7, "the disk was too slow")]


@pytest.mark.parametrize("spoil", ["PRAGMA user_version = 99", "PRAGMA application_id = 1"])
def test_a_file_of_another_kind_is_not_touched(tmp_path: Path, spoil: str) -> None:
    """A database that is no journal of this version is refused, not written to."""
    path = record(tmp_path / "h", some_events())
    sql(path, spoil)
    with pytest.raises(sqlite3.DatabaseError, match="not a journal"):
        Storage(str(path), VERSION, WALL, first=True)
    assert sql(path, "SELECT count(*) FROM runs") == [(1,)]


def test_an_empty_decision_can_be_written(tmp_path: Path) -> None:
    """A tick by which nothing was due is recorded as any other."""
    with writing(tmp_path / "h") as storage:
        assert storage.write([Decided(WALL, 0.0, Drained(), Decision())]) == 2
        storage.prune(PLENTY, WALL)
