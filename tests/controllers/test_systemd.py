"""The systemd controller over a bus in memory, in virtual time: what it does when, and what it tells."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from probe.controllers.contract import Acting, ServiceSpec
from probe.controllers.dbus import BusError
from probe.controllers.link import PAUSE_MAX_S, UP_WITHIN_S
from probe.controllers.systemd import TERMINATE_GRACE_S, SystemdController
from probe.controllers.units import JOB_ENDS_KEPT, SYSTEMD
from probe.values import Incarnation, Outcome, Reason, ResourceId, Verdict
from tests.controllers.links import ID, OTHER, Ground, refused, spawn, virtually
from tests.controllers.systemd_sim import CLD, SimSystemd, SimUnit

NAME = "dovecot.service"


class House(Ground):
    """A systemd with one unit, and the controller."""

    def __init__(self, *units: SimUnit) -> None:
        super().__init__()
        self.systemd = SimSystemd(*(units or (SimUnit(NAME),)))
        self.controller = SystemdController(self.clock, self.tell, spawn, self.systemd.connect)

    @property
    def unit(self) -> SimUnit:
        """The one unit."""
        return self.systemd.units[NAME]

    def service(self, id: ResourceId = ID, unit: str = NAME, **more: object) -> ServiceSpec:
        """Name the service."""
        return ServiceSpec(id, {"unit": unit, **more})

    async def start(self, incarnation: int = 1) -> None:
        """Start the unit."""
        await self.controller.start(self.service(), Incarnation(incarnation))

    async def stop(self) -> None:
        """Stop the unit."""
        await self.controller.stop(self.service())


def in_house(test: Callable[[House], Coroutine[Any, Any, None]], *units: SimUnit) -> None:
    """Run a test in virtual time and release the controller: what it leaves running fails the test."""

    async def main() -> None:
        house = House(*units)
        await test(house)
        house.controller.release()
        await house.pass_time(0.01)
        assert house.systemd.open_connections == 0

    virtually(main)


def test_a_start_and_a_stop() -> None:
    """S3: start and stop return when systemd's jobs have ended; neither is told."""

    async def test(house: House) -> None:
        controller: Acting = house.controller
        assert (controller.acts, controller.ours_to_stop) == (True, False)
        assert not controller.adopt(house.service(), Incarnation(1))
        await house.start()
        assert (house.unit.active, controller.pid(ID)) == ("active", house.unit.pid)
        await house.stop()
        assert (house.unit.active, controller.pid(ID)) == ("inactive", None)
        await house.stop()
        await house.pass_time()
        assert house.told == []

    in_house(test)


def test_a_running_unit_is_not_started_twice() -> None:
    """S57: a start of an active unit succeeds at once, and its end is told under the new incarnation."""

    async def test(house: House) -> None:
        await house.start(1)
        pid = house.unit.pid
        await house.start(2)
        assert house.unit.pid == pid
        house.systemd.become(NAME, "failed", "failed", "signal", code=CLD["killed"], status=9)
        await house.pass_time()
        assert [(id, incarnation) for id, incarnation, _ in house.told] == [(ID, 2)]

    in_house(test)


