"""What happens outside the program under test, in order of virtual time: packets, servers, other processes.

The loop's own timers are not in here. While the program computes, or is stalled, the outside goes on at its own pace:
every simulated system call first catches up with the outside, as a real one would find it.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from typing import Any


class Occurrence:
    """Something that will happen outside; `cancel` is idempotent."""

    __slots__ = ("arguments", "call", "number", "when")

    def __init__(self, when: float, number: int, call: Callable[..., None], arguments: tuple[Any, ...]) -> None:
        self.when = when
        self.number = number
        self.call: Callable[..., None] | None = call
        self.arguments = arguments

    def cancel(self) -> None:
        """Make it not happen."""
        self.call = None
        self.arguments = ()


class Timeline:
    """A queue of occurrences; equal times happen in the order in which they were put in."""

    def __init__(self) -> None:
        self.now = 0.0  # the time of what is happening, which may lie before the stalled program's
        self._queue: list[tuple[float, int, Occurrence]] = []
        self._number = 0

    def call_at(self, when: float, call: Callable[..., None], *arguments: Any) -> Occurrence:
        """Let `call(*arguments)` happen at `when`, never earlier than now."""
        self._number += 1
        occurrence = Occurrence(max(when, self.now), self._number, call, arguments)
        heapq.heappush(self._queue, (occurrence.when, self._number, occurrence))
        return occurrence

    def call_later(self, delay_s: float, call: Callable[..., None], *arguments: Any) -> Occurrence:
        """Let `call(*arguments)` happen `delay_s` seconds from now."""
        return self.call_at(self.now + delay_s, call, *arguments)

    @property
    def next_at(self) -> float:
        """The time of the next occurrence, infinity without one."""
        while self._queue and self._queue[0][2].call is None:
            heapq.heappop(self._queue)
        return self._queue[0][0] if self._queue else math.inf

    def catch_up(self, until: float) -> None:
        """Let everything happen that is due by `until`, each at its own time."""
        queue = self._queue
        while queue and queue[0][0] <= until:
            when, _, occurrence = heapq.heappop(queue)
            call = occurrence.call
            if call is None:
                continue
            occurrence.call = None
            if when > self.now:  # max() would be a tenth of a simulated day
                self.now = when
            call(*occurrence.arguments)
        if until > self.now:
            self.now = until
