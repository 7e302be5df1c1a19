"""The minutes of probes: counted, gathered, kept within bounds, read back from the file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from probe.history import minutes as module
from probe.history.minutes import COUNT_MAX, KEPT_BYTES_MAX, MINUTES_MAX, Bucket, Minute, Minutes, Roster
from probe.history.recording import Recording, Unusable
from probe.history.storage import Retention
from probe.metrics import Metrics
from probe.values import Reason, ResourceId, Stage
from tests.history.kit import PLENTY, record, some_events, sql, writing

A, B = ResourceId("evs1", "a"), ResourceId("evs1", "b")
START = 1_700_000_040  # a whole minute


class SteppedClock:
    """A clock that stands still until somebody sleeps."""

    def __init__(self, wall: float) -> None:
        self.time = wall
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def call_at(self, when: float, call: object) -> asyncio.TimerHandle:
        raise NotImplementedError

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


def counted(*ids: ResourceId) -> Metrics:
    """Count some resources."""
    metrics = Metrics()
    for id in ids:
        metrics.declare(id)
    return metrics


async def test_a_minute_has_what_was_counted_in_it() -> None:
    """Good answers with their mean and largest time, failures and unknowns; the next minute begins at nothing."""
    metrics, clock = counted(A, B), SteppedClock(START + 59)
    minutes = Minutes(clock, metrics)
    metrics.answered(A, 0.25)
    metrics.answered(A, 0.75)
    metrics.failure(A, Stage.CONNECT, Reason.CONNECT_REFUSED)
    metrics.unknown(B, Reason.PROBER_STALLED)
    assert minutes.buckets(A, 1) == [Bucket(START, 2, 1, 0, 0.5, 0.75)], "the running minute is told as it is"
    await minutes.gather(START)
    clock.time = START + 61
    metrics.answered(B, 0.125)
    assert minutes.buckets(A, 2) == [Bucket(START, 2, 1, 0, 0.5, 0.75), Bucket(START + 60, 0, 0, 0, None, None)]
    assert minutes.buckets(B, 2) == [Bucket(START, 0, 0, 1, None, None), Bucket(START + 60, 1, 0, 0, 0.125, 0.125)]


async def test_buckets_have_no_hole() -> None:
    """A minute that nobody gathered, and a resource that nobody knows, are told as minutes without a probe."""
    metrics, clock = counted(A), SteppedClock(START)
    minutes = Minutes(clock, metrics)
    metrics.answered(A, 0.5)
    await minutes.gather(START)
    clock.time = START + 5 * 60
    assert [bucket.time for bucket in minutes.buckets(A, 7)] == [START + 60 * at for at in range(-1, 6)]
    assert [bucket.ok for bucket in minutes.buckets(A, 7)] == [0, 1, 0, 0, 0, 0, 0]
    assert all(bucket[1:] == (0, 0, 0, None, None) for bucket in minutes.buckets(B, 3))


async def test_who_comes_and_goes_keeps_its_minutes() -> None:
    """A resource that is added or forgotten changes nobody else's row."""
    metrics, clock = counted(A), SteppedClock(START + 60)
    minutes = Minutes(clock, metrics)
    metrics.answered(A, 0.5)
    await minutes.gather(START)
    metrics.forget(A)
    metrics.declare(B)
    metrics.answered(B, 0.5)
    await minutes.gather(START + 60)
    clock.time = START + 120
    assert [bucket.ok for bucket in minutes.buckets(A, 3)] == [1, 0, 0]
    assert [bucket.ok for bucket in minutes.buckets(B, 3)] == [0, 1, 0]


async def test_minutes_are_gathered_when_they_are_over() -> None:
    """Every minute is offered once, named by its beginning, also when the clock runs while it is gathered."""
    clock, offered = SteppedClock(START + 13.5), list[Minute]()
    ended = asyncio.Event()

    def offer(minute: Minute) -> None:
        offered.append(minute)
        if len(offered) == 3:
            ended.set()
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await Minutes(clock, counted(A), offer).follow()
    assert [minute.start for minute in offered] == [START, START + 60, START + 120]
    assert len({id(minute.roster) for minute in offered}) == 1, "the names are shared while nobody comes or goes"


async def test_many_are_gathered_in_slices() -> None:
    """Between five hundred resources the loop runs on, while they are numbered and while they are gathered."""
    clock = SteppedClock(START)
    minutes = Minutes(clock, counted(*(ResourceId("g", f"r{at}") for at in range(1200))))
    await minutes.gather(START)
    assert clock.slept == [0] * 6
    await minutes.gather(START + 60)
    assert clock.slept == [0] * 9, "numbered once"


def test_the_memory_has_a_bound() -> None:
    """A day at most, and fewer where a minute is large: the oldest goes."""
    minutes = Minutes(SteppedClock(START), Metrics())
    roster = Roster.of(["evs1/a"])
    minutes.recall(Minute(START - 60 * at, roster, bytes(module.ROW.size)) for at in range(MINUTES_MAX + 9, -1, -1))
    assert len(minutes._kept) == MINUTES_MAX
    large = Roster.of(f"g/r{at}" for at in range(50_000))
    rows = bytes(50_000 * module.ROW.size)
    minutes.recall(Minute(START, large, rows) for _ in range(60))
    assert len(minutes._kept) < 60
    assert minutes._bytes <= KEPT_BYTES_MAX
    expected = sum(len(minute.rows) for minute in minutes._kept) + module.ROSTER_BYTES * 50_000
    assert minutes._bytes == expected, "what is counted is what is kept"


