"""Replays: the same actions again over random runs; whatever is tampered with, missing or cut off is found."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.history.recording import Recording, Unusable
from probe.history.replay import Outcome, replay
from probe.history.storage import Missed
from probe.lifecycle.events import Verb
from probe.lifecycle.spec import Spec
from probe.lifecycle.world import World
from probe.values import State
from tests.history.kit import VERSION, WALL, entries_of, record, some_events, sql, writing
from tests.lifecycle.healthy import HealthyMachine, specs


def replayed(path: Path, first: int | None = None, last: int | None = None) -> Outcome:
    """Replay a file."""
    with Recording(str(path)) as recording:
        return replay(recording, first, last)


@settings(max_examples=60, deadline=None)
@given(
    described=specs(),
    moves=st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from(["lose", "kill", *Verb]), st.sampled_from((0.0, 0.1, 60.0))),
        max_size=6,
    ),
    every=st.integers(1, 20),
)
def test_a_recorded_run_replays_the_same(
    described: list[Spec], moves: list[tuple[int, str, float]], every: int
) -> None:
    """Random graphs, losses, verbs and times, with checkpoints anywhere: from each of them it is the same again."""
    machine = HealthyMachine(World())
    machine.load(described)
    for which, move, pause_s in moves:
        id = described[which % len(described)].id
        if move not in ("lose", "kill"):
            machine.ask(Verb(move), id, "anna")
        elif machine.world.records[id].state is State.ONLINE:
            machine.lose(id, process=move == "kill")
        machine.run(machine.now + pause_s)
    events = [(event, now) for event, now, _ in machine.log]
    with tempfile.TemporaryDirectory() as folder:
        path = record(Path(folder) / "h", events, every)
        outcome = replayed(path)
        assert (outcome.difference, outcome.gaps, outcome.replayed) == (None, (), len(events))
        middle = len(events) // 2 + 1
        outcome = replayed(path, middle, len(events))
        assert (outcome.difference, outcome.first, outcome.replayed) == (None, middle, len(events) - middle + 1)


TAMPERED = [
    ("UPDATE decisions SET actions = replace(actions, 'Stop', 'Terminate') WHERE actions LIKE '%Stop%'", "actions"),
    ("UPDATE decisions SET actions = '[]' WHERE actions <> '[]'", "actions"),
    ("UPDATE decisions SET transitions = '[]' WHERE transitions <> '[]'", "transitions"),
    ("UPDATE decisions SET transitions = replace(transitions, 'process_gone', 'eof')", "transitions"),
    ("UPDATE decisions SET answer = '99' WHERE answer <> 'null'", "answer"),
    ("UPDATE decisions SET digest = 'x' WHERE seq = 7", "records"),
    ("UPDATE decisions SET now = now + 1 WHERE seq = 9", "records"),
    ("UPDATE decisions SET event = replace(event, '\"op\":1', '\"op\":9') WHERE seq = 3", "actions"),
    ('UPDATE decisions SET event = \'["Tick",{"only":null}]\' WHERE seq = 3', "actions"),
]


@pytest.mark.parametrize(("query", "what"), TAMPERED)
def test_what_was_tampered_with_is_found(tmp_path: Path, query: str, what: str) -> None:
    """Whichever column of a decision is changed, the first difference is that decision, with both sides told."""
    path = record(tmp_path / "h", some_events())
    before = sql(path, "SELECT * FROM decisions")
    sql(path, query)
    after = sql(path, "SELECT * FROM decisions")
    first = next(row[0] for row, other in zip(before, after, strict=True) if row != other)
    difference = replayed(path).difference
    assert difference is not None
    assert (difference.seq, difference.what) == (first, what)
    assert difference.recorded != difference.now
    assert replayed(path, last=int(str(first)) - 1).difference is None


def test_a_difference_tells_the_state_before(tmp_path: Path) -> None:
    """The event, what was done then, what would be done now, and the resources concerned as they were."""
    path = record(tmp_path / "h", some_events())
    ((seq,),) = sql(path, "SELECT min(seq) FROM decisions WHERE event LIKE '%Exited%'")
    sql(path, "UPDATE decisions SET actions = '[]' WHERE seq = ?", seq)
    difference = replayed(path).difference
    assert difference is not None
    assert difference.seq == seq
    assert difference.event.startswith("Exited(id=ResourceId(group='evs1', name='r0')")
    assert difference.recorded == ()
    assert difference.now[0].startswith("Stop(id=ResourceId(group='evs1', name='r2')")
    assert difference.before == ("evs1/r0 is online", "evs1/r2 is online")


def test_a_checkpoint_is_proved_on_the_way(tmp_path: Path) -> None:
    """A world that differs from the checkpoint that the run wrote is a difference, even if no action tells it."""
    path, other = (record(tmp_path / name, some_events(3, kills), 10) for name, kills in (("h", 2), ("o", 2)))
    rows = sql(other, "SELECT part, data FROM checkpoints WHERE seq = 20")
    for part, data in rows:
        sql(path, "UPDATE checkpoints SET data = ? WHERE seq = 10 AND part = ?", data, part)
    difference = replayed(path).difference
    assert difference is not None
    assert (difference.seq, difference.what) == (10, "world")


def test_no_gap_is_crossed(tmp_path: Path) -> None:
    """Behind a gap it goes on from the next checkpoint; what lies between is passed over, and all of it is told."""
    entries = list(entries_of(some_events(), 10))
    with writing(tmp_path / "h") as storage:
        storage.write([*entries[:4], Missed(WALL, 3, "the disk was too slow"), *entries[7:]])
    outcome = replayed(tmp_path / "h")
    assert outcome.difference is None
    assert [(gap.seq, gap.gap) for gap in outcome.gaps] == [(4, "3 decisions are missing: the disk was too slow")]
    assert outcome.passed_over == 3
    assert outcome.replayed == len(some_events()) - 6


def test_missing_rows_are_a_gap(tmp_path: Path) -> None:
    """Rows that somebody deleted are noticed by their numbers."""
    path = record(tmp_path / "h", some_events(), 10)
    sql(path, "DELETE FROM decisions WHERE seq IN (5, 6)")
    outcome = replayed(path)
    assert [(gap.seq, gap.gap) for gap in outcome.gaps] == [(4, "decisions 5 to 6 are not there")]
    assert (outcome.passed_over, outcome.difference) == (4, None)


def test_two_runs_are_replayed_one_after_the_other(tmp_path: Path) -> None:
    """A second run begins with a world of its own; the versions of both are known."""
    path = record(tmp_path / "h", some_events(3))
    record(path, some_events(4))
    outcome = replayed(path)
    assert (outcome.replayed, outcome.gaps, outcome.difference) == (len(some_events(3)) + len(some_events(4)), (), None)
    with Recording(str(path)) as recording:
        assert recording.versions() == {1: VERSION, 2: VERSION}


def test_a_pruned_file_replays_from_its_checkpoint(tmp_path: Path) -> None:
    """After the oldest was dropped, the rest is replayed as ever."""
    path = record(tmp_path / "h", some_events(), 10)
    sql(path, "DELETE FROM decisions WHERE seq <= 10")
    sql(path, "DELETE FROM checkpoints WHERE seq < 10")
    outcome = replayed(path)
    assert (outcome.first, outcome.last, outcome.difference) == (11, len(some_events()), None)


def test_a_file_that_is_being_written_can_be_read(tmp_path: Path) -> None:
    """The live file, a copy of it with its log, and a copy of the file alone: each replays what it has."""
    path = tmp_path / "h"
    events = some_events()
    with writing(path) as storage:
        storage.write(entries_of(events))
        assert replayed(path).replayed == len(events)
        both, alone = tmp_path / "both", tmp_path / "alone"
        for name in ("h", "h-wal"):
            shutil.copy(tmp_path / name, tmp_path / name.replace("h", "both", 1))
        sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(path, alone)
        assert replayed(both).replayed == len(events)
        assert replayed(alone).replayed == len(events)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("UPDATE decisions SET event = '[' WHERE seq = 3", "decision 3: the event"),
        ("UPDATE decisions SET event = 17 WHERE seq = 3", "decision 3: holds int where text belongs"),
        ("UPDATE decisions SET event = x'00ff' WHERE seq = 3", "decision 3: Error -3"),
        ("UPDATE decisions SET event = x'789c' WHERE seq = 3", "decision 3: is cut off"),
        ("UPDATE decisions SET now = 'late' WHERE seq = 3", "holds str where a time belongs"),
        ("UPDATE decisions SET event = '[\"Explode\",{}]' WHERE seq = 3", "no event 'Explode'"),
        ("UPDATE checkpoints SET data = x'00'", "the checkpoint at 0"),
        ("DELETE FROM checkpoints", "no checkpoint to begin at"),
        ("DROP TABLE decisions", "it cannot be read: no such table"),
        ("PRAGMA user_version = 2", "no history of this version"),
        ("PRAGMA application_id = 2", "no history of this version"),
    ],
)
def test_a_file_that_makes_no_sense_is_unusable(tmp_path: Path, query: str, why: str) -> None:
    """Whatever somebody wrote into the file is data: what cannot be understood is named, nothing else happens."""
    path = record(tmp_path / "h", some_events())
    sql(path, query)
    with pytest.raises(Unusable, match=why):
        replayed(path)


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_database_is_unusable(tmp_path: Path, content: bytes) -> None:
    """Any other file is refused; one that is not there, too."""
    path = tmp_path / "h"
    with pytest.raises(FileNotFoundError):
        Recording(str(path))
    path.write_bytes(content)
    with pytest.raises(Unusable):
        Recording(str(path))
    assert path.read_bytes() == content