@pytest.mark.parametrize(
    ("active", "result", "code", "status", "reason", "words"),
    [
        ("failed", "signal", "killed", int(signal.SIGKILL), Reason.PROCESS_GONE, "signal, killed by SIGKILL"),
        ("failed", "signal", "killed", 99, Reason.PROCESS_GONE, "signal, killed by signal 99"),
        ("failed", "core-dump", "dumped", int(signal.SIGSEGV), Reason.PROCESS_GONE, "core-dump, killed by SIGSEGV"),
        ("failed", "exit-code", "exited", 3, Reason.PROCESS_GONE, "exit-code, exit status 3"),
        ("activating", "exit-code", "exited", 3, Reason.PROCESS_GONE, "activating"),
        ("failed", "watchdog", "dumped", int(signal.SIGABRT), Reason.PROCESS_GONE, "watchdog"),
        ("failed", "oom-kill", "killed", int(signal.SIGKILL), Reason.PROCESS_GONE, "oom-kill"),
        ("failed", "start-limit-hit", "", 0, Reason.SERVICE_STOPPED, "start-limit-hit"),
        ("failed", "timeout", "", 0, Reason.SERVICE_STOPPED, "timeout"),
        ("inactive", "success", "exited", 0, Reason.EXTERNAL_STOP, "somebody stopped it"),
        ("deactivating", "success", "", 0, Reason.EXTERNAL_STOP, "deactivating and not by us"),
    ],
)
def test_an_end_that_nobody_asked_for_is_told_once(
    active: str, result: str, code: str, status: int, reason: Reason, words: str
) -> None:
    """S4, S6: a unit that leaves `active` is told at once, with systemd's own word for why; always definite."""

    async def test(house: House) -> None:
        await house.start(7)
        house.systemd.become(NAME, active, "x", result, code=CLD.get(code, 0), status=status)
        await house.pass_time(0.002)
        ((id, incarnation, verdict),) = house.told
        assert (id, incarnation, verdict.reason, verdict.definite) == (ID, 7, reason, True)
        assert words in verdict.evidence
        assert NAME in verdict.evidence
        assert house.controller.pid(ID) is None
        house.systemd.become(NAME, "inactive", "dead", result)
        await house.pass_time()
        assert len(house.told) == 1

    in_house(test)


def test_a_reload_is_no_end() -> None:
    """A unit that reloads is as good as active."""

    async def test(house: House) -> None:
        await house.start()
        house.systemd.become(NAME, "reloading", "reload")
        house.systemd.become(NAME, "active", "running")
        await house.pass_time()
        assert house.told == []

    in_house(test)


@pytest.mark.parametrize(
    ("unit", "reason", "words"),
    [
        (SimUnit(NAME, start_ends="failed", result="exit-code", code=1, status=1), Reason.PROCESS_GONE, "status 1"),
        (SimUnit(NAME, start_ends="failed", result="protocol"), Reason.SERVICE_STOPPED, "protocol"),
        (SimUnit(NAME, start_ends="timeout"), Reason.PENDING_TIMEOUT, "timed out"),
        (SimUnit(NAME, start_ends="dependency"), Reason.SERVICE_STOPPED, "a unit that it requires failed"),
        (SimUnit(NAME, start_ends="canceled"), Reason.SERVICE_STOPPED, "ended as canceled"),
        (SimUnit(NAME, starts_as="inactive"), Reason.SERVICE_STOPPED, "is a condition of it not met?"),
        (SimUnit(NAME, starts_as="failed", result="signal"), Reason.PROCESS_GONE, "could not be started: signal"),
    ],
)
def test_a_start_that_fails_says_why(unit: SimUnit, reason: Reason, words: str) -> None:
    """S4: how the job ended decides the reason; a job that is done is not enough, the unit must be active."""

    async def test(house: House) -> None:
        verdict = await refused(house.start())
        assert (verdict.reason, house.told) == (reason, [])
        assert words in verdict.evidence
        assert NAME in verdict.evidence

    in_house(test, unit)


@pytest.mark.parametrize(
    ("member", "name", "reason", "words"),
    [
        ("StartUnit", f"{SYSTEMD}.NoSuchUnit", Reason.SERVICE_STOPPED, "systemd refuses dovecot.service: told so"),
        ("StartUnit", f"{SYSTEMD}.UnitMasked", Reason.SERVICE_STOPPED, "systemd refuses dovecot.service: told so"),
        ("StartUnit", "org.freedesktop.DBus.Error.AccessDenied", Reason.PROBER_FORBIDDEN, "run as root, or allow"),
        (
            "StartUnit",
            "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
            Reason.PROBER_FORBIDDEN,
            "polkit",
        ),
        ("LoadUnit", "org.freedesktop.DBus.Error.ServiceUnknown", Reason.PROBE_INTERNAL, "no systemd on the bus"),
        ("Subscribe", "org.freedesktop.DBus.Error.ServiceUnknown", Reason.PROBE_INTERNAL, "told so"),
    ],
)
def test_a_refusal_is_a_sentence(member: str, name: str, reason: Reason, words: str) -> None:
    """What systemd or the bus refuses is said in words; a right that we lack is never the service's failure."""

    async def test(house: House) -> None:
        house.systemd.refusals[member] = BusError(name, "told so")
        verdict = await refused(house.start())
        assert verdict.reason is reason
        assert words in verdict.evidence

    in_house(test)


