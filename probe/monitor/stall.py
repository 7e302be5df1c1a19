"""What the event loop lost: a ticker that adds up its own lateness.

A loop that stalls finds timers and answers in the same pass, and a deadline fires although the answer was there in time
(FACTS, Truth). Whoever judges a deadline asks here how much of the elapsed time was not lived through, and credits it.
The ticker runs only while something is in flight, so that an idle service does not wake up.
"""

from __future__ import annotations

from collections.abc import Callable

from probe.environment import Clock, Timer

TICKER_S = 0.05
LATENESS_IGNORED_S = 0.005  # timers are never exact; below this it is no stall


class Stall:
    """Sum up the lateness of a 50 ms ticker. `busy` says whether to go on, `tell` gets each lateness in seconds."""

    __slots__ = ("_busy", "_clock", "_expected", "_lost", "_tell", "_timer")

    def __init__(self, clock: Clock, busy: Callable[[], bool], tell: Callable[[float], None]) -> None:
        self._clock = clock
        self._busy = busy
        self._tell = tell
        self._lost = 0.0
        self._expected = 0.0
        self._timer: Timer | None = None

    def watch(self, now: float) -> float:
        """Begin to tick, unless it does already, and return what `lost` does."""
        if self._timer is None:
            self._arm(now)
            return self._lost
        return self.lost(now)

    def lost(self, now: float) -> float:
        """Return the seconds lost since ever, what is being lost right now included; only differences mean anything."""
        late = now - self._expected if self._timer is not None else 0.0
        return self._lost + late if late > LATENESS_IGNORED_S else self._lost

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
        if late > LATENESS_IGNORED_S:
            self._lost += late
        self._timer = None
        if self._busy():
            self._arm(now)
