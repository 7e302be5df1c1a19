"""What the probes of each minute said, by resource: kept in memory for readers, offered to the journal once a minute.

A probe costs a few additions (`probe.metrics.numbers`). Once a minute they are gathered into one packed row a resource
and set back. A minute is a table of rows in the order of its roster, which minutes share while nobody comes or goes.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple

from probe.environment import Clock
from probe.metrics import Metrics
from probe.metrics.numbers import ResourceNumbers
from probe.values import ResourceId

MINUTE_S = 60
MINUTES_MAX = 24 * 60
KEPT_BYTES_MAX = 32 * 1024 * 1024  # of all minutes; so much for 1,000 resources all day, for 100,000 some 20 minutes
ROSTER_BYTES = 120  # about, of each name in a roster
RESOURCES_PER_SLICE = 500  # gathered before the loop breathes
COUNT_MAX = 0xFFFF
ROW = Struct("<HHHff")  # ok, failed, unknown, mean and largest seconds of the good answers

_log = logging.getLogger("looksalive.history")


class Bucket(NamedTuple):
    """One resource in one minute, which began at `time` (seconds since the epoch)."""

    time: int
    ok: int
    failed: int
    unknown: int
    mean_s: float | None  # None: no good answer
    max_s: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Roster:
    """Whose rows the minutes have, in their order."""

    ids: tuple[str, ...]
    index: dict[str, int]

    @classmethod
    def of(cls, ids: Iterable[str]) -> Roster:
        """Number the ids."""
        listed = tuple(ids)
        return cls(listed, {id: at for at, id in enumerate(listed)})


@dataclass(frozen=True, slots=True, eq=False)
class Minute:
    """All rows of one minute. `start` is a multiple of `MINUTE_S` since the epoch."""

    start: int
    roster: Roster
    rows: bytes

    def bucket(self, id: str) -> Bucket | None:
        """Read one resource's row; None when it had none."""
        at = self.roster.index.get(id)
        if at is None or (at + 1) * ROW.size > len(self.rows):
            return None
        ok, failed, unknown, mean_s, max_s = ROW.unpack_from(self.rows, at * ROW.size)
        return Bucket(self.start, ok, failed, unknown, *((_digits(mean_s), _digits(max_s)) if ok else (None, None)))


