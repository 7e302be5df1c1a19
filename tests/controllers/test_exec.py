"""The exec controller in virtual time: which hook is run when, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.controllers.contract import ParametersError, ServiceSpec
from probe.controllers.exec import ExecController, ExecParameters, exec_parameters, status_verdict
from probe.controllers.hooks import KILL_WITHIN_S
from probe.controllers.polling import LOOK_TIMEOUT_S
from probe.environment import Finished
from probe.values import EVIDENCE_CHARS_MAX, Incarnation, Outcome, Reason, ResourceId
from tests.controllers.surroundings import ID, STATE_DIR, Surroundings, begin, in_virtual_time, refusal_of, service
from tests.sim.hooks import Call, Daemon, Deed

HOOK = "/usr/local/bin/hook"
BARE: dict[str, object] = {"start": [HOOK, "start"], "stop": [HOOK, "stop"]}
WHOLE: dict[str, object] = {
    **BARE,
    "status": [HOOK, "status"],
    "terminate": [HOOK, "terminate"],
    "status_interval_s": 5,
}
OUTPUT = f"{STATE_DIR}/output/evs1/store.log"


class Bench(Surroundings):
    """A service with hooks, and its controller."""

    def __init__(self) -> None:
        super().__init__()
        self.daemon = Daemon()
        self.programs.table[HOOK] = self.daemon
        self.controller = ExecController(self.environment, STATE_DIR, self.tell, self.spawn)

    async def start(self, incarnation: int = 1, parameters: dict[str, object] = WHOLE) -> None:
        """Start the service."""
        await self.controller.start(service(**parameters), Incarnation(incarnation))


def on_bench(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a bench, then end as a run of ours does."""

    async def main() -> None:
        bench = Bench()
        await test(bench)
        await bench.end(bench.controller)

    in_virtual_time(main)


def test_start_and_stop_run_their_hooks() -> None:
    """S3: each verb runs its hook and no other; its output is kept, it knows the resource."""

    async def test(bench: Bench) -> None:
        await bench.start(parameters=BARE)
        await bench.controller.stop(service(**BARE))
        assert [(call.argv, call.output) for call in bench.programs.calls] == [
            ((HOOK, "start"), OUTPUT),
            ((HOOK, "stop"), OUTPUT),
        ]
        assert bench.programs.calls[0].environment == {"LOOKSALIVE_RESOURCE": "evs1/store", "LOOKSALIVE_HOOK": "start"}

    on_bench(test)


def test_a_running_service_is_not_started_again() -> None:
    """S57: status says that it runs: the start succeeds without its hook; a stop of a stopped one likewise."""

    async def test(bench: Bench) -> None:
        bench.daemon.running = True
        await bench.start()
        bench.daemon.running = False
        await bench.controller.stop(service(**WHOLE))
        assert bench.programs.hooks() == ["status", "status"]

    on_bench(test)


def test_a_service_stopped_behind_our_back_is_told_once() -> None:
    """S6: status 3 of a started service is external_stop, with the incarnation of its last start, and only once."""

    async def test(bench: Bench) -> None:
        await bench.start(incarnation=1)
        await bench.start(incarnation=4)
        await bench.pass_time(12)
        assert bench.told == []
        bench.daemon.running = False
        await bench.pass_time(60)
        [(id, incarnation, verdict)] = bench.told
        assert (id, incarnation, verdict.reason) == (ID, 4, Reason.EXTERNAL_STOP)
        assert verdict.evidence == "the status hook ended with exit status 3: asked"
        assert verdict.definite

    on_bench(test)


@pytest.mark.parametrize("status", [1, 2])
def test_a_service_that_died_is_process_gone(status: int) -> None:
    """S4: LSB's 1 and 2, dead with something left, is a death and no stop; the next start is told of anew."""

    async def test(bench: Bench) -> None:
        for _ in range(2):
            bench.daemon.stopped_status = status
            await bench.start()
            bench.daemon.running = False
            await bench.pass_time(6)
        assert [told[2].reason for told in bench.told] == [Reason.PROCESS_GONE] * 2

    on_bench(test)


def test_a_stop_that_was_asked_for_is_not_told() -> None:
    """S6: what we stop, or end, ourselves is no external stop, also when it takes long."""

    async def test(bench: Bench) -> None:
        for verb in (bench.controller.stop, bench.controller.terminate):
            await bench.start()
            bench.daemon.deeds["stop"] = bench.daemon.deeds["terminate"] = Deed(0, takes_s=30)
            bench.daemon.running = False
            bench.daemon.stopped_status = 1
            await verb(service(**WHOLE))
            bench.daemon.deeds.clear()
            await bench.pass_time(30)
        assert bench.told == []

    on_bench(test)


