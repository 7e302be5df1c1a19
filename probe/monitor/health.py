"""Our own health: a run of rounds that could not tell, through a fault of our own side, makes us unfit to be asked.

Unknown are our stalls, our missing descriptors and ports, our packet filter, our resolver, our bugs (FACTS: never the
services' failures). When more than half of the last rounds, `ROUNDS_MIN` at least and over `WINDOW_S` at least, were
such, we are unhealthy until that is no longer so. A steady round pays one addition; the rest runs only in trouble.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from probe.environment import Clock, Timer
from probe.values import Reason

ROUNDS_MIN = 20
WINDOW_S = 10.0
LOOK_S = 1.0
MARKS_MAX = 1000  # of the window; with fewer than a round a minute it is cut short

log = logging.getLogger(__name__)


class _Mark(NamedTuple):
    at: float
    rounds: int
    unknown: int


class Health:
    """Whether most of what we ask is answered by ourselves. `tell` gets each edge."""

    def __init__(self, clock: Clock, tell: Callable[[bool], None]) -> None:
        self.rounds = 0  # counted up by every watch
        self.fault = ""  # why we are unhealthy, for people; empty when we are not
        self._unknown = 0
        self._last = Reason.NOT_YET
        self._clock = clock
        self._tell = tell
        self._marks: deque[_Mark] = deque(maxlen=MARKS_MAX)
        self._timer: Timer | None = None
        tell(True)

    def unknown(self, reason: Reason) -> None:
        """Take a round, counted already, that could not tell."""
        if self._timer is None:
            self._marks.append(_Mark(self._clock.now(), self.rounds - 1, self._unknown))
            self._arm()
        self._unknown += 1
        self._last = reason

    def close(self) -> None:
        """Stop looking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + LOOK_S, self._look)

    def _look(self) -> None:
        now, marks = self._clock.now(), self._marks
        while len(marks) > 1 and self._long_enough(marks[1], now):
            marks.popleft()
        oldest = marks[0]
        rounds, unknown = self.rounds - oldest.rounds, self._unknown - oldest.unknown
        self._judge(self._long_enough(oldest, now) and unknown * 2 > rounds, rounds, unknown)
        if not unknown and not self.fault:
            self._timer = None
            marks.clear()
            return
        marks.append(_Mark(now, self.rounds, self._unknown))
        self._arm()

    def _long_enough(self, since: _Mark, now: float) -> bool:
        return now - since.at >= WINDOW_S and self.rounds - since.rounds >= ROUNDS_MIN

    def _judge(self, ill: bool, rounds: int, unknown: int) -> None:
        if ill == bool(self.fault):
            return
        if ill:
            share = f"{unknown} of our last {rounds} rounds could not tell, by a fault of our own"
            self.fault = f"{share} (the last: {self._last})"
            log.warning("looksalive is not healthy: %s", self.fault)
        else:
            self.fault = ""
            log.info("looksalive is healthy again: %d of its last %d rounds could tell", rounds - unknown, rounds)
        self._tell(not ill)
