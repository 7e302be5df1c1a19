"""Requests that last: how many there may be, and the bytes that the readers of one event share."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from probe.api.errors import Problem
from probe.api.shapes import event_of
from probe.history.edges import Cursor
from probe.lifecycle.report import EventReport

FRAMES_KEPT = 256


class Seats:
    """A bounded number of requests that may last; they are cut when we close."""

    def __init__(self, seats_max: int, readers: str) -> None:
        self._seats_max = seats_max
        self._readers = readers
        self._taken: set[asyncio.Task[object]] = set()

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a seat for this request. Raises Problem (503) when none is left."""
        if len(self._taken) >= self._seats_max:
            message = f"{self._seats_max} {self._readers} are being served already"
            raise Problem(503, "too_many_readers", message, {"Retry-After": "5"})
        task = asyncio.current_task()
        assert task is not None  # a request is always handled in a task
        self._taken.add(task)
        try:
            yield
        finally:
            self._taken.discard(task)

    def clear(self) -> None:
        """End every request that holds a seat."""
        for task in tuple(self._taken):
            task.cancel()


class Frames:
    """The last events as they go over the wire, so that many readers cost one encoding."""

    def __init__(self) -> None:
        self._by_seq: OrderedDict[int, bytes] = OrderedDict()

    def of(self, event: EventReport) -> bytes:
        """Write the event as a server-sent event; its id names it also to a later run, which counts anew."""
        frame = self._by_seq.get(event.seq)
        if frame is None:
            frame = b"id: %s\ndata: %s\n\n" % (str(Cursor.before(event)).encode(), msgspec.json.encode(event_of(event)))
            self._by_seq[event.seq] = frame
            if len(self._by_seq) > FRAMES_KEPT:
                self._by_seq.popitem(last=False)
        return frame
