"""The one inbox: whoever wants something to happen puts an event here; who asks gets the decision, or what went wrong.

It needs no bound of its own: the loop empties it whenever it runs, and each source has at most a few events in it (a
worker its answer, a watch its edge, a client of a bounded number the one that it waits for).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from probe.lifecycle.events import Event
from probe.lifecycle.world import Decision


class Ended(Exception):
    """We end and decide nothing more."""


@dataclass(slots=True)
class Posted:
    """An event, who waits for what is decided on it, and what is to be done right before that."""

    event: Event
    answer: asyncio.Future[Decision] | None = None
    before: Callable[[], None] | None = None

    def answer_with(self, decision: Decision) -> None:
        """Tell who asked, if anybody did and still waits."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(decision)

    def refuse(self, error: Exception) -> bool:
        """Tell who asked what went wrong; say whether there was anybody to tell."""
        if self.answer is None or self.answer.done():
            return False
        self.answer.set_exception(error)
        return True

    def turn_away(self) -> None:
        """Tell who asked that we have ended; one who does not look any more has missed nothing."""
        if self.refuse(Ended()) and self.answer is not None:
            self.answer.exception()


class Inbox:
    """Events in the order of their coming; `wake` is set with each."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._posted: deque[Posted] = deque()
        self._closed = False

    def post(self, event: Event) -> None:
        """Put an event in; never blocks. Nothing when we have ended."""
        self._put(Posted(event))

    def ask(self, event: Event, before: Callable[[], None] | None = None) -> asyncio.Future[Decision]:
        """Put an event in; what is decided on it can be awaited, or what went wrong: `Ended`, or a mistake of ours.

        `before` is called right before the decision, with nothing in between.
        """
        answer: asyncio.Future[Decision] = asyncio.get_running_loop().create_future()
        self._put(Posted(event, answer, before))
        return answer

    def take(self) -> Posted | None:
        """Take the next event out, or None."""
        return self._posted.popleft() if self._posted else None

    def close(self) -> None:
        """Tell everybody who waits, or asks from now on, that we have ended."""
        self._closed = True
        while (posted := self.take()) is not None:
            posted.turn_away()

    def _put(self, posted: Posted) -> None:
        if self._closed:
            posted.turn_away()
            return
        self._posted.append(posted)
        self.wake.set()
