"""One watch: the first failure of a run is a suspicion, and who is suspected is asked from now on (DESIGN 5.2)."""

from __future__ import annotations

from typing import Any

import pytest

from probe.lifecycle.events import Suspected
from probe.monitor.measuring import UNCOUNTED_MAX
from probe.values import ResourceId
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, virtual_server
from tests.sim.servers import Fault, Server

SMTP = ResourceId("default", "smtp-1")
PERIOD_S, TIMEOUT_S, FAST_S = 10.0, 5.0, 1.0


def begin(rig: Rig, *, alive: bool | None = True, confirming: bool = False, **properties: Any) -> Server:
    """Serve SMTP at PLACE and watch it by the default timings."""
    server = rig.machine.serve("smtp", PLACE)
    rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25", **properties)), FIRST, alive, confirming)
    return server


async def fail_once(rig: Rig, server: Server) -> None:
    """Let one check fail and the next ones be good again."""
    before = len(rig.suspected)
    server.fault = Fault.EOF_BEFORE
    while len(rig.suspected) == before:
        await rig.until(rig.loop.time() + 0.05)
    server.fault = Fault.NONE
    await rig.until(rig.loop.time() + 3 * PERIOD_S)


def test_each_run_of_failures_is_a_suspicion_once() -> None:
    """Lost answers that are made good: a suspicion each, no edge."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        for _ in range(3):
            await fail_once(rig, server)
        assert rig.suspected == [Suspected(SMTP, FIRST)] * 3
        assert rig.posted == []

    simulate(body)


@pytest.mark.parametrize(("fall", "suspicions"), [(1, 0), (2, 1), (4, 1)])
def test_a_run_that_becomes_an_edge_was_suspected_before_it(fall: int, suspicions: int) -> None:
    """Once, however long the run; an edge at the first failure needs no suspicion, nor does one that stays failed."""

    async def body(rig: Rig) -> None:
        server = begin(rig, fall=fall)
        await rig.until(1)
        server.fault = Fault.EOF_BEFORE
        await rig.until(60)
        assert len(rig.suspected) == suspicions
        assert rig.levels == [False]

    simulate(body)


def test_what_is_not_online_is_no_suspect() -> None:
    """While an online is being confirmed, and where nothing is believed yet, failures are no news to anybody."""

    async def body(rig: Rig) -> None:
        server = begin(rig, alive=None, confirming=True)
        server.fault = Fault.EOF_BEFORE
        await rig.until(5)
        rig.monitors.unwatch(SMTP)
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25")), FIRST, None)
        await rig.until(20)
        assert rig.suspected == []

    simulate(body)


def test_what_confirms_a_start_says_nothing_on_availability() -> None:
    """Failures while an online is confirmed are told apart from those of what was believed alive, which count."""

    async def body(rig: Rig) -> None:
        server = begin(rig, alive=None, confirming=True)
        server.fault = Fault.EOF_BEFORE
        await rig.until(5)
        while_confirming = rig.counted.failures.total()
        assert rig.counted.confirming == while_confirming > 3
        server.fault = Fault.NONE
        await rig.until(10)
        assert rig.levels == [True]
        server.fault = Fault.EOF_BEFORE
        await rig.until(60)
        assert rig.levels == [True, False]
        assert rig.counted.failures.total() > while_confirming == rig.counted.confirming

    simulate(body)


def test_asked_anew_it_fails_one_time_out_later() -> None:
    """Frozen, with a check under way: that one is begun again, and its failure is the second of `fall`."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        server.freeze()
        rig.monitors.verify(SMTP, suspected=False)
        await rig.until(4)
        rig.monitors.verify(SMTP, anew=True)
        await rig.until(4 + TIMEOUT_S - 0.1)
        assert rig.posted == []
        await rig.until(4 + TIMEOUT_S + 0.1)
        assert rig.levels == [False]
        assert rig.suspected == []

    simulate(body)


def test_one_failure_before_the_suspicion_and_one_after_it_are_enough() -> None:
    """What had failed by itself is asked ahead of its time; a check that follows its own failure is left alone."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        server.freeze()
        rig.monitors.verify(SMTP, suspected=False)
        await rig.until(1 + TIMEOUT_S + FAST_S + 2)  # the second one is under way
        assert len(rig.suspected) == 1
        rig.monitors.verify(SMTP, anew=True)
        await rig.until(1 + TIMEOUT_S + FAST_S + TIMEOUT_S + 0.1)
        assert rig.levels == [False]

    simulate(body)


def test_many_suspicions_do_not_keep_it_from_answering() -> None:
    """Suspected every second, a frozen one is found one time-out after the first; a slow one that answers stays."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        server.fault, server.delay_s = Fault.DELAY, 3.0
        for second in range(1, 60):
            rig.monitors.verify(SMTP, anew=True)
            await rig.until(second + 1)
        assert rig.posted == []
        assert server.total > 59 / (2 * 3.0 + 1)
        server.fault = Fault.SILENT
        begun = rig.loop.time() + server.delay_s
        while not rig.posted:
            rig.monitors.verify(SMTP, anew=True)
            await rig.until(rig.loop.time() + 1)
        assert rig.loop.time() <= begun + TIMEOUT_S + FAST_S + 1

    simulate(body)


def test_a_good_answer_ends_the_suspicion() -> None:
    """Suspected, asked, well: the next lost answer is the first of a run, not the second."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        rig.monitors.verify(SMTP, anew=True)
        await rig.until(2)
        await fail_once(rig, server)
        assert rig.posted == []

    simulate(body)


def test_of_three_failures_the_suspicion_is_one() -> None:
    """A provider with `fall` 3 needs two failures of its own."""

    async def body(rig: Rig) -> None:
        server = begin(rig, fall=3)
        await rig.until(1)
        server.freeze()
        rig.monitors.verify(SMTP, anew=True)
        await rig.until(1 + TIMEOUT_S + FAST_S)
        assert rig.posted == []
        await rig.until(1 + TIMEOUT_S + FAST_S + TIMEOUT_S + 0.1)
        assert rig.levels == [False]

    simulate(body)


def test_failures_that_may_be_doubted_are_counted_when_they_are_not() -> None:
    """Of five resources one loses an answer: it is counted with the good answer that follows; none is lost."""

    async def body(rig: Rig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 9810))
        server = begin(rig, fall=UNCOUNTED_MAX + 10)
        for number in range(4):
            rig.machine.serve("smtp", ("127.0.0.1", 2000 + number))
            other = plan_of(rig.environment, virtual_server(f"127.0.0.1:{2000 + number}"), f"other-{number}")
            rig.monitors.watch(other, FIRST, True)
        rig.monitors.confirm_by("127.0.0.1:9810")
        await rig.until(1)
        server.fault = Fault.EOF_BEFORE
        while not rig.suspected:
            await rig.until(rig.loop.time() + 0.05)
        assert rig.counted.failures.total() == 0
        await rig.until(rig.loop.time() + UNCOUNTED_MAX + 5)
        assert 0 < rig.counted.failures.total() < UNCOUNTED_MAX, "so many may wait and no more"
        server.fault = Fault.NONE
        attempts = rig.counted.attempts[SMTP]
        await rig.until(rig.loop.time() + 2)
        assert UNCOUNTED_MAX < rig.counted.failures.total() < attempts + 2
        assert rig.posted == []

    simulate(body)