def test_a_stop_of_what_is_not_there_succeeds() -> None:
    """Rule 2 of the contract: a unit that is not there does not run."""

    async def test(house: House) -> None:
        await house.controller.stop(house.service(unit="nothing.service"))
        await house.controller.terminate(house.service(unit="nothing.service"))
        house.systemd.refusals["StopUnit"] = BusError("org.freedesktop.DBus.Error.AccessDenied", "no")
        assert (await refused(house.stop())).reason is Reason.PROBER_FORBIDDEN

    in_house(test)


def test_a_terminate_kills_what_does_not_stop() -> None:
    """S68: terminate follows its stop with SIGKILL after a short grace; a stop leaves that to systemd."""

    async def test(house: House) -> None:
        await house.start()
        stop = spawn(house.stop())
        await house.pass_time(100)
        assert not stop.done()
        stop.cancel()
        begun = house.clock.now()
        await house.controller.terminate(house.service())
        assert TERMINATE_GRACE_S <= house.clock.now() - begun < TERMINATE_GRACE_S + 0.1
        assert f"KillUnit {NAME} all 9" in house.systemd.calls
        assert (house.unit.active, house.told) == ("failed", [])

    in_house(test, SimUnit(NAME, ignores_term=True))


def test_a_terminate_of_what_stops_kills_nothing() -> None:
    """S68: what stops within the grace is not killed, then or later."""

    async def test(house: House) -> None:
        await house.start()
        await house.controller.terminate(house.service())
        await house.pass_time(10)
        assert not [call for call in house.systemd.calls if call.startswith("KillUnit")]

    in_house(test)


def test_a_terminate_does_not_reach_the_next_run() -> None:
    """S68: the kill that a terminate held ready is forgotten when the unit has stopped."""

    async def test(house: House) -> None:
        await house.controller.start(house.service(OTHER, "postfix.service"), Incarnation(1))  # holds the connection
        await house.start()
        await house.controller.terminate(house.service())
        await house.start(2)
        await house.pass_time(10)
        assert (house.unit.active, house.told) == ("active", [])

    in_house(test, SimUnit(NAME), SimUnit("postfix.service"))


def test_a_kill_is_silent_and_final() -> None:
    """S56: kill has systemd stop the unit, so that it isn't restarted, and SIGKILLs it; that is not told."""

    async def test(house: House) -> None:
        house.controller.kill(ID)  # nobody is there
        await house.start()
        house.systemd.calls.clear()
        house.controller.kill(ID)
        assert house.systemd.calls == [f"StopUnit {NAME} replace", f"KillUnit {NAME} all 9"]
        await house.pass_time()
        assert (house.unit.active, house.told) == ("failed", [])
        await house.start(2)
        house.systemd.become(NAME, "inactive", "dead")
        await house.pass_time()
        assert len(house.told) == 1  # of the new run, whose end nobody asked for

    in_house(test, SimUnit(NAME, ignores_term=True))


def test_a_stop_that_was_given_up_leaves_the_unit_followed() -> None:
    """S4: when a unit goes on running after a cancelled stop, its later end is news."""

    async def test(house: House) -> None:
        await house.start()
        stop = spawn(house.stop())
        await house.pass_time(1)
        stop.cancel()
        await house.pass_time(1)
        house.systemd.become(NAME, "failed", "failed", "oom-kill")
        await house.pass_time(1)
        assert [verdict.reason for verdict in house.verdicts] == [Reason.PROCESS_GONE]

    in_house(test, SimUnit(NAME, ignores_term=True))


