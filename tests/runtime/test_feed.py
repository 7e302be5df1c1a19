"""What everybody is told: the revision rises with what a reader can see, and who waits for it is woken."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

import pytest

from probe.lifecycle.events import Asked, Configured, Event, Exited, Owned, Started, Tick, Verb
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.metrics import Metrics
from probe.runtime.feed import Feed
from probe.values import Incarnation, OpId, Reason, ResourceId, Verdict
from tests.scenarios.language import GROUP, spec
from tests.sim.environment import SimClock
from tests.sim.loop import current_loop, run_virtual

STORE = ResourceId(GROUP, "store")


class Told:
    """A world whose decisions go through a feed, as the loop does it."""

    def __init__(self) -> None:
        self.world = World()
        self.metrics = Metrics()
        self.feed = Feed(SimClock(current_loop()), self.metrics)

    def happen(self, *events: Event) -> int:
        """Step, tell, apply; return by how much the revision rose."""
        before = self.feed.revision
        for event in events:
            decision = step(self.world, event, 0.0)
            self.feed.tell(self.world, decision)
            self.world.apply(decision)
        return self.feed.revision - before

    def bring_up(self) -> None:
        """One service, online."""
        self.happen(Configured((spec("store", "service", "process"),)), Owned(GROUP, here=True))
        self.happen(Started(STORE, OpId(1)))


def exited() -> Exited:
    """The service ends by itself."""
    return Exited(STORE, Incarnation(1), Verdict(Reason.PROCESS_GONE, "killed by SIGKILL"))


def test_edges_are_kept_numbered_logged_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    """A change of state is an event with the next number, a sentence in the log and a rise of the revision."""

    async def main() -> None:
        told = Told()
        told.bring_up()
        with caplog.at_level(logging.INFO):
            assert told.happen(exited()) == 1
        events = told.feed.recent.after(0, 10)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert [(event.from_, event.to) for event in events[-2:]] == [
            ("online", "failed"),
            ("failed", "online-pending"),
        ]
        failure = "evs1/store went from online to failed: process_gone (killed by SIGKILL) (by process)"
        assert failure in caplog.messages

    run_virtual(main())


def test_a_large_beginning_is_logged_as_sums_but_for_failures(caplog: pytest.LogCaptureFixture) -> None:
    """While a large store is first told, the log has counts of what went well and each failure; events have it all."""

    async def main() -> None:
        told = Told()
        ids = [ResourceId(GROUP, f"r{number}") for number in range(3)]
        with caplog.at_level(logging.INFO):
            told.feed.count_up()
            told.happen(Configured(tuple(spec(id.name, "service", "process") for id in ids)), Owned(GROUP, here=True))
            told.happen(*(Started(id, OpId(number)) for number, id in enumerate(ids, 1)))
            told.happen(Exited(ids[0], Incarnation(1), Verdict(Reason.PROCESS_GONE)))
            assert caplog.messages == [
                "evs1/r0 went from online to failed: process_gone (by process)",
                "evs1/r0 went from failed to online-pending (by process)",
            ]
            caplog.clear()
            told.feed.tell_counts(goes_on=True)
            assert caplog.messages == [
                "while the store is first told: 3 went from offline to online-pending",
                "while the store is first told: 3 went from online-pending to online",
            ]
            assert caplog.records[0].__dict__["fields"] == {"count": 3, "from": "offline", "to": "online-pending"}
            caplog.clear()
            told.feed.tell_counts(goes_on=False)
            told.happen(Started(ids[0], OpId(4)))
            assert caplog.messages == ["evs1/r0 went from online-pending to online (by controller)"]
        assert len(told.feed.recent.after(0, 100)) == 3 + 3 + 2 + 1

    run_virtual(main())


def test_sums_are_told_as_time_goes_by(caplog: pytest.LogCaptureFixture) -> None:
    """However long a beginning takes, the log says once a second how far it is."""

    async def main() -> None:
        told = Told()
        told.feed.count_up()
        with caplog.at_level(logging.INFO):
            await asyncio.sleep(1)
            told.bring_up()
        assert caplog.messages[:1] == ["while the store is first told: 1 went from offline to online-pending"]

    run_virtual(main())


def test_end_of_an_operation_is_an_event() -> None:
    """What an operator asked for ends with an event that carries its id."""

    async def main() -> None:
        told = Told()
        told.bring_up()
        told.happen(Asked(Verb.ONLINE, STORE))
        [event] = [event for event in told.feed.recent.after(0, 10) if event.kind == "operation"]
        assert (event.id, event.from_, event.to, event.evidence) == ("evs1/store", "pending", "done", "online")

    run_virtual(main())


@pytest.mark.parametrize(
    ("events", "rises"),
    [
        ([Tick()], False),
        ([Exited(STORE, Incarnation(0), Verdict(Reason.PROCESS_GONE))], False),
        ([Configured((spec("store", "service", "process"),))], False),
        ([Configured((spec("store", "service", "process", restart_threshold=9),))], True),
        ([Configured((spec("other", "service", "process", auto_start=False),))], True),
        ([Asked(Verb.OFFLINE, STORE)], True),
    ],
)
def test_revision_rises_with_what_a_reader_can_see(events: Iterable[Event], rises: bool) -> None:
    """A client that holds the revision's answer holds everything but ages; what changes nothing to see wakes nobody."""

    async def main() -> None:
        told = Told()
        told.bring_up()
        assert (told.happen(*events) > 0) is rises

    run_virtual(main())


def test_waiter_is_woken_by_the_edge() -> None:
    """A long poll returns with the edge, not with its time-out."""

    async def main() -> None:
        told = Told()
        told.bring_up()
        revision = told.feed.revision
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(told.feed.wait_past(revision, 60))
            await asyncio.sleep(1)
            told.happen(exited())
        assert waiting.result() == revision + 1

    run_virtual(main())


def test_waiter_for_a_later_revision_is_not_answered_by_an_earlier_one() -> None:
    """Who waits for what is several edges away waits for all of them, or for the time-out."""

    async def main() -> None:
        told = Told()
        told.bring_up()
        loop = current_loop()
        revision, begun = told.feed.revision, loop.time()
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(told.feed.wait_past(revision + 1, 60))
            await asyncio.sleep(1)
            told.happen(exited())
        assert waiting.result() == revision + 1
        assert loop.time() - begun == pytest.approx(60)

    run_virtual(main())


def test_time_out_and_cancel_leave_no_waiter_behind() -> None:
    """A waiter that is gone is forgotten: clients come and go for years."""

    async def main() -> None:
        told = Told()
        await told.feed.wait_past(told.feed.revision, 1)
        assert await told.feed.wait_past(told.feed.revision, 0) == told.feed.revision
        task = asyncio.get_running_loop().create_task(told.feed.wait_past(told.feed.revision, 60))
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert "waiting=0" in repr(told.feed)

    run_virtual(main())
