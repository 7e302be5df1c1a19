"""The journal's queue and thread: the loop never waits, and whatever happens to the file, the service goes on."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import pytest

from probe.environment.clock import LoopClock
from probe.environment.files import RealFiles
from probe.history.journal import BATCH_ENTRIES_MAX, CLOSE_S, DECISIONS_PER_CHECKPOINT, ENTRIES_MAX, Journal
from probe.history.recording import Recording
from probe.history.replay import Outcome, replay
from probe.history.storage import Retention
from probe.lifecycle.events import Event, Tick
from probe.lifecycle.report import EventReport
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.metrics import Metrics
from tests.environment.until import until
from tests.history.kit import PLENTY, VERSION, some_events, sql

EDGE = EventReport(1, 4e9, "evs1/r0", "state", "online", "failed", "eof", "", None, "probe", None)


class Run:
    """A run of the core whose every decision is noted."""

    def __init__(self, path: Path, retention: Retention = PLENTY) -> None:
        self.path = path
        self.metrics = Metrics()
        self.journal = Journal(
            str(path), RealFiles(), LoopClock(), self.metrics, retention, version=VERSION, retry_s=0.05
        )
        self.world = World()
        self.noted = 0

    def happen(self, event: Event, now: float = 0.0) -> None:
        """Step, apply, note: as the runtime does."""
        decision = step(self.world, event, now)
        self.world.apply(decision)
        self.journal.note(self.world, event, now, decision)
        self.noted += 1

    def happen_all(self, events: list[tuple[Event, float]]) -> None:
        """Let a whole list happen."""
        for event, now in events:
            self.happen(event, now)

    async def written(self, count: int) -> None:
        """Wait until so many decisions are in the file."""
        await until(lambda: self.path.exists() and _decisions(self.path) >= count, f"{count} decisions to be written")

    def replayed(self) -> Outcome:
        """Replay the file."""
        with Recording(str(self.path)) as recording:
            return replay(recording)


def _decisions(path: Path) -> int:
    try:
        return int(str(sql(path, "SELECT count(*) FROM decisions")[0][0]))
    except sqlite3.Error:
        return 0  # it is just being made


@asynccontextmanager
async def running(path: Path, retention: Retention = PLENTY) -> AsyncIterator[Run]:
    """Run a journal and end it in order."""
    run = Run(path, retention)
    run.journal.start()
    try:
        yield run
    finally:
        await run.journal.close()


async def test_everything_noted_is_in_the_file_at_the_end(tmp_path: Path) -> None:
    """What was noted before the start, meanwhile, and right before the end: all of it is written, and replays."""
    path = tmp_path / "h"
    run = Run(path)
    events = some_events(4, 2)
    run.happen_all(events[:5])
    run.journal.start()
    run.happen_all(events[5:])
    run.journal.offer(EDGE)
    await run.journal.close()
    outcome = run.replayed()
    assert (outcome.replayed, outcome.difference, outcome.gaps) == (len(events), None, ())
    assert sql(path, "SELECT count(*) FROM edges") == [(1,)]
    assert run.metrics.history_written_total > len(events)
    assert not path.with_name("h-wal").exists()


async def test_a_checkpoint_comes_every_so_often(tmp_path: Path) -> None:
    """After so many decisions the whole world is written; the replay proves it on the way."""
    async with running(tmp_path / "h") as run:
        run.happen_all(some_events())
        for _ in range(2 * DECISIONS_PER_CHECKPOINT + 10):
            run.happen(Tick())
            if run.noted % BATCH_ENTRIES_MAX == 0:
                await run.written(run.noted)
        await run.written(run.noted)
    assert sql(run.path, "SELECT count(DISTINCT seq) FROM checkpoints") == [(3,)]
    assert run.replayed().difference is None


async def test_a_full_queue_drops_and_says_so(tmp_path: Path) -> None:
    """While the disk takes nothing the loop goes on; what is dropped is counted, and is a gap for every replay."""
    run = Run(tmp_path / "h")
    run.happen_all(some_events())
    kept = run.noted
    for seq in range(ENTRIES_MAX - kept):
        run.journal.offer(replace(EDGE, seq=seq))
    run.happen_all([(Tick(), 0.0)] * 50)
    assert run.metrics.history_dropped_total == 50
    run.journal.start()
    await run.written(kept)
    run.happen(Tick())
    run.happen(Tick())
    await run.written(kept + 2)
    await run.journal.close()
    assert sql(run.path, "SELECT seq, missed FROM gaps") == [(kept, 50)]
    outcome = run.replayed()
    assert (outcome.replayed, outcome.passed_over, outcome.difference) == (kept + 1, 1, None)
    assert [gap.seq for gap in outcome.gaps] == [kept]


async def test_a_locked_file_is_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another program holds the file: told once, tried again, and nothing is lost."""
    path = tmp_path / "h"
    async with running(path) as run:
        run.happen_all(some_events())
        await run.written(run.noted)
        with closing(sqlite3.connect(path, isolation_level=None)) as other, caplog.at_level(logging.WARNING):
            other.execute("BEGIN IMMEDIATE")
            run.happen(Tick())
            await until(lambda: run.metrics.history_errors_total >= 2, "two tries")
            assert run.metrics.history_failing
            other.execute("ROLLBACK")
            await run.written(run.noted)
        assert not run.metrics.history_failing
    told = [record.message for record in caplog.records]
    assert [text.partition(": ")[0] for text in told] == [
        f"the history cannot be written to {path}",
        "the history is written again",
    ]
    assert run.replayed().gaps == ()


