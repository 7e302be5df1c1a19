"""Changes of state counted while a large store is first told: one line of the log stands for thousands."""

from __future__ import annotations

import logging

from probe.environment import Clock
from probe.values import State

INTERVAL_S = 1.0  # between two lines of one kind

_log = logging.getLogger("looksalive.state")


class Tally:
    """What happened since the last lines. What fails, and comes back from that, is not counted here: it has lines."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._counts: dict[tuple[State, State], int] = {}
        self._began = self._told_at = clock.now()

    def __repr__(self) -> str:
        return f"<Tally of {sum(self._counts.values())} changes not told yet>"

    @property
    def age_s(self) -> float:
        """Seconds since the counting began."""
        return self._clock.now() - self._began

    def add(self, from_: State, to: State) -> None:
        """Count one change of state, and tell what there is when that has not been done for a while."""
        kind = (from_, to)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        if self._clock.now() - self._told_at >= INTERVAL_S:
            self.tell()

    def tell(self) -> None:
        """Say what was counted, one line for each kind of change."""
        counts, self._counts = self._counts, {}
        self._told_at = self._clock.now()
        for (from_, to), count in counts.items():
            _log.info(
                "while the store is first told: %d went from %s to %s",
                count,
                from_,
                to,
                extra={"fields": {"count": count, "from": from_, "to": to}},
            )
