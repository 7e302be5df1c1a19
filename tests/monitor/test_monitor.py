"""The monitors in virtual time: when they ask, what they believe, what they post (S7, S30, S62 to S68)."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Callable
from typing import Any

import pytest

from probe.lifecycle.events import Trigger
from probe.monitor.watch import CONFIRM_FIRST_S
from probe.values import Incarnation, Outcome, Reason, ResourceId, Stage
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, virtual_server
from tests.sim.servers import Fault, Server

SMTP = ResourceId("default", "smtp-1")
SECOND = Incarnation(2)


def begin(rig: Rig, *, alive: bool | None = True, confirming: bool = False, **properties: Any) -> Server:
    """Serve SMTP at PLACE and watch it."""
    server = rig.machine.serve("smtp", PLACE)
    plan = plan_of(rig.environment, virtual_server("127.0.0.1:25", **properties))
    rig.monitors.watch(plan, FIRST, alive, confirming)
    return server


def times(rig: Rig, server: Server) -> Callable[[], list[float]]:
    """Collect when the server was visited, before its own memory forgets."""
    del rig
    return lambda: [round(visit.at, 2) for visit in server.visits]


def test_the_first_check_is_at_once_and_the_next_ones_a_period_apart() -> None:
    """S9, S66: a check runs right after the watch begins; steady ones follow every period, spread by jitter."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(65)
        visits = times(rig, server)()
        assert visits[0] <= 0.01
        gaps = [round(later - earlier, 2) for earlier, later in itertools.pairwise(visits[1:])]
        assert len(gaps) >= 4
        assert set(gaps) <= {9.99, 10.0, 10.01}
        assert visits[1] <= 10.02

    simulate(body)


def test_the_resources_spread_over_the_period() -> None:
    """S9: a hundred resources watched together are not asked together ten seconds later."""

    async def body(rig: Rig) -> None:
        server = rig.machine.serve("smtp", PLACE)
        for number in range(100):
            rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25"), f"s{number}"), FIRST, True)
        await rig.until(1)
        assert server.total >= 100
        seen = []
        for second in range(1, 12):
            before = server.total
            await rig.until(second + 1)
            seen.append(server.total - before)
        assert sum(seen) >= 100
        assert max(seen) <= 30

    simulate(body)


def test_a_steady_round_posts_nothing_and_refreshes_the_reading() -> None:
    """S64, S66: while the answer is what is believed nothing is posted; the reading is a new one, with its age."""

    async def body(rig: Rig) -> None:
        begin(rig)
        await rig.until(35)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert (reading.alive, reading.outcome, reading.rounds >= 4) == (True, Outcome.ALIVE, True)
        assert reading.age(rig.loop.time()) <= 10
        assert not reading.stale(rig.loop.time())
        assert rig.posted == []
        assert rig.counted.attempts[SMTP] == reading.rounds
        assert {stage for _, stage, _ in rig.counted.stages} == {Stage.CONNECT, Stage.BANNER, Stage.QUIT}

    simulate(body)


def test_a_reading_becomes_stale_after_three_periods_and_the_timeout() -> None:
    """S66: an answer older than three periods and the time-out is stale; its level stays."""

    async def body(rig: Rig) -> None:
        begin(rig, poll_interval_s=10, probe_timeout_s=5)
        await rig.until(0.5)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert not reading.stale(reading.at + 34.9)
        assert reading.stale(reading.at + 35.1)
        assert reading.alive

    simulate(body)


def test_a_refused_connection_is_an_edge_at_once() -> None:
    """S64, S67: a definite failure needs no second look, and is posted once, not once per tick."""

    async def body(rig: Rig) -> None:
        server = begin(rig, fall=3)
        await rig.until(1)
        server.fault = Fault.REFUSE
        while not rig.posted:
            await rig.until(rig.loop.time() + 0.1)
        assert rig.counted.failures[SMTP, Stage.CONNECT, Reason.CONNECT_REFUSED] == 1
        await rig.until(60)
        assert [(event.alive, event.verdict.reason) for event in rig.posted] == [(False, Reason.CONNECT_REFUSED)]
        assert rig.counted.failures[SMTP, Stage.CONNECT, Reason.CONNECT_REFUSED] >= 5
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.alive is False

    simulate(body)


