"""Looks at what is no conversation, in virtual time: one at a time, timed, credited, told by their edges (S64, S65)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bindings.model import Resource
from probe.monitor.observing import LOOKS_AT_ONCE_MAX
from probe.monitor.plan import Plans, ProbePlan
from probe.values import Incarnation, Outcome, Reason, ResourceId, Stage, Verdict
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, virtual_server
from tests.sim.servers import Fault

DISK = ResourceId("evs1", "disk")
GOOD, BAD = Verdict(Reason.MATCHED, "good"), Verdict(Reason.DISK_FAILED, "bad")


class Looks:
    """A look whose answer a test sets; it hangs for as long as it is told to, or takes some time."""

    def __init__(self) -> None:
        self.answer = GOOD
        self.takes_s = 0.0
        self.begun = 0
        self.under_way = 0
        self.most = 0
        self.called_off = 0
        self._free = asyncio.Event()
        self._free.set()

    def hang(self) -> None:
        """Let no look return."""
        self._free.clear()

    def go_on(self) -> None:
        """Let those that hang return."""
        self._free.set()

    async def __call__(self) -> Verdict:
        """Look."""
        self.begun += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(self.takes_s)
            await self._free.wait()
        except asyncio.CancelledError:
            self.called_off += 1
            raise
        finally:
            self.under_way -= 1
        return self.answer


def plan(rig: Rig, look: Callable[[], Awaitable[Verdict]], name: str = "disk", **properties: Any) -> ProbePlan:
    """Plan looks at `evs1/NAME`."""
    calls_off = properties.pop("calls_off", False)
    resource = Resource(group="evs1", name=name, type="physical-disk", **properties)
    return Plans(rig.environment).plan_look(resource, look, Reason.DISK_FAILED, calls_off=calls_off)


def begin(rig: Rig, alive: bool | None = True, **properties: Any) -> Looks:
    """Look at a disk."""
    looks = Looks()
    rig.monitors.watch(plan(rig, looks, **properties), FIRST, alive)
    return looks


def edges(rig: Rig) -> list[tuple[bool, Reason]]:
    """What was posted."""
    return [(one.alive, one.verdict.reason) for one in rig.posted if hasattr(one, "alive")]


def test_steady_looks_are_a_period_apart_and_post_nothing() -> None:
    """S9, S64, S66: the first look is at once, then one each period; the reading and the metrics have them."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        await rig.until(0.1)
        assert looks.begun == 1
        await rig.until(95)
        assert 9 <= looks.begun <= 11
        assert rig.posted == []
        reading = rig.monitors.reading(DISK)
        assert reading is not None
        assert (reading.alive, reading.outcome, reading.address, reading.tls) == (True, Outcome.ALIVE, "", ())
        assert rig.counted.attempts[DISK] == looks.begun
        assert ("physical-disk", Stage.RESPONSE) in {told[:2] for told in rig.counted.stages}
        assert rig.monitors.evidence.transcripts(DISK) == ()

    simulate(body)