async def test_counts_have_a_bound() -> None:
    """More probes in a minute than the row can say are told as the most."""
    metrics = counted(A)
    metrics.resources[A].minute_ok = COUNT_MAX + 5
    minutes = Minutes(SteppedClock(START), metrics)
    await minutes.gather(START)
    assert minutes._kept[0].bucket("evs1/a") == Bucket(START, COUNT_MAX, 0, 0, 0.0, 0.0)


def packed(start: int, roster: Roster, ok: int) -> Minute:
    """Make a minute in which everybody answered so often."""
    return Minute(start, roster, module.ROW.pack(ok, 0, 0, 0.5, 0.5) * len(roster.ids))


def test_minutes_are_written_and_read(tmp_path: Path) -> None:
    """What a run kept, the next one has again; the names of a roster are in the file once."""
    path = record(tmp_path / "h", some_events())
    first, second = Roster.of(["g/a", "g/b"]), Roster.of(["g/b"])
    with writing(path) as storage:
        storage.write([packed(START, first, 1), packed(START + 60, first, 2), packed(START + 120, second, 3)])
    with Recording(str(path)) as recording:
        read = recording.minutes(START + 60)
    assert [(minute.start, minute.roster.ids) for minute in read] == [
        (START + 60, ("g/a", "g/b")),
        (START + 120, ("g/b",)),
    ]
    assert read[0].bucket("g/b") == Bucket(START + 60, 2, 0, 0, 0.5, 0.5)
    assert read[1].bucket("g/a") is None
    assert sql(path, "SELECT count(*) FROM rosters") == [(2,)]


def test_old_minutes_lose_their_numbers_first(tmp_path: Path) -> None:
    """After a day, or beyond the room for them, a row remains that says that we ran; then that goes too."""
    path = tmp_path / "h"
    roster = Roster.of(["g/a"])
    with writing(path) as storage:
        storage.write([packed(START + 60 * at, roster, at) for at in range(MINUTES_MAX + 10)])
        now = START + 60 * (MINUTES_MAX + 10)
        storage.prune(PLENTY, now)
        assert sql(path, "SELECT count(*), sum(data <> x'') FROM minutes") == [(MINUTES_MAX + 10, MINUTES_MAX)]
        storage.prune(Retention(8 * 50 * 30, 1e9), now)
        ((left,),) = sql(path, "SELECT sum(data <> x'') FROM minutes")
        assert isinstance(left, int)
        assert 0 < left < MINUTES_MAX // 2
        storage.prune(Retention(2**40, 60 * 10.0), now)
        assert sql(path, "SELECT count(*) FROM minutes") == [(10,)]
        storage.write([packed(now, roster, 1)])
    with Recording(str(path)) as recording:
        assert recording.minutes(now)[0].bucket("g/a") is not None, "the roster in use is not dropped"


def test_damaged_minutes_are_told(tmp_path: Path) -> None:
    """Numbers that are cut, bombs, and other things in their place are unusable, never a crash; none is none."""
    path = tmp_path / "h"
    with writing(path) as storage:
        storage.write([packed(START, Roster.of(["g/a"]), 1)])
    for column, value in (("ids", b"x"), ("ids", "text"), ("ids", b"")):
        sql(path, f"UPDATE rosters SET {column} = ?", value)
        with Recording(str(path)) as recording, pytest.raises(Unusable):
            recording.minutes(0)
    sql(path, "DROP TABLE rosters")
    with Recording(str(path)) as recording:
        assert recording.minutes(0) == []


def test_a_batch_that_was_taken_back_writes_its_roster_again(tmp_path: Path) -> None:
    """A roster of a transaction that failed is not taken for written."""
    path = tmp_path / "h"
    roster = Roster.of(["g/a"])
    with writing(path) as storage:
        with pytest.raises(AttributeError):
            storage.write([packed(START, roster, 1), object()])  # type: ignore[list-item] # no entry at all
        storage.write([packed(START, roster, 1)])
    with Recording(str(path)) as recording:
        assert [minute.roster.ids for minute in recording.minutes(0)] == [("g/a",)]


def test_a_start_that_is_confirmed_leaves_no_red_bar() -> None:
    """What fails, or cannot be told, while a start is confirmed is counted as a probe, and not in its minute."""
    metrics = Metrics()
    metrics.declare(A)
    metrics.failure(A, Stage.CONNECT, Reason.CONNECT_REFUSED, confirming=True)
    metrics.unknown(A, Reason.PROBER_STALLED, confirming=True)
    (running,) = Minutes(SteppedClock(START), metrics).buckets(A, 1)
    assert (running.ok, running.failed, running.unknown) == (0, 0, 0)
    assert sum(metrics.resources[A].failures.values()) == sum(metrics.resources[A].unknowns.values()) == 1
    metrics.failure(A, Stage.CONNECT, Reason.CONNECT_REFUSED)
    assert Minutes(SteppedClock(START), metrics).buckets(A, 1)[0].failed == 1
