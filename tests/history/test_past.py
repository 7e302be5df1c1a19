"""The history's file read for many: who waits for whom, how many at once, and how it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe.environment.clock import LoopClock
from probe.history.edges import Wanted
from probe.history.past import PAGES_AT_ONCE, REPORTS_AT_ONCE, Line, Past
from probe.metrics import Metrics
from tests.history.kit import record, some_events

WAIT_S = 60.0


def past_of(path: Path) -> Past:
    """Open what is recorded there."""
    return Past(LoopClock(), Metrics(), str(path), lambda _: None)


class Readings:
    """Calls that stay in the file until they are let go, and how many of them are in it."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.most = 0
        self._here = 0
        self._lock = threading.Lock()
        self._gate = threading.Event()

    def read(self) -> None:
        """Stay until let go."""
        with self._lock:
            self._here += 1
            self.most = max(self.most, self._here)
        self.begun.release()
        self._gate.wait(WAIT_S)
        with self._lock:
            self._here -= 1

    def let_go(self) -> None:
        """Let all of them return."""
        self._gate.set()


@contextmanager
def held(line: Line, count: int) -> Iterator[tuple[Readings, list[asyncio.Task[None]]]]:
    """Have so many readings in a line that do not end before the block does."""
    readings = Readings()
    tasks = [asyncio.create_task(line.read(readings.read, WAIT_S)) for _ in range(count)]
    try:
        yield readings, tasks
    finally:
        readings.let_go()


async def begun(readings: Readings, count: int) -> None:
    """Wait until so many are in the file."""
    for _ in range(count):
        assert await asyncio.to_thread(readings.begun.acquire, True, WAIT_S)


async def test_a_long_report_holds_up_no_page(tmp_path: Path) -> None:
    """While reports are worked out, and others wait, pages of events are read; a report comes when those have ended."""
    past = past_of(record(tmp_path / "h", some_events()))
    with held(past._reports, REPORTS_AT_ONCE + 1) as (readings, tasks):
        await begun(readings, REPORTS_AT_ONCE)
        assert await past.before(None, Wanted(), 10) == []
        later = asyncio.create_task(past.availability(0))
        await past.before(None, Wanted(), 10)
        assert not later.done()
    await asyncio.gather(later, *tasks)


async def test_so_many_are_read_at_once(tmp_path: Path) -> None:
    """Pages are read side by side, never more than the bound; the others come in their turn."""
    past = past_of(tmp_path / "h")
    with held(past._pages, 4 * PAGES_AT_ONCE) as (readings, tasks):
        await begun(readings, PAGES_AT_ONCE)
        assert past._pages.count == PAGES_AT_ONCE
    await asyncio.gather(*tasks)
    assert readings.most == PAGES_AT_ONCE


async def test_the_end_waits_for_the_readers(tmp_path: Path) -> None:
    """Closing returns when nobody reads any more."""
    past = past_of(tmp_path / "h")
    with held(past._reports, 1) as (readings, tasks):
        await begun(readings, 1)
        closing = asyncio.create_task(past.close())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not closing.done()
    await closing
    await asyncio.gather(*tasks)


async def test_the_end_waits_for_no_disk_that_hangs(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A reading that does not return is left behind, which is said."""
    past = past_of(tmp_path / "h")
    with held(past._pages, 1) as (readings, tasks):
        await begun(readings, 1)
        await past.close()
        assert "1 readings of the history have not ended" in caplog.text
    await asyncio.gather(*tasks)
