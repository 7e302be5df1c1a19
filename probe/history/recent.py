"""The recent edges, bounded, in order, with followers that are told of each at once."""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Protocol

from probe.lifecycle.report import EventReport

EVENTS_MAX = 10_000


class Follower(Protocol):
    """Who is told of every edge, and must not hold anybody up."""

    def offer(self, event: EventReport) -> None: ...


class Recent:
    """The last `EVENTS_MAX` edges, numbered from 1 without gaps."""

    def __init__(self) -> None:
        self.last_seq = 0
        self._events: deque[EventReport] = deque(maxlen=EVENTS_MAX)
        self._followers: set[Follower] = set()

    def add(self, event: EventReport) -> None:
        """Keep an edge, whose `seq` is `last_seq + 1`, and tell the followers."""
        self.last_seq = event.seq
        self._events.append(event)
        for follower in self._followers:
            follower.offer(event)

    def after(self, seq: int, limit: int) -> list[EventReport]:
        """List the edges behind `seq` that are still kept, oldest first, at most `limit`."""
        if not self._events:
            return []
        skip = max(0, seq + 1 - self._events[0].seq)
        return list(islice(self._events, skip, skip + limit))

    def follow(self, follower: Follower) -> None:
        """Tell somebody of every edge from now on."""
        self._followers.add(follower)
