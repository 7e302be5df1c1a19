"""The timing wheel: everything of the monitor that is due at some time, behind one timer of the clock.

Rules:
1. A bucket is a tick of `TICK_S`; what is due fires at the end of its tick, never early, at most one tick late.
2. Adding and cancelling cost the same however many wait; a cancelled entry is dropped at once, so that a deadline that
   was not needed (nearly all of them) holds no memory until it would have come.
3. Buckets are dicts used as ordered sets: equal ticks fire in the order in which they were added, whatever the
   addresses in memory are (a simulated run must be repeatable).
4. One pass fires at most `ENTRIES_PER_PASS_MAX` entries and then lets the loop breathe; within a pass `look` is called
   every `ENTRIES_PER_LOOK` entries and `end` (or again `look`) at its end, so that answers are not left lying while
   further probes are started.
5. `late` is told when the timer was due and when it ran, before anything fires.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from typing import Protocol

from probe.environment import Clock, Timer

TICKS_PER_S = 100
TICK_S = 1 / TICKS_PER_S
ENTRIES_PER_PASS_MAX = 128  # some 7 ms
ENTRIES_PER_LOOK = 32
NOWHERE = 0  # the tick of what is not in the wheel

_UP = 0.9999  # rounds up to a whole tick, forgiving what a float loses
_LOST = 1 - _UP

log = logging.getLogger(__name__)


class Entry(Protocol):
    """Something that can be due. It is in at most one place of the wheel, which is kept in its own `tick`."""

    tick: int

    def due(self, now: float) -> None:
        """Be called once, when the time has come; the entry is out of the wheel by then."""


class Timed(Entry, Protocol):
    """An entry that says itself when it is due (clock seconds)."""

    when: float


class Wheel:
    """Buckets of entries by tick, a heap of the ticks in use, and one timer for the earliest."""

    __slots__ = ("_armed", "_buckets", "_clock", "_closed", "_end", "_late", "_look", "_now_firing", "_tick_firing",
                 "_ticks", "_timer", "firing")  # fmt: skip

    def __init__(
        self,
        clock: Clock,
        look: Callable[[], None],
        late: Callable[[float, float], None] | None = None,
        end: Callable[[], None] | None = None,
    ) -> None:
        self._clock = clock
        self._look = look
        self._end = end or look
        self._late = late
        self._buckets: dict[int, dict[Entry, None]] = {}
        self._ticks: list[int] = []
        self._timer: Timer | None = None
        self._closed = False
        self._armed = 0  # the tick that the timer waits for
        self.firing = False  # a pass is going on: `look` is called once more before it ends
        self._now_firing: deque[Entry] = deque()  # what is left of the tick that is firing
        self._tick_firing = 0

    def __repr__(self) -> str:
        waiting = sum(map(len, self._buckets.values())) + len(self._now_firing)
        return f"<Wheel {waiting} waiting, {'idle' if self._timer is None else f'armed for tick {self._armed}'}>"

    def add(self, entry: Entry, when: float) -> None:
        """Let the entry be due at `when` (clock seconds). It must not be in the wheel already."""
        tick = int(when * TICKS_PER_S + _UP)
        entry.tick = tick
        bucket = self._buckets.get(tick)
        if bucket is not None:
            bucket[entry] = None
            return
        self._buckets[tick] = {entry: None}
        heappush(self._ticks, tick)
        if not self.firing and (self._timer is None or tick < self._armed):
            self._arm()

    def add_each(self, entries: Sequence[Timed]) -> None:
        """Let each entry be due at its own `when`, as `add` does."""
        buckets, last, earliest = self._buckets, NOWHERE, 0
        bucket: dict[Entry, None] = {}
        for entry in entries:
            tick = int(entry.when * TICKS_PER_S + _UP)
            entry.tick = tick
            if tick != last:
                last, found = tick, buckets.get(tick)
                if found is None:
                    found = buckets[tick] = {}
                    heappush(self._ticks, tick)
                    earliest = min(earliest or tick, tick)
                bucket = found
            bucket[entry] = None
        if earliest and not self.firing and (self._timer is None or earliest < self._armed):
            self._arm()

    def cancel(self, entry: Entry) -> None:
        """Take the entry out; nothing if it is not in."""
        bucket = self._buckets.get(entry.tick)
        if bucket is not None:
            bucket.pop(entry, None)
        entry.tick = NOWHERE

    def close(self) -> None:
        """Forget everything, for good: what is added from now on is never due."""
        self._closed = True
        self._buckets.clear()
        self._ticks.clear()
        self._now_firing.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._closed:
            return
        ticks, buckets = self._ticks, self._buckets
        while ticks and not buckets[ticks[0]]:
            del buckets[heappop(ticks)]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._now_firing:
            self._timer = self._clock.call_at(self._clock.now(), self._fire)
            self._armed = NOWHERE
        elif ticks:
            self._armed = ticks[0]
            self._timer = self._clock.call_at(self._armed * TICK_S, self._fire)

    def _fire(self) -> None:
        self._timer = None
        if self._late is not None and self._armed != NOWHERE:
            self._late(self._armed * TICK_S, self._clock.now())
        self.firing = True
        try:
            self._fire_some()
            if not self._closed:
                self._end()
        finally:
            self.firing = False
            self._arm()

    def _fire_some(self) -> None:
        now_firing, ticks = self._now_firing, self._ticks
        reach = int(self._clock.now() * TICKS_PER_S + _LOST)
        fired = 0
        while fired < ENTRIES_PER_PASS_MAX:
            if not now_firing:
                if not ticks or ticks[0] > reach:
                    return
                self._tick_firing = heappop(ticks)
                now_firing.extend(self._buckets.pop(self._tick_firing))
                continue
            entry = now_firing.popleft()
            if entry.tick != self._tick_firing:
                continue  # cancelled, or added anew, since its tick began to fire
            entry.tick = NOWHERE
            fired += 1
            try:
                entry.due(self._clock.now())
            except Exception:
                # One entry's bug must not keep the others from being due.
                log.exception("a due call failed")
            if not fired % ENTRIES_PER_LOOK:
                self._look()