def test_a_failed_look_is_verified_and_told_once() -> None:
    """S64, S67: two failed looks in a row make the edge, once; the way back takes one good look."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        await rig.until(1)
        looks.answer = BAD
        await rig.until(60)
        assert edges(rig) == [(False, Reason.DISK_FAILED)]
        looks.answer = GOOD
        await rig.until(80)
        assert edges(rig) == [(False, Reason.DISK_FAILED), (True, Reason.MATCHED)]
        assert rig.counted.failures[DISK, Stage.RESPONSE, Reason.DISK_FAILED] >= 2

    simulate(body)


def test_a_definite_failure_needs_no_second_look() -> None:
    """S67: a missing address is an edge at the first look."""

    async def body(rig: Rig) -> None:
        looks = begin(rig, fall=3)
        await rig.until(1)
        before, looks.answer = looks.begun, Verdict(Reason.ADDRESS_MISSING)
        await rig.until(11.5)
        assert edges(rig) == [(False, Reason.ADDRESS_MISSING)]
        assert looks.begun == before + 1

    simulate(body)


def test_a_look_that_hangs_is_a_failure_and_no_second_one_begins() -> None:
    """S64, S65: a time-out counts as a failed look; while it hangs nothing is begun; its return is noted at once."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        await rig.until(1)
        before = looks.begun
        looks.hang()
        await rig.until(200)
        assert looks.begun == before + 1
        assert edges(rig) == [(False, Reason.DISK_FAILED)]
        reading = rig.monitors.reading(DISK)
        assert reading is not None
        assert not reading.stale(rig.loop.time())
        assert "no answer within" in reading.verdict.evidence
        looks.go_on()
        await rig.until(200.1)
        assert edges(rig) == [(False, Reason.DISK_FAILED), (True, Reason.MATCHED)]

    simulate(body)


def test_the_return_of_a_hung_look_between_two_rounds_asks_anew() -> None:
    """S65: what returns while no round waits says how things were; a new look at once says how they are."""

    async def body(rig: Rig) -> None:
        looks = begin(rig, poll_interval_s=60.0, fall=1)
        await rig.until(0.5)
        looks.hang()
        while not rig.posted:
            await rig.until(rig.loop.time() + 0.5)
        before = looks.begun
        await rig.until(rig.loop.time() + 20)  # the next round is a minute away
        looks.go_on()
        await rig.until(rig.loop.time() + 0.1)
        assert looks.begun == before + 1
        assert edges(rig)[-1] == (True, Reason.MATCHED)

    simulate(body)


def test_what_can_be_called_off_is() -> None:
    """S65: an overdue program is ended at its deadline, so that the next round begins another; never two at once."""

    async def body(rig: Rig) -> None:
        looks = begin(rig, calls_off=True)
        await rig.until(1)
        looks.hang()
        await rig.until(100)
        assert looks.called_off >= 5
        assert looks.most == 1
        assert edges(rig) == [(False, Reason.DISK_FAILED)]

    simulate(body)


def test_a_look_under_way_puts_the_next_round_off() -> None:
    """S65: a look that takes longer than the period, but no longer than its time-out, is never doubled."""

    async def body(rig: Rig) -> None:
        looks = begin(rig, poll_interval_s=1.0)
        looks.takes_s = 4.0
        await rig.until(60)
        assert looks.most == 1
        assert rig.posted == []
        assert looks.begun <= 15

    simulate(body)


def test_our_own_stall_is_credited() -> None:
    """A deadline that passes while our loop stands still is no failure: the answer was there in time."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        await rig.until(0.5)
        looks.takes_s = 4.9
        before = looks.begun
        while looks.begun == before:
            await rig.until(rig.loop.time() + 0.01)
        for _ in range(4):
            await rig.until(rig.loop.time() + 0.2)
            rig.loop.stall(1.5)
        await rig.until(rig.loop.time() + 30)
        assert rig.posted == []
        assert not rig.counted.failures

    simulate(body)


@pytest.mark.parametrize("pause_s", [8, 30])  # can be credited, and cannot
def test_a_failure_across_a_pause_of_ours_is_nobody_s(pause_s: float) -> None:
    """A look that was under way while we were stopped for longer than its time-out says nothing: `prober_stalled`."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        await rig.until(0.5)
        looks.takes_s, looks.answer = 1.0, BAD
        before = looks.begun
        while looks.begun == before:
            await rig.until(rig.loop.time() + 0.01)
        looks.takes_s = 0.0
        rig.loop.stall(pause_s)
        await rig.until(rig.loop.time() + 0.9)
        looks.answer = GOOD
        await rig.until(rig.loop.time() + 30)
        assert rig.counted.unknowns[DISK, Reason.PROBER_STALLED] == 1
        assert rig.posted == []

    simulate(body)


