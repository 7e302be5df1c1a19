"""The recent edges: numbered, bounded, with followers that hold nobody up."""

from __future__ import annotations

from probe.history.recent import EVENTS_MAX, SUBSCRIPTION_EVENTS_MAX, Recent
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


async def test_follower_gets_what_comes() -> None:
    """A subscription gives the edges from now on, in order, until it is closed."""
    recent = filled(3)
    subscription = recent.subscribe()
    recent.add(edge(4))
    recent.add(edge(5))
    assert [(await subscription.next()).seq, (await subscription.next()).seq] == [4, 5]
    subscription.close()
    recent.add(edge(6))
    assert not subscription.overrun


async def test_slow_follower_is_told_and_holds_nobody_up() -> None:
    """A reader that never reads overruns its own queue; the others get everything."""
    recent = Recent()
    slow = recent.subscribe()
    for seq in range(1, SUBSCRIPTION_EVENTS_MAX + 2):
        recent.add(edge(seq))
    assert slow.overrun
    assert (await slow.next()).seq == 1
    assert recent.last_seq == SUBSCRIPTION_EVENTS_MAX + 1