def test_a_failure_is_verified_after_the_fast_interval() -> None:
    """S67: the re-check is the second of `fall`, a fast interval after a polled failure; then the edge."""

    async def body(rig: Rig) -> None:
        server = begin(rig, fast_interval_s=1.0)
        await rig.until(1)
        server.fault = Fault.DECLINE
        before = server.total
        while not rig.posted:
            await rig.until(rig.loop.time() + 0.1)
        assert server.total == before + 2
        visits = times(rig, server)()
        assert 0.99 <= visits[-1] - visits[-2] <= 1.02
        assert rig.posted[0].verdict.reason is Reason.REFUSED_BY_SERVER

    simulate(body)


def test_one_bad_answer_among_good_ones_is_no_edge() -> None:
    """S67: a failure that the re-check does not confirm changes nothing."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        server.fault = Fault.RESET_BEFORE
        before = server.total
        while server.total == before:
            await rig.until(rig.loop.time() + 0.05)
        server.fault = Fault.NONE
        await rig.until(40)
        assert rig.posted == []
        assert rig.counted.failures[SMTP, Stage.BANNER, Reason.RESET] == 1

    simulate(body)


def test_recovery_needs_rise_good_answers() -> None:
    """S63: a resource left failed keeps its check; `rise` good answers in a row, quickly taken, bring it back."""

    async def body(rig: Rig) -> None:
        server = begin(rig, rise=3)
        server.fault = Fault.REFUSE
        await rig.until(30)
        server.fault = Fault.NONE
        before = server.total
        await rig.until(45)
        assert rig.levels == [False, True]
        assert server.total >= before + 3
        visits = times(rig, server)()
        assert visits[2] - visits[0] <= 2.1

    simulate(body)


def test_unknown_changes_no_level() -> None:
    """S66: what we cannot tell is never an edge: no descriptor left for minutes, and the level stays alive."""

    async def body(rig: Rig) -> None:
        begin(rig)
        await rig.until(1)
        rig.machine.host.descriptors_max = 0
        await rig.until(120)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert (reading.alive, reading.outcome) == (True, Outcome.UNKNOWN)
        assert reading.verdict.reason is Reason.PROBER_DESCRIPTORS
        assert rig.posted == []
        unknowns = rig.counted.unknowns[SMTP, Reason.PROBER_DESCRIPTORS]
        assert 10 <= unknowns <= 15  # asked once more quickly, then at the period
        rig.machine.host.descriptors_max = 100
        await rig.until(140)
        assert rig.posted == []

    simulate(body)


def test_a_hung_check_is_not_joined_by_a_second() -> None:
    """S65: while a check hangs longer than the period no second one starts; its recovery is seen when it returns."""

    async def body(rig: Rig) -> None:
        server = begin(rig, poll_interval_s=1, probe_timeout_s=30, fall=1)
        await rig.until(0.5)
        server.fault = Fault.SILENT
        await rig.until(20)
        assert rig.monitors.engine.in_flight == 1
        assert server.peak == 1
        assert rig.monitors.reading(SMTP) is not None  # S7: readers are not kept waiting
        server.fault = Fault.NONE
        await rig.until(40)
        assert rig.levels == [False, True]

    simulate(body)


def test_without_a_known_level_the_first_definite_one_is_posted() -> None:
    """S63: with controller `none` nothing is known; the first level is posted either way."""

    async def good(rig: Rig) -> None:
        begin(rig, alive=None, rise=2)
        await rig.until(5)
        assert rig.levels == [True]

    async def bad(rig: Rig) -> None:
        begin(rig, alive=None).fault = Fault.DECLINE
        await rig.until(5)
        assert rig.levels == [False]

    simulate(good)
    simulate(bad)


def test_confirming_posts_only_the_edge_to_alive() -> None:
    """S66: while an online is confirmed failures are no news, and checks come after 50, 100, 200 ms ..."""

    async def body(rig: Rig) -> None:
        server = begin(rig, alive=None, confirming=True, fast_interval_s=0.4)
        server.fault = Fault.DECLINE
        await rig.until(3)
        assert rig.posted == []
        visits = times(rig, server)()
        gaps = [later - earlier for earlier, later in itertools.pairwise(visits)]
        assert gaps[0] == pytest.approx(CONFIRM_FIRST_S, abs=0.02)
        assert gaps[1] == pytest.approx(CONFIRM_FIRST_S * 2, abs=0.02)
        assert gaps[-1] == pytest.approx(0.4, abs=0.02)
        server.fault = Fault.NONE
        await rig.until(4)
        assert rig.levels == [True]
        total = server.total
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25")), FIRST, True)
        await rig.until(4.2)
        assert server.total == total  # S66: the same incarnation is not asked anew
        server.fault = Fault.REFUSE
        await rig.until(20)
        assert rig.levels == [True, False]  # confirmed, it is a normal watch

    simulate(body)


def test_a_new_incarnation_is_watched_afresh() -> None:
    """S66: after a restart the old reading is gone and a check runs at once; edges carry the new incarnation."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(3)
        plan = plan_of(rig.environment, virtual_server("127.0.0.1:25"))
        rig.monitors.watch(plan, SECOND, True)
        assert rig.monitors.reading(SMTP) is None
        total = server.total
        await rig.until(3.1)
        assert server.total == total + 1
        server.fault = Fault.REFUSE
        await rig.until(20)
        assert [event.incarnation for event in rig.posted] == [SECOND]

    simulate(body)


