"""How long a failure went unseen: measured from its own first sign, once, when it is published."""

from __future__ import annotations

import asyncio

from probe.lifecycle.blame import HOLD_S
from probe.lifecycle.events import Configured, Event, Exited, Owned, Probed, Started, Tick, Trigger
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.metrics import Metrics
from probe.runtime.detections import Detections
from probe.values import Incarnation, OpId, Reason, ResourceId, State, Verdict
from tests.scenarios.language import GROUP, spec
from tests.sim.environment import SimClock
from tests.sim.loop import current_loop, run_virtual

STORE, SMTP = ResourceId(GROUP, "store"), ResourceId(GROUP, "smtp")
FIRST = Incarnation(1)
GOOD, GONE = Verdict(Reason.MATCHED), Verdict(Reason.LISTENER_GONE)


class Measured:
    """A world in virtual time whose decisions are noted, as the loop does it."""

    def __init__(self) -> None:
        self.world = World()
        self.metrics = Metrics()
        self.clock = SimClock(current_loop())
        self.detections = Detections(self.clock, self.metrics)

    def happen(self, *events: Event) -> None:
        """Step, note, apply."""
        for event in events:
            decision = step(self.world, event, self.clock.now())
            self.detections.note(event, decision)
            self.world.apply(decision)

    def bring_up(self) -> None:
        """Two observed resources, smtp on the store, both online."""
        smtp = spec("smtp", "smtp", "none", ("store",))
        self.happen(Configured((spec("store", "imap", "none"), smtp)), Owned(GROUP, here=True))
        self.happen(probed(STORE, True), probed(SMTP, True))
        assert {record.state for record in self.world.records.values()} == {State.ONLINE}

    @property
    def seconds(self) -> dict[str, list[float]]:
        """What was observed: by trigger, the number of observations and their sum."""
        return {str(trigger): [sum(one.counts), one.sum] for trigger, one in self.metrics.detections.items()}

    @property
    def kept(self) -> str:
        """What waits for its publication."""
        return repr(self.detections)


def probed(id: ResourceId, alive: bool, seen_at: float | None = None, trigger: Trigger = Trigger.KERNEL) -> Probed:
    """An edge."""
    return Probed(id, FIRST, alive, GOOD if alive else GONE, trigger, seen_at)


def test_a_failure_is_measured_when_it_is_published() -> None:
    """From the event to the change of state, by the trigger that told it."""

    async def main() -> None:
        measured = Measured()
        measured.bring_up()
        await asyncio.sleep(10)
        measured.happen(probed(STORE, False, seen_at=9.5))
        assert measured.seconds == {"kernel": [1, 0.5]}
        assert measured.kept == "<Detections 0 failures are held>"

    run_virtual(main())


def test_a_held_failure_is_measured_to_the_end_of_its_hold() -> None:
    """A failure that waits for its providers counts the waiting, from its own sign, not from what ended the wait."""

    async def main() -> None:
        measured = Measured()
        measured.bring_up()
        await asyncio.sleep(10)
        measured.happen(probed(SMTP, False, seen_at=10.0))
        assert measured.seconds == {}
        assert measured.kept == "<Detections 1 failures are held>"
        await asyncio.sleep(HOLD_S)
        measured.happen(Tick())
        assert measured.seconds == {"kernel": [1, HOLD_S]}
        assert measured.kept == "<Detections 0 failures are held>"

    run_virtual(main())


def test_what_is_put_down_to_another_is_measured_by_its_own_sign() -> None:
    """The provider's failure ends the child's hold: each that is a failure by a check has its own time."""

    async def main() -> None:
        measured = Measured()
        measured.bring_up()
        await asyncio.sleep(10)
        measured.happen(probed(SMTP, False, seen_at=8.0))
        await asyncio.sleep(0.1)
        measured.happen(probed(STORE, False, seen_at=10.1))
        count, total = measured.seconds["kernel"]
        assert (count, round(total, 6)) == (2, 2.1)
        assert measured.kept == "<Detections 0 failures are held>"

    run_virtual(main())


def test_a_failure_that_was_none_is_not_measured() -> None:
    """A good check during the hold ends it; its sign is forgotten and does not stretch the next failure's."""

    async def main() -> None:
        measured = Measured()
        measured.bring_up()
        await asyncio.sleep(10)
        measured.happen(probed(SMTP, False, seen_at=10.0), probed(SMTP, True))
        assert measured.kept == "<Detections 0 failures are held>"
        await asyncio.sleep(100)
        measured.happen(probed(SMTP, False, seen_at=110.0))
        await asyncio.sleep(HOLD_S)
        measured.happen(Tick())
        assert measured.seconds == {"kernel": [1, HOLD_S]}

    run_virtual(main())


def test_a_late_event_is_not_measured_and_not_kept() -> None:
    """An edge of an earlier incarnation changes nothing, and an event without a sign is not guessed at."""

    async def main() -> None:
        measured = Measured()
        measured.bring_up()
        measured.happen(Probed(STORE, Incarnation(99), False, GONE, Trigger.KERNEL, 0.0))
        assert measured.kept == "<Detections 0 failures are held>"
        measured.happen(probed(STORE, False, seen_at=None))
        assert measured.seconds == {}

    run_virtual(main())


def test_the_end_of_a_process_is_measured_as_its_own_kind() -> None:
    """A pidfd's word is timed by trigger process."""

    async def main() -> None:
        measured = Measured()
        measured.happen(Configured((spec("store", "service", "process"),)), Owned(GROUP, here=True))
        measured.happen(Started(STORE, OpId(1)))
        await asyncio.sleep(5)
        measured.happen(Exited(STORE, FIRST, Verdict(Reason.PROCESS_GONE), seen_at=4.0))
        assert measured.seconds == {"process": [1, 1.0]}

    run_virtual(main())
