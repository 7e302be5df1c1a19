"""The recent edges, bounded, in order, with followers that can fall behind without holding anybody up."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import islice
from typing import Protocol

from probe.lifecycle.report import EventReport

EVENTS_MAX = 10_000
SUBSCRIPTION_EVENTS_MAX = 1_000


class Follower(Protocol):
    """Who is told of every edge, and must not hold anybody up."""

    def offer(self, event: EventReport) -> None: ...


class RecentSubscription:
    """A feed of the edges from now on; `overrun` is true once the reader has missed some."""

    def __init__(self, recent: Recent) -> None:
        self.overrun = False
        self._recent = recent
        self._queue: asyncio.Queue[EventReport] = asyncio.Queue(SUBSCRIPTION_EVENTS_MAX)

    async def next(self) -> EventReport:
        """Wait for the next edge."""
        return await self._queue.get()

    def offer(self, event: EventReport) -> None:
        """Hand an edge over, or note that this reader is too slow."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.overrun = True

    def close(self) -> None:
        """End the feed."""
        self._recent.forget(self)


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

    def subscribe(self) -> RecentSubscription:
        """Begin a feed."""
        subscription = RecentSubscription(self)
        self._followers.add(subscription)
        return subscription

    def forget(self, subscription: RecentSubscription) -> None:
        """End a feed; idempotent."""
        self._followers.discard(subscription)