def test_one_connection_is_shared_and_closed_with_the_last() -> None:
    """S49: made at the first use, shared by all units of a bus, closed when the last is stopped."""

    async def test(house: House) -> None:
        assert house.systemd.connections == []
        other = house.service(OTHER, "postfix.service")
        await asyncio.gather(house.start(), house.controller.start(other, Incarnation(1)))
        assert len(house.systemd.connections) == 1
        await house.stop()
        assert house.systemd.open_connections == 1
        await house.controller.stop(other)
        await house.pass_time(0.01)
        assert (house.systemd.open_connections, len(house.systemd.connections)) == (0, 1)

    in_house(test, SimUnit(NAME), SimUnit("postfix.service"))


def test_two_buses_are_two_connections() -> None:
    """A unit of another systemd has a connection of its own; a changed address moves to it."""

    async def test(house: House) -> None:
        await house.start()
        there = house.service(bus="unix:path=/elsewhere")
        await house.controller.start(there, Incarnation(2))
        await house.pass_time(0.01)
        assert (house.systemd.open_connections, len(house.systemd.connections)) == (1, 2)
        house.systemd.become(NAME, "failed", "failed", "signal")
        await house.pass_time()
        assert [incarnation for _, incarnation, _ in house.told] == [2]

    in_house(test)


def test_a_start_that_fails_half_way_gives_the_connection_back() -> None:
    """S49: nobody holds a connection for a unit that could not be followed."""

    async def test(house: House) -> None:
        house.systemd.refusals["LoadUnit"] = BusError(f"{SYSTEMD}.NoSuchUnit", "no")
        await refused(house.start())
        await house.pass_time(0.01)
        assert house.systemd.open_connections == 0
        assert house.systemd.connections

    in_house(test)


def test_news_missed_while_the_connection_was_lost_is_told_late() -> None:
    """What ended while nobody could tell us is told when the connection is back; what still runs is not."""

    async def test(house: House) -> None:
        await house.start()
        await house.controller.start(house.service(OTHER, "postfix.service"), Incarnation(5))
        house.systemd.break_off()
        house.systemd.unreachable = True
        house.systemd.become(NAME, "failed", "failed", "signal", code=CLD["killed"], status=9)
        await house.pass_time(30)
        assert house.told == []
        house.systemd.unreachable = False
        await house.pass_time(PAUSE_MAX_S)
        assert [(id, verdict.reason) for id, _, verdict in house.told] == [(ID, Reason.PROCESS_GONE)]
        house.systemd.become("postfix.service", "failed", "failed", "signal")
        await house.pass_time()
        assert [id for id, _, _ in house.told] == [ID, OTHER]

    in_house(test, SimUnit(NAME), SimUnit("postfix.service"))


def test_a_lost_bus_is_not_hammered() -> None:
    """The pauses between attempts grow up to a bound."""

    async def test(house: House) -> None:
        await house.start()
        house.systemd.break_off()
        house.systemd.unreachable = True
        await house.pass_time(100)
        pauses = [b - a for a, b in zip(house.systemd.attempts[1:], house.systemd.attempts[2:], strict=False)]
        assert pauses == sorted(pauses)
        assert pauses[-1] == pytest.approx(PAUSE_MAX_S)
        assert 10 < len(pauses) < 20

    in_house(test)


def test_an_operation_does_not_wait_for_the_pause() -> None:
    """While the bus is away an operation hastens the next attempt, and says why that failed; the fault is ours."""

    async def test(house: House) -> None:
        await house.start()
        house.systemd.break_off()
        house.systemd.unreachable = True
        await house.pass_time(100)
        begun = house.clock.now()
        verdict = await refused(house.stop())
        assert house.clock.now() - begun < 0.1
        assert verdict.outcome is Outcome.UNKNOWN
        assert "Connection refused" in verdict.evidence
        house.systemd.unreachable = False
        await house.stop()
        assert house.clock.now() - begun < 0.1
        assert house.unit.active == "inactive"

    in_house(test)