async def test_a_full_disk_costs_nothing_but_time(tmp_path: Path) -> None:
    """A disk without room: the entries wait, and are written once there is room again."""
    path = tmp_path / "small" / "h"
    path.parent.mkdir()
    run = Run(path)
    path.parent.rmdir()  # a file that cannot be made at all, at first
    run.journal.start()
    run.happen_all(some_events())
    await until(lambda: run.metrics.history_failing, "the failure to be noticed")
    path.parent.mkdir()
    await run.written(run.noted)
    await run.journal.close()
    outcome = run.replayed()
    assert (outcome.replayed, outcome.gaps, outcome.difference) == (run.noted, (), None)


@pytest.mark.parametrize("spoilt", [b"this is no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 8176])
async def test_a_broken_file_is_kept_under_another_name(
    tmp_path: Path, spoilt: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A file that is no journal is set aside with a date, as it is, and a new one begun."""
    path = tmp_path / "h"
    path.write_bytes(spoilt)
    with caplog.at_level(logging.ERROR):
        async with running(path) as run:
            run.happen_all(some_events())
            await run.written(run.noted)
    (kept,) = set_aside(path)
    assert kept.read_bytes() == spoilt
    assert kept.name in caplog.text
    assert run.replayed().replayed == run.noted


async def test_a_file_that_breaks_meanwhile_is_replaced(tmp_path: Path) -> None:
    """Damage while we run costs what was in the file, never the service; the new one begins with a gap."""
    path = tmp_path / "h"
    async with running(path) as run:
        run.happen_all(some_events(30))
        await run.written(run.noted)
        sql(path, "PRAGMA wal_checkpoint(TRUNCATE)")
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))
        await until(lambda: _prodded(run), "a new file")
        await until(lambda: _checkpointed(run), "a checkpoint in the new file")
        run.happen(Tick(), 1e6)
    outcome = run.replayed()
    assert outcome.difference is None
    assert outcome.replayed >= 1


def _prodded(run: Run) -> bool:
    """Let something happen, until the damage is met."""
    run.happen(Tick(), 1e6)
    return bool(set_aside(run.path))


def set_aside(path: Path) -> list[Path]:
    """List the files that were set aside."""
    return [each for each in path.parent.glob("h.unreadable-*") if not each.name.endswith(("-wal", "-shm"))]


def _checkpointed(run: Run) -> bool:
    """Let something happen, until the journal has a world to begin with."""
    try:
        done = bool(sql(run.path, "SELECT 1 FROM checkpoints"))
    except sqlite3.Error:
        return False
    if not done:
        run.happen(Tick(), 1e6)
    return done


async def test_the_size_is_kept(tmp_path: Path) -> None:
    """However much happens, the file stays near its bound: a checkpoint is made for it where none is due."""
    bound = 200_000
    async with running(tmp_path / "h", Retention(bound, 1e9)) as run:
        run.happen_all(some_events())
        for _ in range(20):
            for _ in range(200):
                run.happen(Tick())
            await until(lambda: not run.journal.waiting, "the queue to be empty")
            await asyncio.sleep(0)
    assert run.path.stat().st_size < 3 * bound
    outcome = run.replayed()
    assert outcome.difference is None
    assert outcome.replayed < run.noted


async def test_the_end_waits_for_nobody_for_long(tmp_path: Path) -> None:
    """A disk that hangs at the end delays it by no more than its bound."""
    path = tmp_path / "h"
    run = Run(path)
    run.journal.start()
    run.happen_all(some_events())
    await run.written(run.noted)
    clock = LoopClock()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        run.happen(Tick())
        begun = clock.now()
        await run.journal.close()
        assert clock.now() - begun < CLOSE_S + 5.0
        other.execute("ROLLBACK")


async def test_a_mistake_of_ours_costs_its_batch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An entry that cannot be written at all is a gap, told in the log; what comes after is written."""
    async with running(tmp_path / "h") as run:
        run.happen_all(some_events())
        await run.written(run.noted)
        seen = run.noted
        with caplog.at_level(logging.ERROR):
            run.journal.note(run.world, object(), 0.0, step(run.world, Tick(), 0.0))  # type: ignore[arg-type] # no event
            await until(lambda: bool(sql(run.path, "SELECT 1 FROM gaps")), "the gap to be written")
        run.happen(Tick())
        await run.written(seen + 1)
    assert "a mistake in looksalive" in caplog.text
    assert sql(run.path, "SELECT missed FROM gaps") == [(1,)]
