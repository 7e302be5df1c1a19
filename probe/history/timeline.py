"""One resource's states over time, as intervals with their reason and cause; pure, what is read comes from `past`.

Where we did not look (between two runs of ours, while nothing could be recorded, before the first edge of a run) the
state is `unknown`: a line that is drawn across such a time would claim what nobody saw.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from probe.lifecycle.report import EventReport

INTERVALS_MAX = 1000  # the newest; `since` of the timeline says where they begin
UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Interval:
    """The state in [since, until), seconds since the epoch; what made it so is of the edge that began it."""

    since: float
    until: float
    state: str  # a state of the lifecycle, or "unknown": nobody looked
    reason: str
    evidence: str
    root_cause: str | None
    trigger: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The intervals of [since, until) without a hole, oldest first.

    `more`: there were more than are told, and `since` is later than was asked for.
    """

    id: str
    since: float
    until: float
    intervals: tuple[Interval, ...]
    more: bool


class Turn(NamedTuple):
    """From `time` on it was in that state."""

    time: float
    state: str
    reason: str = ""
    evidence: str = ""
    root_cause: str | None = None
    trigger: str = ""


def turn_of(edge: EventReport) -> Turn:
    """Take an edge as a turn."""
    return Turn(edge.time, edge.to, edge.reason, edge.evidence, edge.root_cause, edge.trigger)


def unknown_from(time: float) -> Turn:
    """Say that nobody looked from `time` on."""
    return Turn(time, UNKNOWN)


def fold(id: str, since: float, until: float, turns: Iterable[Turn]) -> Timeline:
    """Make the intervals of [since, until) from turns in the order in which they happened.

    A turn that the wall clock puts before the one it followed is taken for as late as that.
    """
    intervals: list[Interval] = []
    now = unknown_from(since)
    at = since
    for turn in (*turns, unknown_from(until)):
        begun, at = at, min(max(turn.time, at), until)
        if at > begun:
            _add(intervals, begun, at, now)
        now = turn
    kept = tuple(intervals[-INTERVALS_MAX:])
    more = len(kept) < len(intervals)
    return Timeline(id, kept[0].since if more else since, until, kept, more)


def _add(intervals: list[Interval], begin: float, end: float, turn: Turn) -> None:
    """Add an interval, or let the last one go on where nothing differs."""
    new = Interval(begin, end, *turn[1:])
    if intervals:
        last = intervals[-1]
        if (last.state, last.reason, last.evidence, last.root_cause, last.trigger) == turn[1:]:
            intervals[-1] = Interval(last.since, end, *turn[1:])
            return
    intervals.append(new)