def test_a_bus_that_accepts_and_is_silent_blocks_nobody() -> None:
    """S51: an operation on a hung bus fails in its own time, and the loop goes on."""

    async def test(house: House) -> None:
        house.systemd.silent = True
        start = spawn(house.start())
        await house.pass_time(UP_WITHIN_S - 0.5)
        assert not start.done()
        verdict = await refused(_result(start))
        assert verdict.outcome is Outcome.UNKNOWN
        assert house.clock.now() == pytest.approx(UP_WITHIN_S, abs=0.01)

    in_house(test)


async def _result(task: asyncio.Task[None]) -> None:
    await task


def test_a_connection_lost_during_a_job_fails_the_operation() -> None:
    """A job whose end will not be heard is an error of ours; the next start joins what goes on."""

    async def test(house: House) -> None:
        start = spawn(house.start())
        await house.pass_time(1)
        house.systemd.break_off()
        verdict = await refused(_result(start))
        assert verdict.outcome is Outcome.UNKNOWN
        assert "before the job ended" in verdict.evidence
        await house.start(2)
        assert house.unit.active == "active"

    in_house(test, SimUnit(NAME, start_s=5))


def test_a_systemd_that_begins_anew_is_followed_again() -> None:
    """`daemon-reexec` gives systemd another name on the bus: its word counts again as soon as we know that."""

    async def test(house: House) -> None:
        await house.start()
        house.systemd.begin_anew()
        await house.pass_time(1)
        house.systemd.become(NAME, "failed", "failed", "signal")
        await house.pass_time(1)
        assert len(house.told) == 1

    in_house(test)


def test_only_systemd_s_own_word_counts() -> None:
    """Any client of a bus can send us a signal: what did not come from systemd is not believed."""

    async def test(house: House) -> None:
        await house.start()
        house.systemd.forge(NAME)
        await house.pass_time()
        assert house.told == []

    in_house(test)


def test_a_job_s_end_may_come_before_its_name() -> None:
    """A job that has ended before the answer that names it reached us is not waited for."""

    async def test(house: House) -> None:
        house.systemd.job_ends_first = True
        for incarnation in range(3):
            await house.start(incarnation)
            await house.stop()

    in_house(test)


def test_a_job_s_end_may_come_before_the_news_of_the_unit() -> None:
    """The unit is looked at when its job has ended: what is under way of it does not matter."""

    async def test(house: House) -> None:
        house.systemd.state_news_s = 0.5
        await house.start()
        assert house.controller.pid(ID) == house.unit.pid
        await house.pass_time()
        assert house.told == []

    in_house(test)


def test_ends_of_jobs_that_nobody_asked_for_are_forgotten() -> None:
    """A machine on which many jobs end does not grow our memory."""

    async def test(house: House) -> None:
        await house.start()
        for _ in range(2 * JOB_ENDS_KEPT):
            house.systemd.end_strange_job()
        (units,) = house.controller._systemds.values()
        assert units._session is not None
        assert len(units._session.ended) == JOB_ENDS_KEPT

    in_house(test)


def test_release_forgets_and_touches_nothing() -> None:
    """At our end every unit stays as it is, and nothing is told of it any more."""

    async def test(house: House) -> None:
        await house.start()
        house.controller.release()
        await house.pass_time()
        house.systemd.become(NAME, "failed", "failed", "signal")
        await house.pass_time()
        assert (house.told, house.controller.pid(ID)) == ([], None)

    in_house(test)


def test_wrong_parameters_fail_an_operation_in_words() -> None:
    """What the store's checker would have refused is refused here, too, as ours."""

    async def test(house: House) -> None:
        verdict = await refused(house.controller.start(ServiceSpec(ID, {}), Incarnation(1)))
        assert verdict == Verdict(Reason.PROBE_INTERNAL, "unit: is missing")

    in_house(test)
