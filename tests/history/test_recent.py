"""The recent edges: numbered, bounded, with followers that are told of each."""

from __future__ import annotations

from probe.history.recent import EVENTS_MAX, Recent
from probe.lifecycle.report import EventReport


def edge(seq: int) -> EventReport:
    """Make an edge."""
    return EventReport(seq, 0.0, "g/r", "state", "online", "failed", "eof", "", None, "probe", None)


def filled(count: int) -> Recent:
    """Make a journal of `count` edges."""
    recent = Recent()
    for seq in range(1, count + 1):
        recent.add(edge(seq))
    return recent


def test_after_gives_what_is_behind_a_number() -> None:
    """Reading after a number gives the following edges, oldest first, up to the limit."""
    recent = filled(10)
    assert [event.seq for event in recent.after(0, 100)] == list(range(1, 11))
    assert [event.seq for event in recent.after(7, 2)] == [8, 9]
    assert recent.after(10, 5) == []
    assert recent.after(99, 5) == []
    assert Recent().after(0, 5) == []


def test_old_edges_are_forgotten() -> None:
    """The journal holds a bounded number of edges; a reader from far behind gets the oldest kept."""
    recent = filled(EVENTS_MAX + 5)
    assert recent.after(0, 1)[0].seq == 6
    assert recent.last_seq == EVENTS_MAX + 5


class Listener:
    """A follower that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []

    def offer(self, event: EventReport) -> None:
        self.told.append(event.seq)


def test_a_follower_is_told_what_comes() -> None:
    """A follower is told of each edge from now on, in order, and of none before."""
    recent, listener = filled(3), Listener()
    recent.follow(listener)
    recent.add(edge(4))
    recent.add(edge(5))
    assert listener.told == [4, 5]
