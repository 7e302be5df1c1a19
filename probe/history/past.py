"""What was, for readers: the minutes of probes from memory, and the rest from the journal's file.

The file is read in a thread, for one reader at a time: it is never waited for on the loop, and readers that come
together cost no more than one after the other. A disk that hangs holds up readers alone, and only so many threads.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from probe.environment import Clock
from probe.environment.threads import DaemonThreads
from probe.history.availability import AvailabilityReport
from probe.history.edges import Course, Cursor, Wanted, read_before, read_timeline
from probe.history.minutes import MINUTE_S, MINUTES_MAX, Minute, Minutes
from probe.history.reckoning import read_availability
from probe.history.recording import Recording, Unusable
from probe.history.timeline import Timeline
from probe.lifecycle.report import EventReport
from probe.metrics import Metrics

READERS_MAX = 4  # threads, of which all but one have been given up
REPORT_S = 120.0  # of a month with many edges
PAGE_S = 8.0  # the page and our commands give up after ten, and would not hear why

T = TypeVar("T")

_log = logging.getLogger("looksalive.history")


class Past:
    """The minutes of this run and of those before it, over the journal at `path`."""

    def __init__(self, clock: Clock, metrics: Metrics, path: str, offer: Callable[[Minute], None]) -> None:
        self.minutes = Minutes(clock, metrics, offer)
        self.clock = clock
        self.begun = clock.wall()  # this run of ours, before its journal is opened
        self._path = path
        self._threads = DaemonThreads(READERS_MAX)
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Past {self._path} {self.minutes!r}>"

    async def availability(self, since: float) -> AvailabilityReport:
        """Report on the time since. Raises Unusable, FileNotFoundError, TimeoutError, OSError (the disk hangs)."""
        until = self.clock.wall()
        begin = min(since, until - 1)
        return await self._read(lambda: read_availability(self._path, begin, until, running=True), REPORT_S)

    async def timeline(self, course: Course, since: float) -> Timeline:
        """Say in what state a resource was since. Raises as `availability` does."""
        until = self.clock.wall()
        begin = min(since, until - 1)
        return await self._read(lambda: read_timeline(self._path, course, begin, until), PAGE_S)

    async def before(self, cursor: Cursor | None, wanted: Wanted, limit: int) -> list[EventReport]:
        """Read the last edges before `cursor` that were recorded, the newest first. Raises as `availability` does."""
        return await self._read(lambda: read_before(self._path, cursor, wanted, limit), PAGE_S)

    async def _read(self, call: Callable[[], T], within_s: float) -> T:
        async with asyncio.timeout(within_s), self._turn:
            return await self._threads.run(object(), call)

    async def follow(self) -> None:
        """Take over what an earlier run wrote, then gather every minute, until cancelled."""
        since = self.clock.wall() - MINUTES_MAX * MINUTE_S
        self.minutes.recall(await self._threads.run(self, lambda: _earlier(self._path, since)))
        await self.minutes.follow()


def _earlier(path: str, since: float) -> list[Minute]:
    try:
        with Recording(path) as recording:
            return recording.minutes(since)
    except FileNotFoundError:
        return []
    except Unusable as problem:
        _log.warning("the minutes of earlier runs are not shown: %s: %s", path, problem)
        return []
