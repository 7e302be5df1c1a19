"""What was, for readers: the minutes of probes from memory, and the rest from the journal's file.

The file is read in threads, each reading over a connection of its own: it is never waited for on the loop. Reports have
a line of their own, so that a long one holds up no page; in each line so many are read at once and the others wait. A
disk that hangs holds up readers alone, and only so many threads.
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

REPORTS_AT_ONCE = 1  # each keeps the interpreter busy for as long as it takes: two would only slow down each other
PAGES_AT_ONCE = 2  # every thread that computes may keep the loop from the interpreter's lock for 5 ms
GIVEN_UP_MAX = 3  # threads that nobody waits for any more, in each line; beyond it nothing more is begun there
CLOSE_S = 1.0  # for what is being read when we end
CLOSE_POLL_S = 0.02
REPORT_S = 120.0  # of a month with many edges
PAGE_S = 8.0  # the page and our commands give up after ten, and would not hear why

T = TypeVar("T")

_log = logging.getLogger("looksalive.history")


class Line:
    """Readings of one kind: so many at once, each in a thread, the others wait for their turn."""

    def __init__(self, at_once: int) -> None:
        self._threads = DaemonThreads(at_once + GIVEN_UP_MAX)
        self._turns = asyncio.Semaphore(at_once)

    @property
    def count(self) -> int:
        """How many have not returned, whether somebody waits for them or not."""
        return self._threads.count

    async def read(self, call: Callable[[], T], within_s: float) -> T:
        """Make the call when its turn comes. Raises what it raises, TimeoutError, OSError(EAGAIN)."""
        async with asyncio.timeout(within_s), self._turns:
            return await self._threads.run(object(), call)


class Past:
    """The minutes of this run and of those before it, over the journal at `path`."""

    def __init__(self, clock: Clock, metrics: Metrics, path: str, offer: Callable[[Minute], None]) -> None:
        self.minutes = Minutes(clock, metrics, offer)
        self.clock = clock
        self.begun = clock.wall()  # this run of ours, before its journal is opened
        self._path = path
        self._reports = Line(REPORTS_AT_ONCE)
        self._pages = Line(PAGES_AT_ONCE)
        self._first = Line(1)  # of the first look, which no report may hold up

    def __repr__(self) -> str:
        return f"<Past {self._path} {self.minutes!r}>"

    async def availability(self, since: float) -> AvailabilityReport:
        """Report on the time since. Raises Unusable, FileNotFoundError, TimeoutError, OSError (the disk hangs)."""
        until = self.clock.wall()
        begin = min(since, until - 1)
        return await self._reports.read(lambda: read_availability(self._path, begin, until, running=True), REPORT_S)

    async def timeline(self, course: Course, since: float) -> Timeline:
        """Say in what state a resource was since. Raises as `availability` does."""
        until = self.clock.wall()
        begin = min(since, until - 1)
        return await self._pages.read(lambda: read_timeline(self._path, course, begin, until), PAGE_S)

    async def before(self, cursor: Cursor | None, wanted: Wanted, limit: int) -> list[EventReport]:
        """Read the last edges before `cursor` that were recorded, the newest first. Raises as `availability` does."""
        return await self._pages.read(lambda: read_before(self._path, cursor, wanted, limit), PAGE_S)

    async def follow(self) -> None:
        """Take over what an earlier run wrote, then gather every minute, until cancelled."""
        since = self.clock.wall() - MINUTES_MAX * MINUTE_S
        try:
            self.minutes.recall(await self._first.read(lambda: _earlier(self._path, since), REPORT_S))
        except OSError as problem:
            _log.warning("the minutes of earlier runs are not shown: %s was not read in time (%s)", self._path, problem)
        await self.minutes.follow()

    async def close(self) -> None:
        """Wait for what is being read, within `CLOSE_S`: whoever ends the file behind us then ends the last user."""
        until = self.clock.now() + CLOSE_S
        while (under_way := self._reports.count + self._pages.count + self._first.count) and self.clock.now() < until:
            await self.clock.sleep(CLOSE_POLL_S)
        if under_way:
            _log.warning("%d readings of the history have not ended within %g s", under_way, CLOSE_S)


def _earlier(path: str, since: float) -> list[Minute]:
    try:
        with Recording(path) as recording:
            return recording.minutes(since)
    except FileNotFoundError:
        return []
    except Unusable as problem:
        _log.warning("the minutes of earlier runs are not shown: %s: %s", path, problem)
        return []
