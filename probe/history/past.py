"""What was, for readers: the minutes of probes from memory, and the rest from the journal's file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from probe.environment import Clock
from probe.history.availability import AvailabilityReport
from probe.history.minutes import MINUTE_S, MINUTES_MAX, Minute, Minutes
from probe.history.reckoning import read_availability
from probe.history.recording import Recording, Unusable
from probe.metrics import Metrics

_log = logging.getLogger("looksalive.history")


class Past:
    """The minutes of this run and of those before it, over the journal at `path`."""

    def __init__(self, clock: Clock, metrics: Metrics, path: str, offer: Callable[[Minute], None]) -> None:
        self.minutes = Minutes(clock, metrics, offer)
        self.clock = clock
        self._path = path

    def __repr__(self) -> str:
        return f"<Past {self._path} {self.minutes!r}>"

    async def availability(self, since: float) -> AvailabilityReport:
        """Report on the time since, in a thread. Raises Unusable, FileNotFoundError."""
        until = self.clock.wall()
        return await asyncio.to_thread(read_availability, self._path, min(since, until - 1), until, running=True)

    async def follow(self) -> None:
        """Take over what an earlier run wrote, then gather every minute, until cancelled."""
        since = self.clock.wall() - MINUTES_MAX * MINUTE_S
        self.minutes.recall(await asyncio.to_thread(_earlier, self._path, since))
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
