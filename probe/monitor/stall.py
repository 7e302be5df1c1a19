"""What the event loop lost: a ticker that adds up its own lateness.

A loop that stalls finds timers and answers in the same pass, and a deadline fires although the answer was there in time
(FACTS, Truth). Whoever judges a deadline asks here how much of the elapsed time was not lived through, and credits it.
The ticker runs only while something is in flight, so that an idle service does not wake up; the wheel, which has
timers of its own, tells when one of them ran late.

A single lateness above `PAUSE_S` is a pause: we were stopped, or starved as if we were. What was under way across it is
old news, so nothing bad that it says counts (`Dial`), and the rounds that piled up meanwhile are left out (`Watch`).
A pause only counts for those whose time-out it exceeds. Many short stalls are no pause: they are credited, so that a
service that is dead is found however slow we have become.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from probe.environment import Clock, Timer

TICKER_S = 0.05
LATENESS_IGNORED_S = 0.005  # timers are never exact; below this it is no stall
PAUSE_S = 2.0
PAUSES_KEPT_MAX = 16  # the last ones; a dialogue that outlives more of them has its time-out long behind it


class Pause(NamedTuple):
    """When nothing of ours ran, in clock seconds."""

    began: float
    ended: float


class Stall:
    """Sum up the lateness of a 50 ms ticker. `busy` says whether to go on, `tell` gets each lateness in seconds."""

    __slots__ = ("_busy", "_clock", "_expected", "_lost", "_tell", "_timer", "pauses", "resumed_at")

    def __init__(self, clock: Clock, busy: Callable[[], bool], tell: Callable[[float], None]) -> None:
        self._clock = clock
        self._busy = busy
        self._tell = tell
        self._lost = 0.0
        self._expected = 0.0
        self._timer: Timer | None = None
        self.pauses: deque[Pause] = deque(maxlen=PAUSES_KEPT_MAX)
        self.resumed_at = 0.0  # the end of the last pause

    def watch(self, now: float) -> float:
        """Begin to tick, unless it does already, and return what `lost` does."""
        if self._timer is None:
            self._arm(now)
            return self._lost
        if now - self._expected > PAUSE_S:
            self.late(self._expected, now)
        return self.lost(now)

    def lost(self, now: float) -> float:
        """Return the seconds lost since ever, what is being lost right now included; only differences mean anything."""
        late = now - self._expected if self._timer is not None else 0.0
        return self._lost + late if late > LATENESS_IGNORED_S else self._lost

    def late(self, expected: float, now: float) -> None:
        """Be told that what was due at `expected` runs only now; the first who tells of a pause is believed."""
        began = max(expected, self.resumed_at)
        if now - began > PAUSE_S:
            self.pauses.append(Pause(began, now))
            self.resumed_at = now

    def paused_s(self, since: float, now: float) -> float:
        """Return how long the longest pause was that ended after `since`, the one that ends now included; 0: none."""
        if self._timer is not None:
            self.late(self._expected, now)
        return max((pause.ended - pause.began for pause in self.pauses if pause.ended > since), default=0.0)

    def close(self) -> None:
        """Stop ticking."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, now: float) -> None:
        self._expected = now + TICKER_S
        self._timer = self._clock.call_at(self._expected, self._tick)

    def _tick(self) -> None:
        now = self._clock.now()
        late = max(0.0, now - self._expected)
        self._tell(late)
        self.late(self._expected, now)
        if late > LATENESS_IGNORED_S:
            self._lost += late
        self._timer = None
        if self._busy():
            self._arm(now)