def test_what_status_does_not_know_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """A status hook that is broken is our fault, never the service's: it is logged once, and nothing is told."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.daemon.deeds["status"] = Deed(127, b"sh: curl: not found\n")
        await bench.pass_time(60)
        del bench.programs.table[HOOK]
        await bench.pass_time(60)
        assert bench.told == []

    on_bench(test)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        "whether evs1/store runs is unknown: the status hook ended with exit status 127: sh: curl: not found"
    ]


def test_a_status_that_hangs_twice_is_the_service_s(caplog: pytest.LogCaptureFixture) -> None:
    """One time-out may be our own stall; the second in a row is a hang of the service, and its hook is killed."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.daemon.deeds["status"] = Deed(0, takes_s=1e6)
        await bench.pass_time(1 + LOOK_TIMEOUT_S + 1)
        assert bench.told == []
        del bench.daemon.deeds["status"]
        await bench.pass_time(10)
        bench.daemon.deeds["status"] = Deed(0, takes_s=1e6)
        await bench.pass_time(5 + LOOK_TIMEOUT_S + 1)
        assert bench.told == []
        await bench.pass_time(6 + LOOK_TIMEOUT_S)
        assert [told[2].reason for told in bench.told] == [Reason.STEP_TIMEOUT]
        assert [call.killed for call in bench.programs.calls if call.argv[-1] == "status"].count(True) == 3

    on_bench(test)
    assert "no answer within 20 s" in caplog.text


@pytest.mark.parametrize("verb", ["start", "stop", "terminate"])
def test_a_hook_that_fails_says_why(verb: str) -> None:
    """S4: a hook that ends with anything but 0 is a failed operation; its last line is the evidence."""

    async def test(bench: Bench) -> None:
        bench.daemon.deeds[verb] = Deed(1, b"trying\nno such user: mail\n\n")
        parameters = {**BARE, "terminate": [HOOK, "terminate"]}
        if verb == "start":
            operation = bench.start(parameters=parameters)
        elif verb == "stop":
            operation = bench.controller.stop(service(**parameters))
        else:
            operation = bench.controller.terminate(service(**parameters))
        verdict = await refusal_of(operation)
        assert verdict.evidence == f"the {verb} hook ended with exit status 1: no such user: mail"
        assert verdict.reason is (Reason.SERVICE_STOPPED if verb == "start" else Reason.REFUSED_BY_SERVER)

    on_bench(test)


def test_a_stop_hook_that_fails_on_what_is_gone_has_stopped_it() -> None:
    """A naive stop hook kills a pid that is long gone: what counts is that status says that nothing runs."""

    async def test(bench: Bench) -> None:
        bench.daemon.stopped_status = 1
        bench.daemon.deeds["stop"] = Deed(1, b"kill: no such process\n")
        await bench.controller.stop(service(**WHOLE))
        bench.daemon.running = True
        verdict = await refusal_of(bench.controller.stop(service(**WHOLE)))
        assert "no such process" in verdict.evidence

    on_bench(test)


def test_a_stop_waits_until_status_says_so() -> None:
    """A stop hook that returns too early: the stop succeeds only when the service is gone."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.daemon.deeds["stop"] = Deed(0)
        stop = begin(bench.controller.stop(service(**WHOLE)))
        await bench.pass_time(20)
        assert not stop.done()
        bench.daemon.running = False
        await bench.pass_time(1)
        assert stop.done()

    on_bench(test)


def test_a_program_that_is_not_there_is_named() -> None:
    """A start whose hook cannot be run fails with the program's name."""

    async def test(bench: Bench) -> None:
        bench.programs.table.clear()
        verdict = await refusal_of(bench.start(parameters=BARE))
        assert verdict.reason is Reason.SERVICE_STOPPED
        assert verdict.evidence == f"cannot run {HOOK}: No such file or directory"

    on_bench(test)


def test_a_cancelled_hook_is_killed() -> None:
    """S52: the core's time-out cancels the operation, and the hook with it."""

    async def test(bench: Bench) -> None:
        bench.daemon.deeds["start"] = Deed(0, takes_s=1e6)
        start = begin(bench.start(parameters=BARE))
        await bench.pass_time(180)
        start.cancel()
        await asyncio.wait([start])
        assert [call.killed for call in bench.programs.calls] == [True]

    on_bench(test)