class Strips:
    """The last `count` minutes of any resource, as they were when this was made; the last is the running one."""

    def __init__(
        self, kept: deque[Minute], numbers: Mapping[ResourceId, ResourceNumbers], running: int, count: int
    ) -> None:
        self.since = running - (count - 1) * MINUTE_S
        self._numbers = numbers
        self._empty = [Bucket(time, 0, 0, 0, None, None) for time in range(self.since, running + 1, MINUTE_S)]
        found: dict[int, Minute] = {}
        for minute in reversed(kept):
            if minute.start < self.since:
                break
            found.setdefault((minute.start - self.since) // MINUTE_S, minute)
        self._found = [(at, minute) for at, minute in found.items() if at < count]

    def of(self, id: ResourceId) -> list[Bucket]:
        """Give a resource's minutes without a hole, oldest first."""
        buckets, text = self._empty.copy(), str(id)
        for at, minute in self._found:
            bucket = minute.bucket(text)
            if bucket is not None:
                buckets[at] = bucket
        one = self._numbers.get(id)
        if one is not None:
            ok, failed, unknown, mean_s, max_s = _row(one)
            times = (_digits(mean_s), _digits(max_s)) if ok else (None, None)
            buckets[-1] = Bucket(self._empty[-1].time, ok, failed, unknown, *times)
        return buckets


class Minutes:
    """Gathers the minutes and keeps the last ones; `offer` takes each that is over, and must not block."""

    def __init__(self, clock: Clock, metrics: Metrics, offer: Callable[[Minute], None] | None = None) -> None:
        self._clock = clock
        self._metrics = metrics
        self._offer = offer
        self._kept: deque[Minute] = deque(maxlen=MINUTES_MAX)
        self._bytes = 0
        self._keys: list[ResourceId] = []
        self._roster = Roster.of(())

    def __repr__(self) -> str:
        return f"<Minutes {len(self._kept)} kept, {self._bytes} bytes, {len(self._keys)} resources>"

    def recall(self, earlier: Iterable[Minute]) -> None:
        """Take over what an earlier run kept, oldest first; before anything is gathered."""
        oldest = self._clock.wall() - MINUTES_MAX * MINUTE_S
        for minute in earlier:
            if oldest < minute.start <= self._clock.wall():
                self._keep(minute)

    async def follow(self) -> None:
        """Gather at the end of every minute, until cancelled."""
        while True:
            start = _minute_of(self._clock.wall())
            await self._clock.sleep(max(0.0, start + MINUTE_S - self._clock.wall()))
            if self._clock.wall() >= start + MINUTE_S:  # a timer may be early; a wall clock may be set back
                await self.gather(start)

    async def gather(self, start: int) -> None:
        """Gather the minute that began at `start`, in slices, and set its counters back."""
        numbers = self._metrics.resources
        keys = list(numbers)
        if keys != self._keys:
            self._roster = await self._call_over(keys)
            self._keys = keys
        rows = bytearray(ROW.size * len(keys))
        for begin in range(0, len(keys), RESOURCES_PER_SLICE):
            for at, key in enumerate(keys[begin : begin + RESOURCES_PER_SLICE], begin):
                one = numbers.get(key)
                if one is not None and (one.minute_ok or one.minute_failed or one.minute_unknown):
                    ROW.pack_into(rows, at * ROW.size, *_row(one))
                    one.minute_ok = one.minute_failed = one.minute_unknown = 0
                    one.minute_s = one.minute_s_max = 0.0
            await self._clock.sleep(0)
        minute = Minute(start, self._roster, bytes(rows))
        self._keep(minute)
        if self._offer is not None:
            self._offer(minute)

    def buckets(self, id: ResourceId, count: int) -> list[Bucket]:
        """Give the last `count` minutes of a resource without a hole, oldest first; the last is the running one."""
        return self.strips(count).of(id)

    def strips(self, count: int) -> Strips:
        """Give the last `count` minutes, to be read resource by resource while new ones come."""
        return Strips(self._kept, self._metrics.resources, _minute_of(self._clock.wall()), count)

    async def _call_over(self, keys: list[ResourceId]) -> Roster:
        """Number the resources, in slices as well."""
        index: dict[str, int] = {}
        for begin in range(0, len(keys), RESOURCES_PER_SLICE):
            for at, key in enumerate(keys[begin : begin + RESOURCES_PER_SLICE], begin):
                index[str(key)] = at
            await self._clock.sleep(0)
        return Roster(tuple(index), index)

    def _keep(self, minute: Minute) -> None:
        if len(self._kept) == MINUTES_MAX:
            self._drop()
        self._bytes += len(minute.rows)
        if not self._kept or self._kept[-1].roster is not minute.roster:
            self._bytes += ROSTER_BYTES * len(minute.roster.ids)
        self._kept.append(minute)
        while self._bytes > KEPT_BYTES_MAX and len(self._kept) > 1:
            self._drop()

    def _drop(self) -> None:
        gone = self._kept.popleft()
        self._bytes -= len(gone.rows)
        if not self._kept or self._kept[0].roster is not gone.roster:
            self._bytes -= ROSTER_BYTES * len(gone.roster.ids)


def _minute_of(wall: float) -> int:
    return math.floor(wall / MINUTE_S) * MINUTE_S


def _row(one: ResourceNumbers) -> tuple[int, int, int, float, float]:
    mean_s = one.minute_s / one.minute_ok if one.minute_ok else 0.0
    counts = (min(count, COUNT_MAX) for count in (one.minute_ok, one.minute_failed, one.minute_unknown))
    ok, failed, unknown = counts
    return ok, failed, unknown, mean_s, one.minute_s_max


def _digits(seconds: float) -> float:
    return round(seconds, 6)
