"""What to do about a time that passed while nothing of ours ran: the answers that came meanwhile are heard first.

Stopped for longer than an operation may take, we wake up with its time-out behind us and its answer still in a socket:
a pause of ours would be the service's failure. So whatever is overdue by more than `LATE_S` waits `GRACE_S` more, once.
"""

from __future__ import annotations

import math

LATE_S = 1.0
GRACE_S = 1.0


class Lateness:
    """Says when what is due may happen. All times are clock seconds."""

    __slots__ = ("_spared_to", "_until")

    def __init__(self) -> None:
        self._spared_to = -math.inf  # what was due by then has had its grace
        self._until = -math.inf

    def may_happen_at(self, due: float, now: float) -> float:
        """Return when what was to happen at `due` may do so: then, or a little later when that is long ago."""
        if now - due > LATE_S and due > self._spared_to:
            self._spared_to, self._until = now, now + GRACE_S
        return self._until if due <= self._spared_to else due