def test_unwatch_ends_the_checks() -> None:
    """S68: after an unwatch no check starts, the one under way is closed, nothing is posted."""

    async def body(rig: Rig) -> None:
        server = begin(rig, fall=1)
        await rig.until(1)
        server.fault = Fault.SILENT
        while not server.connections:
            await rig.until(rig.loop.time() + 0.1)
        rig.monitors.unwatch(SMTP)
        rig.monitors.unwatch(SMTP)
        assert not rig.network.sockets
        total = server.total
        await rig.until(60)
        assert server.total == total
        assert rig.posted == []
        assert rig.monitors.reading(SMTP) is None

    simulate(body)


def test_an_event_is_verified_by_one_immediate_check() -> None:
    """S67: the event is the first of `fall`, the check at once the second; the edge says who triggered it."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        server.fault = Fault.DECLINE
        total = server.total
        rig.monitors.verify(SMTP, Trigger.KERNEL)
        await rig.until(1.1)
        assert server.total == total + 1
        assert [(event.alive, event.trigger) for event in rig.posted] == [(False, Trigger.KERNEL)]

    simulate(body)


def test_a_false_alarm_is_forgotten() -> None:
    """S67: where the immediate check is good the event counts for nothing, later failures start from none."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(1)
        rig.monitors.verify(SMTP, Trigger.KERNEL)
        await rig.until(2)
        assert rig.posted == []
        server.fault = Fault.DECLINE
        before = server.total
        while not rig.posted:
            await rig.until(rig.loop.time() + 0.1)
        assert server.total == before + 2
        assert rig.posted[0].trigger is Trigger.PROBE

    simulate(body)


def test_a_verification_during_a_check_runs_after_it() -> None:
    """S65, S67: the check under way may have had its answer before the event: another follows, not beside it."""

    async def body(rig: Rig) -> None:
        server = begin(rig)
        await rig.until(0.5)
        server.fault = Fault.DELAY
        server.delay_s = 1.0
        total = server.total
        while server.total == total:
            await rig.until(rig.loop.time() + 0.05)
        rig.monitors.verify(SMTP)
        await rig.until(rig.loop.time() + 5)
        assert server.total == total + 2
        assert server.peak == 1
        assert rig.posted == []

    simulate(body)