def test_a_look_that_raises_is_our_own_mistake() -> None:
    """A bug in a look is unknown, and changes no level."""

    async def broken() -> Verdict:
        raise RuntimeError("a bug")

    async def body(rig: Rig) -> None:
        rig.monitors.watch(plan(rig, broken), FIRST, True)
        await rig.until(30)
        assert rig.posted == []
        assert rig.counted.unknowns[DISK, Reason.PROBE_INTERNAL] >= 2
        reading = rig.monitors.reading(DISK)
        assert reading is not None
        assert reading.verdict.evidence == "RuntimeError: a bug"

    simulate(body)


def test_many_looks_take_turns_and_hung_ones_give_theirs_back() -> None:
    """S51: so many looks are begun at once; those that hang keep the others from theirs no longer than a time-out."""

    async def body(rig: Rig) -> None:
        hanging, looks = Looks(), Looks()
        hanging.hang()
        for number in range(LOOKS_AT_ONCE_MAX):
            rig.monitors.watch(plan(rig, hanging, f"dead{number}"), FIRST, True)
        await rig.until(0.5)
        looks.takes_s = 0.1
        for number in range(LOOKS_AT_ONCE_MAX * 2):
            rig.monitors.watch(plan(rig, looks, f"disk{number}"), FIRST, True)
        await rig.until(4)
        assert (hanging.most, looks.begun) == (LOOKS_AT_ONCE_MAX, 0)
        await rig.until(120)
        assert hanging.begun == LOOKS_AT_ONCE_MAX
        assert looks.begun >= LOOKS_AT_ONCE_MAX * 2 * 10
        assert looks.most <= LOOKS_AT_ONCE_MAX
        assert {one.id.name[:4] for one in rig.posted if hasattr(one, "id")} == {"dead"}

    simulate(body)


def test_unwatched_is_looked_at_no_more_and_a_new_watch_begins_anew() -> None:
    """S68: after the end of a watch nothing is begun, not for one that waits its turn either; a new one looks again."""

    async def body(rig: Rig) -> None:
        looks = begin(rig)
        looks.hang()
        await rig.until(0.5)
        rig.monitors.unwatch(DISK)
        await rig.until(50)
        assert (looks.begun, looks.under_way) == (1, 0)
        looks.go_on()
        rig.monitors.watch(plan(rig, looks), Incarnation(2), True)
        await rig.until(51)
        assert looks.begun == 2

    simulate(body)


def test_a_changed_plan_looks_by_itself() -> None:
    """A reload gives a hung look up, and looks as configured now, at once."""

    async def body(rig: Rig) -> None:
        old, new = begin(rig), Looks()
        old.hang()
        await rig.until(7)
        rig.monitors.replan(plan(rig, new))
        await rig.until(7.5)
        assert (old.under_way, new.begun) == (0, 1)
        reading = rig.monitors.reading(DISK)
        assert reading is not None
        assert reading.outcome is Outcome.ALIVE

    simulate(body)


def test_a_look_is_left_out_of_the_common_cause() -> None:
    """What is looked at is no network failure: it is told while our own listener is away, and counts for nobody's."""

    async def body(rig: Rig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 9)).fault = Fault.REFUSE
        rig.monitors.confirm_by("127.0.0.1:9")
        looks = [Looks() for _ in range(6)]
        for number, look in enumerate(looks):
            rig.monitors.watch(plan(rig, look, f"disk{number}", fall=1), FIRST, True)
        server = rig.machine.serve("smtp", PLACE)
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25")), FIRST, True)
        await rig.until(1)
        server.fault = Fault.REFUSE
        looks[0].answer = Verdict(Reason.STEP_TIMEOUT)
        await rig.until(30)
        assert sorted(edges(rig)) == [(False, Reason.CONNECT_REFUSED), (False, Reason.STEP_TIMEOUT)]

    simulate(body)
