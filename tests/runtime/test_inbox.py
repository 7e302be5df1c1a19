"""The inbox: in order, every asker answered, also when we end."""

from __future__ import annotations

import pytest

from probe.lifecycle.events import Drained, Tick
from probe.lifecycle.world import Decision
from probe.runtime.inbox import Ended, Inbox


async def test_events_come_out_in_the_order_of_their_coming() -> None:
    """What is posted and what is asked share one queue, and each wakes the loop."""
    inbox = Inbox()
    assert inbox.take() is None
    inbox.post(Tick())
    inbox.ask(Drained())
    assert inbox.wake.is_set()
    assert [posted.event for posted in (inbox.take(), inbox.take()) if posted is not None] == [Tick(), Drained()]
    assert inbox.take() is None


async def test_asker_gets_the_decision_or_the_mistake() -> None:
    """An answer is given once; one who stopped waiting is not told anything."""
    inbox = Inbox()
    good, bad, left = (inbox.ask(Tick()) for _ in range(3))
    left.cancel()
    decision = Decision()
    first, second, third = inbox.take(), inbox.take(), inbox.take()
    assert first is not None
    assert second is not None
    assert third is not None
    first.answer_with(decision)
    assert second.refuse(ValueError("a mistake"))
    assert not third.refuse(ValueError("nobody hears it"))
    assert await good is decision
    with pytest.raises(ValueError, match="a mistake"):
        await bad


async def test_end_answers_everybody_who_waits_or_comes_later() -> None:
    """No client is left waiting for a loop that will not run again."""
    inbox = Inbox()
    before = inbox.ask(Tick())
    inbox.close()
    after = inbox.ask(Tick())
    inbox.post(Tick())
    assert inbox.take() is None
    for answer in (before, after):
        with pytest.raises(Ended):
            await answer