def test_replan_keeps_cache_counters_and_due_time() -> None:
    """A changed plan asks the new binding at the time at which the old one was due; the reading stays."""

    async def body(rig: Rig) -> None:
        old = begin(rig)
        new = rig.machine.serve("smtp", ("127.0.0.1", 26))
        await rig.until(25)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        due = times(rig, old)()[-1] + 10
        rig.monitors.replan(plan_of(rig.environment, virtual_server("127.0.0.1:26")))
        assert rig.monitors.reading(SMTP) == reading
        await rig.until(36)
        assert times(rig, new)() == pytest.approx([due], abs=0.02)
        after = rig.monitors.reading(SMTP)
        assert after is not None
        assert after.rounds == reading.rounds + 1
        assert rig.posted == []

    simulate(body)


def test_a_shorter_period_takes_effect_within_itself() -> None:
    """A replan with another period moves the due time into that period."""

    async def body(rig: Rig) -> None:
        server = begin(rig, poll_interval_s=100)
        await rig.until(1)
        total = server.total
        rig.monitors.replan(plan_of(rig.environment, virtual_server("127.0.0.1:25", poll_interval_s=2)))
        await rig.until(11.5)
        assert 5 <= server.total - total <= 6

    simulate(body)


def test_a_replan_during_a_check_asks_by_the_new_plan_at_once() -> None:
    """The check under way belongs to the old plan: it is dropped, its answer is not believed."""

    async def body(rig: Rig) -> None:
        begin(rig, fall=1).fault = Fault.SILENT
        rig.machine.serve("smtp", ("127.0.0.1", 26))
        await rig.until(2)
        rig.monitors.replan(plan_of(rig.environment, virtual_server("127.0.0.1:26", fall=1)))
        await rig.until(2.1)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.address == "127.0.0.1:26"
        await rig.until(9)
        assert rig.posted == []

    simulate(body)


def test_the_first_round_is_done_when_all_were_asked() -> None:
    """Readiness waits for the slowest first answer, and is not taken back by what is watched later."""

    async def body(rig: Rig) -> None:
        assert rig.monitors.first_round_done
        server = begin(rig)
        slow = rig.machine.serve("smtp", ("127.0.0.1", 26))
        slow.fault = Fault.SILENT
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:26"), "slow"), FIRST, True)
        await rig.until(4)
        assert not rig.monitors.first_round_done
        await rig.until(6)
        assert rig.monitors.first_round_done
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25"), "late"), FIRST, True)
        assert rig.monitors.first_round_done
        assert server.total >= 1

    simulate(body)


def test_what_the_core_knows_better_is_taken_over() -> None:
    """S62: a watch of the same incarnation with another level corrects ours, so that the next edge is posted."""

    async def body(rig: Rig) -> None:
        begin(rig)
        await rig.until(1)
        rig.monitors.watch(plan_of(rig.environment, virtual_server("127.0.0.1:25")), FIRST, False)
        await rig.until(12)
        assert rig.levels == [True]

    simulate(body)


def test_a_stalled_loop_loses_no_service() -> None:
    """A loop that stalls ten time-outs at a time, again and again, calls no healthy service failed."""

    async def body(rig: Rig) -> None:
        begin(rig, probe_timeout_s=0.5, poll_interval_s=0.2, fall=1)
        for _ in range(200):
            await rig.until(rig.loop.time() + 0.31)
            rig.loop.stall(5.0)
        assert rig.counted.attempts[SMTP] >= 200
        assert rig.posted == []
        assert not rig.counted.failures

    simulate(body)


def test_the_rounds_that_piled_up_in_a_pause_are_spread() -> None:
    """After a pause of three periods nobody is asked at once: all in their next period, spread, each once."""

    async def body(rig: Rig) -> None:
        names = [f"smtp-{number}" for number in range(200)]
        rig.machine.serve("smtp", PLACE)
        server = virtual_server("127.0.0.1:25", poll_interval_s=10.0, probe_timeout_s=5.0)
        for name in names:
            rig.monitors.watch(plan_of(rig.environment, server, name), FIRST, True)
        await rig.until(25.0)
        counts = rig.counted.attempts
        before = counts.total()
        rig.loop.stall(30.0)
        resumed = rig.loop.time()
        seen: list[int] = []
        for tenth in range(1, 11):
            await rig.until(resumed + tenth)
            seen.append(counts.total() - before - sum(seen))
        assert sum(seen) == len(names)
        assert min(seen) >= 5, "a part of the period has none"
        assert max(seen) <= 40, "they came at once"
        assert rig.posted == []

    simulate(body)


