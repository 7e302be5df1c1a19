"""The dialogues of the last failures, a few a resource, within a bound for all together; nothing of what goes well."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from probe.environment import Clock
from probe.monitor.target import Result
from probe.monitor.transcript import Transcript, transcript_of
from probe.values import ResourceId

KEPT_PER_RESOURCE = 3
KEPT_BYTES_MAX = 16 * 1024 * 1024  # by this reckoning:
ENTRY_BYTES = 1024
MOMENT_BYTES = 200


class _Entry(NamedTuple):
    id: ResourceId
    result: Result
    time: float
    times: int
    weight: int

    @property
    def likeness(self) -> tuple[object, ...]:
        verdict = self.result.verdict
        return (self.result.target.text, verdict.reason, verdict.stage, verdict.evidence)


class Evidence:
    """Keep dialogues until newer ones need their place.

    A failure that repeats the resource's earlier one takes its place and is counted, so that what came before an outage
    is not pushed out by the outage.
    """

    __slots__ = ("_clock", "_entries", "_of", "_serial", "bytes_kept")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: OrderedDict[int, _Entry] = OrderedDict()  # the oldest first
        self._of: dict[ResourceId, list[int]] = {}
        self._serial = 0
        self.bytes_kept = 0

    def __repr__(self) -> str:
        return f"<Evidence of {len(self._of)} resources, {len(self._entries)} dialogues>"

    def keep(self, id: ResourceId, result: Result) -> Result:
        """Take the dialogues out of a result, keep them, and return the rest of it for the cache."""
        if result.parts:
            parts = tuple(self._take(id, part) for part in result.parts)
            return result._replace(parts=parts, moments=())
        return self._take(id, result)

    def transcripts(self, id: ResourceId) -> tuple[Transcript, ...]:
        """Write down a resource's last failures, the newest first."""
        entries = [self._entries[serial] for serial in reversed(self._of.get(id, []))]
        return tuple(transcript_of(entry.result, entry.time, entry.times) for entry in entries)

    def forget(self, id: ResourceId) -> None:
        """Drop what is kept of a resource. Idempotent."""
        for serial in list(self._of.get(id, ())):
            self._drop(serial)

    def _take(self, id: ResourceId, result: Result) -> Result:
        if not result.moments:
            return result
        weight = ENTRY_BYTES + sum(MOMENT_BYTES + len(moment.data) for moment in result.moments)
        time = self._clock.wall() - (self._clock.now() - result.started)
        entry = _Entry(id, result, time, 1, weight)
        serials = self._of.get(id, [])
        same = next((serial for serial in serials if self._entries[serial].likeness == entry.likeness), None)
        if same is not None:
            entry = entry._replace(times=self._entries[same].times + 1)
            self._drop(same)
        elif len(serials) >= KEPT_PER_RESOURCE:
            self._drop(serials[0])
        self._serial += 1
        self._entries[self._serial] = entry
        self._of.setdefault(id, []).append(self._serial)
        self.bytes_kept += weight
        while self.bytes_kept > KEPT_BYTES_MAX:
            self._drop(next(iter(self._entries)))
        return result._replace(moments=())

    def _drop(self, serial: int) -> None:
        entry = self._entries.pop(serial)
        self.bytes_kept -= entry.weight
        serials = self._of[entry.id]
        serials.remove(serial)
        if not serials:
            del self._of[entry.id]