def test_a_kill_runs_the_terminate_hook_without_anybody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """S56: kill is the terminate hook, bounded; without one, and of what was never started, it does nothing."""

    async def test(bench: Bench) -> None:
        bench.controller.kill(ID)
        await bench.start()
        bench.controller.kill(ID)
        await bench.pass_time(1)
        assert bench.programs.hooks() == ["status", "start", "terminate"]
        bench.daemon.deeds["terminate"] = Deed(0, takes_s=1e6)
        bench.controller.kill(ID)
        await bench.pass_time(KILL_WITHIN_S + 1)
        assert bench.programs.calls[-1].killed
        await bench.start(parameters=BARE)
        bench.controller.kill(ID)
        await bench.pass_time(60)
        assert bench.told == []

    on_bench(test)
    assert "could not be killed: not within 10 s" in caplog.text
    assert "it has no terminate hook" in caplog.text


def test_looks_of_many_services_share_places() -> None:
    """A thousand services don't start a thousand programs at once."""

    async def test(bench: Bench) -> None:
        running = most = 0

        def look(call: Call) -> Deed:
            nonlocal running, most
            if call.argv[-1] != "status":
                return Deed()
            running += 1
            most = max(most, running)
            asyncio.get_running_loop().call_later(0.5, ended)
            return Deed(0, takes_s=0.5)

        def ended() -> None:
            nonlocal running
            running -= 1

        bench.programs.table[HOOK] = look
        for number in range(40):
            spec = ServiceSpec(ResourceId("evs1", f"s{number}"), WHOLE)
            bench.spawn(bench.controller.start(spec, Incarnation(1)))
        await bench.pass_time(0.6)
        most = 0  # the starts themselves asked all at once: they are operations
        await bench.pass_time(30)
        assert most == 8

    on_bench(test)


def test_release_looks_no_more() -> None:
    """We end, the service does not: nothing is run any more."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.controller.release()
        count = len(bench.programs.calls)
        await bench.pass_time(100)
        assert len(bench.programs.calls) == count
        assert bench.daemon.running

    on_bench(test)


def test_it_adopts_nothing_and_has_no_pid() -> None:
    """To ask takes a program; the start that follows asks."""

    async def test(bench: Bench) -> None:
        assert bench.controller.adopt(service(**WHOLE), Incarnation(0)) is False
        assert bench.controller.pid(ID) is None

    on_bench(test)


@given(status=st.integers(-64, 255), output=st.binary(max_size=4096))
def test_any_status_gives_a_bounded_verdict(status: int, output: bytes) -> None:
    """Whatever a status hook ends with and writes: only 0 is alive, only 1 to 3 are failed, the evidence is safe."""
    verdict = status_verdict(Finished(status, f"exit status {status}", output))
    expected = Outcome.ALIVE if status == 0 else Outcome.FAILED if status in (1, 2, 3) else Outcome.UNKNOWN
    assert verdict.outcome is expected
    assert len(verdict.evidence) <= EVIDENCE_CHARS_MAX
    assert verdict.evidence.isascii()
    assert verdict.evidence.isprintable()


def test_every_parameter_is_read() -> None:
    """Each key arrives where it belongs."""
    assert exec_parameters(WHOLE) == ExecParameters(
        (HOOK, "start"), (HOOK, "stop"), (HOOK, "terminate"), (HOOK, "status"), 5.0
    )


def test_all_problems_are_told_at_once() -> None:
    """Several mistakes give several problems, each under its key, with what was probably meant."""
    with pytest.raises(ParametersError) as caught:
        exec_parameters({"strat": ["x"], "stop": "x", "status": [], "status_interval_s": 0})
    assert [problem.key for problem in caught.value.problems] == [
        "strat",
        "start",
        "stop",
        "status",
        "status_interval_s",
    ]
    assert caught.value.problems[0].hint == 'did you mean "start"?'


def test_a_mistake_that_got_through_is_no_crash() -> None:
    """An operation on parameters that cannot be read fails as a controller's does."""

    async def test(bench: Bench) -> None:
        verdict = await refusal_of(bench.controller.stop(service(start=["x"])))
        assert (verdict.reason, verdict.evidence) == (Reason.PROBE_INTERNAL, "stop: is missing")

    on_bench(test)
