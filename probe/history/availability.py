"""How available each resource was: a fold over recorded edges. Pure: no clock, no file.

1. Time counts as up (online), as down, as planned (an operator or the store wanted it so, or the group was in
   maintenance while it was down), or as unknown. Uptime is up / (up + down).
2. Where we did not look there is no knowledge: between two runs of ours, while the history could not be written, and
   from the start of a run until a resource was first found online or failed, time is unknown.
3. An incident is a time of being down. One that goes on behind a gap of ours is the same; what lay in the gap is not
   counted. Its repair is known only when we saw it come up.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from probe.values import State

FRACTION_DIGITS = 6
SECONDS_DIGITS = 3
_WANTED = ("operator", "store")  # triggers of what somebody wants


class Kind(StrEnum):
    """What a time counts as."""

    UP = "up"
    DOWN = "down"
    PLANNED = "planned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Availability:
    """One resource over the time of a report; the four times add up to it. Null where nothing is known."""

    id: str
    uptime: float | None  # 0 to 1
    up_s: float
    down_s: float
    planned_s: float
    unknown_s: float
    incidents: int
    mttr_s: float | None  # the mean time to repair, of the incidents whose repair was seen
    longest_s: float | None  # of the incidents
    now: str  # what the last moment counts as: up, down, planned or unknown


@dataclass(frozen=True, slots=True)
class AvailabilityReport:
    """Every resource that was there at some time of [since, until), in seconds since the epoch."""

    since: float
    until: float
    resources: tuple[Availability, ...]


class Tally:
    """The times of one resource, added up as it turns from one kind to another."""

    __slots__ = ("_at", "_incidents", "_kind", "_longest_s", "_open_s", "_repaired", "_repairs_s", "_since", "_times",
                 "_until")  # fmt: skip

    def __init__(self, since: float, until: float) -> None:
        self._since = since
        self._until = until
        self._at = since
        self._kind = Kind.UNKNOWN
        self._times = dict.fromkeys(Kind, 0.0)
        self._open_s: float | None = None  # of the incident that is not over
        self._incidents = self._repaired = 0
        self._repairs_s = self._longest_s = 0.0

    def __repr__(self) -> str:
        return f"<Tally {self._kind} since {self._at}>"

    def turn(self, time: float, kind: Kind) -> None:
        """Count the time until now and go on as `kind`. A time before the last one is taken for it."""
        begin, self._at = self._at, max(time, self._at)
        was, self._kind = self._kind, kind
        length_s = max(0.0, min(self._at, self._until) - max(begin, self._since))
        self._times[was] += length_s
        if was is Kind.DOWN and (length_s or self._since <= begin < self._until):
            self._open_s = (self._open_s or 0.0) + length_s
        if kind in (Kind.UP, Kind.PLANNED):
            self._close(seen=was is Kind.DOWN and kind is Kind.UP and self._at <= self._until)

    def close(self, id: str) -> Availability:
        """Count to the end and tell."""
        last = self._kind
        self.turn(self._until, last)
        self._close(seen=False)
        up_s, down_s = self._times[Kind.UP], self._times[Kind.DOWN]
        return Availability(
            id=id,
            uptime=round(up_s / (up_s + down_s), FRACTION_DIGITS) if up_s + down_s else None,
            up_s=round(up_s, SECONDS_DIGITS),
            down_s=round(down_s, SECONDS_DIGITS),
            planned_s=round(self._times[Kind.PLANNED], SECONDS_DIGITS),
            unknown_s=round(self._times[Kind.UNKNOWN], SECONDS_DIGITS),
            incidents=self._incidents,
            mttr_s=round(self._repairs_s / self._repaired, SECONDS_DIGITS) if self._repaired else None,
            longest_s=round(self._longest_s, SECONDS_DIGITS) if self._incidents else None,
            now=last,
        )

    def _close(self, *, seen: bool) -> None:
        if self._open_s is None:
            return
        self._incidents += 1
        self._longest_s = max(self._longest_s, self._open_s)
        if seen:
            self._repaired += 1
            self._repairs_s += self._open_s
        self._open_s = None


class Ledger:
    """Takes what was recorded, in its order, and tallies it by resource."""

    def __init__(self, since: float, until: float) -> None:
        """Raises ValueError unless `since` is before `until`."""
        if not since < until:
            raise ValueError(f"a report from {since} to {until} has no length")
        self._since = since
        self._until = until
        self._tallies: dict[str, Tally] = {}
        self._kinds: dict[str, Kind] = {}  # of the run, before maintenance
        self._maintained: set[str] = set()

    def __repr__(self) -> str:
        return f"<Ledger of {len(self._tallies)} resources>"

    def begin(self) -> None:
        """Begin a run: nothing is known."""
        self._kinds.clear()
        self._maintained.clear()

    def resume(self, time: float) -> None:
        """Go on after a gap within a run, as it was before."""
        for id in self._kinds:
            self._turn(time, id)

    def pause(self, time: float) -> None:
        """Nothing is known from now on: the run ended, or nothing was recorded."""
        for id in self._kinds:
            self._tallies[id].turn(time, Kind.UNKNOWN)

    def leave(self, time: float, id: str) -> None:
        """Forget a resource that is watched no more."""
        if self._kinds.pop(id, None) is not None:
            self._tallies[id].turn(time, Kind.UNKNOWN)

    def edge(self, time: float, id: str, to: str, trigger: str, *, caused: bool) -> None:
        """Take a change of state; `caused`: another resource, or a failure, is to blame for it."""
        if id not in self._tallies:
            self._tallies[id] = Tally(self._since, self._until)
        self._kinds[id] = _kind_of(self._kinds.get(id, Kind.UNKNOWN), to, trigger, caused)
        self._turn(time, id)

    def maintain(self, time: float, group: str, on: bool) -> None:
        """Take the begin or the end of a group's maintenance."""
        if on:
            self._maintained.add(group)
        else:
            self._maintained.discard(group)
        for id in self._kinds:
            if id.partition("/")[0] == group:
                self._turn(time, id)

    def report(self) -> AvailabilityReport:
        """Count to the end and tell; the ledger is closed by it."""
        told = tuple(self._tallies[id].close(id) for id in sorted(self._tallies))
        return AvailabilityReport(self._since, self._until, told)

    def _turn(self, time: float, id: str) -> None:
        kind = self._kinds[id]
        if kind is Kind.DOWN and id.partition("/")[0] in self._maintained:
            kind = Kind.PLANNED
        self._tallies[id].turn(time, kind)


def _kind_of(was: Kind, to: str, trigger: str, caused: bool) -> Kind:
    """Say what a resource's time counts as from an edge on."""
    if to == State.ONLINE:
        return Kind.UP
    if to == State.FAILED:
        return Kind.DOWN
    if to == State.ONLINE_PENDING:
        return was if was in (Kind.UNKNOWN, Kind.PLANNED) else Kind.DOWN
    if trigger in _WANTED:
        return Kind.PLANNED
    if was is not Kind.UP:  # on its way to where it was sent before
        return was
    return Kind.PLANNED if trigger == "dependency" and not caused else Kind.DOWN
