"""One event to many readers: who may wait for it, when each is written to, and the bytes they share."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from probe.api.errors import Problem
from probe.api.shapes import event_of
from probe.lifecycle.report import EventReport

FRAMES_KEPT = 64


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


class Turnstile:
    """Let a bounded number of tasks through in each pass of the loop, so that one event to many readers stalls none."""

    def __init__(self, per_pass: int) -> None:
        self._per_pass = per_pass
        self._left = per_pass
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._armed = False

    async def enter(self) -> None:
        """Go on in this pass when there is room in it, else in a later one, in the order of arrival."""
        self._arm()
        if self._left > 0 and not self._waiting:
            self._left -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        await turn

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self._open)

    def _open(self) -> None:
        self._armed = False
        self._left = self._per_pass
        while self._waiting and self._left > 0:
            turn = self._waiting.popleft()
            if not turn.done():  # its reader may have gone
                turn.set_result(None)
                self._left -= 1
        if self._left < self._per_pass:
            self._arm()


class Frames:
    """The last events as they go over the wire, so that many readers cost one encoding."""

    def __init__(self) -> None:
        self._by_seq: OrderedDict[int, bytes] = OrderedDict()

    def of(self, event: EventReport) -> bytes:
        """Write the event as a server-sent event; its id is its seq."""
        frame = self._by_seq.get(event.seq)
        if frame is None:
            frame = b"id: %d\ndata: %s\n\n" % (event.seq, msgspec.json.encode(event_of(event)))
            self._by_seq[event.seq] = frame
            if len(self._by_seq) > FRAMES_KEPT:
                self._by_seq.popitem(last=False)
        return frame