def test_a_process_stopped_again_and_again_still_asks() -> None:
    """A round is left out once only: a dead service is found although no round ever comes in time."""

    async def body(rig: Rig) -> None:
        server = begin(rig, probe_timeout_s=1, poll_interval_s=1)
        await rig.until(5.0)
        server.fault = Fault.REFUSE
        begun = rig.loop.time()
        while not rig.posted and rig.loop.time() < begun + 60:
            await rig.until(rig.loop.time() + 0.1)
            rig.loop.stall(4.9)  # with that the rounds of every second never fall between
        assert rig.levels == [False]

    simulate(body)


def test_a_dead_service_is_found_between_the_stalls() -> None:
    """Credit for stalls is no excuse for ever: a service that hangs is found although the loop keeps stalling."""

    async def body(rig: Rig) -> None:
        begin(rig, probe_timeout_s=1, poll_interval_s=1).fault = Fault.SILENT
        for _ in range(40):
            await rig.until(rig.loop.time() + 0.2)
            rig.loop.stall(0.3)
        assert rig.levels == [False]
        assert rig.posted[0].verdict.reason is Reason.BANNER_TIMEOUT

    simulate(body)


def test_an_address_that_left_is_a_definite_failure() -> None:
    """S34: the source cannot be bound any more: `address_missing`, and nothing is dialled unbound."""

    async def body(rig: Rig) -> None:
        rig.machine.add_address("10.0.0.5")
        server = rig.machine.serve("smtp", ("10.0.0.5", 25))
        rig.monitors.watch(plan_of(rig.environment, virtual_server("10.0.0.5:25")), FIRST, True)
        await rig.until(1)
        assert set(server.sources) == {"10.0.0.5"}
        rig.machine.remove_address("10.0.0.5")
        total = server.total
        await rig.until(15)
        assert [event.verdict.reason for event in rig.posted] == [Reason.ADDRESS_MISSING]
        assert server.total == total

    simulate(body)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (errno.ENETUNREACH, Reason.CONNECT_UNREACHABLE),
        (errno.EADDRNOTAVAIL, Reason.PROBER_PORTS),
        (errno.EPERM, Reason.PROBER_FORBIDDEN),
        (errno.ENOBUFS, Reason.PROBER_DESCRIPTORS),
    ],
)
def test_an_errno_of_connect_is_theirs_or_ours(code: int, reason: Reason) -> None:
    """What the kernel says at once is judged by the table; ours never becomes an edge."""

    async def body(rig: Rig) -> None:
        begin(rig)
        rig.machine.host.connect_errors["127.0.0.1"] = code
        await rig.until(15)
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.verdict.reason is reason
        assert bool(rig.posted) is (reading.outcome is Outcome.FAILED)

    simulate(body)


class Broken(list[float]):
    """A mistake of ours in what is counted."""

    def append(self, value: float) -> None:
        raise ZeroDivisionError(value)


def test_what_cannot_be_counted_is_asked_on(caplog: pytest.LogCaptureFixture) -> None:
    """A fault of ours while an answer is counted costs neither that answer nor the next ones, and is logged once."""

    async def body(rig: Rig) -> None:
        rig.counted.lags = Broken()
        server = begin(rig)
        await rig.until(35)
        assert len(times(rig, server)()) >= 4
        reading = rig.monitors.reading(SMTP)
        assert reading is not None
        assert reading.verdict.reason is Reason.MATCHED

    simulate(body)
    assert [record.message for record in caplog.records if "fault of our own" in record.message][1:] == []
    assert "ZeroDivisionError" in caplog.text
