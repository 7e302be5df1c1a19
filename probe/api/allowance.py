"""How often something may be said: a burst, then so many a second; what is left out is counted."""

from __future__ import annotations

from collections.abc import Callable


class Allowance:
    """A bucket of words: each takes one, and they come back at a rate."""

    def __init__(self, burst: int, per_s: float, now: Callable[[], float]) -> None:
        self._burst = burst
        self._per_s = per_s
        self._now = now
        self._left = float(burst)
        self._at: float | None = None
        self._left_out = 0

    def take(self) -> int | None:
        """Return how many were left out before this one, or None when this one is left out too."""
        now = self._now()
        if self._at is not None:
            self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            self._left_out += 1
            return None
        self._left -= 1
        before, self._left_out = self._left_out, 0
        return before
