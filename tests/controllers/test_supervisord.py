"""The supervisord controller in virtual time, against a supervisord in memory."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from probe.controllers.contract import ParametersError, ServiceSpec
from probe.controllers.supervisord import (
    KILL_GRACE_S,
    TERMINATE_GRACE_S,
    SupervisordController,
    SupervisordParameters,
    supervisord_parameters,
    supervisord_problems,
)
from probe.controllers.supervisors import CALL_TIMEOUT_S, Place
from probe.environment import HttpAnswer
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.surroundings import ID, Surroundings, begin, in_virtual_time, refusal_of, service
from tests.sim import supervisord as sim
from tests.sim.supervisord import SOCKET, SimProgram, SimSupervisord

NAME = "mail:dovecot"
DOVECOT = {"socket": SOCKET, "program": NAME}


class Bench(Surroundings):
    """A supervisord with one program, and the controller."""

    def __init__(self) -> None:
        super().__init__(self._make)
        self.controller = SupervisordController(self.environment, self.tell, self.spawn)

    def _make(self, clock: Any) -> SimSupervisord:
        self.server = SimSupervisord(clock, {NAME: SimProgram()})
        return self.server

    @property
    def program(self) -> SimProgram:
        """The one program."""
        return self.server.programs[NAME]

    async def start(self, incarnation: int = 1) -> None:
        """Start the service."""
        await self.controller.start(service(**DOVECOT), Incarnation(incarnation))

    @property
    def reasons(self) -> list[Reason]:
        """Why what was told ended."""
        return [told[2].reason for told in self.told]


def on_bench(test: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
    """Run a test on a bench, then end as a run of ours does."""

    async def main() -> None:
        bench = Bench()
        await test(bench)
        await bench.end(bench.controller)
        assert bench.server.open_now == 0

    in_virtual_time(main)


def test_start_and_stop() -> None:
    """S3: the program is started and stopped; a start ends when it runs, a stop when it has ended."""

    async def test(bench: Bench) -> None:
        await bench.start()
        assert bench.program.state == sim.RUNNING
        assert bench.controller.pid(ID) == bench.program.pid > 0
        await bench.controller.stop(service(**DOVECOT))
        assert bench.program.state == sim.STOPPED
        assert bench.controller.pid(ID) is None
        await bench.pass_time(10)
        assert bench.told == []

    on_bench(test)


def test_what_runs_is_gone_on_with() -> None:
    """S57: a program that runs is not started again, and is watched from then on; a stop of a stopped one succeeds."""

    async def test(bench: Bench) -> None:
        await bench.controller.stop(service(**DOVECOT))
        bench.server.come_up(NAME)
        await bench.start(incarnation=5)
        assert "startProcess" not in bench.server.calls
        assert "stopProcess" not in bench.server.calls
        bench.server.end(NAME, sim.STOPPED, "Nov 22 11:00 AM")
        await bench.pass_time(2)
        [(id, incarnation, verdict)] = bench.told
        assert (id, incarnation, verdict.reason) == (ID, 5, Reason.EXTERNAL_STOP)
        assert verdict.evidence == "mail:dovecot is STOPPED: Nov 22 11:00 AM"

    on_bench(test)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (sim.STOPPED, Reason.EXTERNAL_STOP),
        (sim.STOPPING, Reason.EXTERNAL_STOP),
        (sim.EXITED, Reason.PROCESS_GONE),
        (sim.FATAL, Reason.PROCESS_GONE),
        (sim.BACKOFF, Reason.PROCESS_GONE),
        (sim.STARTING, Reason.PROCESS_GONE),
        (1000, None),
        (77, None),
        (sim.RUNNING, Reason.PROCESS_GONE),  # as another process
    ],
)
def test_a_program_that_leaves_running_is_told_once(state: int, reason: Reason | None) -> None:
    """S4, S6: within a second or so of it, by the state it is in; what supervisord does not know is not told."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.program.state, bench.program.pid = state, 999
        await bench.pass_time(1.1)
        assert bench.reasons == ([] if reason is None else [reason])
        await bench.pass_time(10)
        assert len(bench.told) <= 1

    on_bench(test)


def test_a_program_that_supervisord_forgot_is_an_external_stop() -> None:
    """Somebody took it out of supervisord's configuration."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.server.programs.clear()
        await bench.pass_time(1.1)
        assert bench.reasons == [Reason.EXTERNAL_STOP]
        verdict = await refusal_of(bench.start())
        assert (verdict.reason, "BAD_NAME" in verdict.evidence) == (Reason.PROBE_INTERNAL, True)

    on_bench(test)


def test_one_call_for_all_programs() -> None:
    """However many programs of one supervisord are watched, it is asked once a second; when none is, not at all."""

    async def test(bench: Bench) -> None:
        for number in range(20):
            bench.server.programs[f"p{number}:p{number}"] = SimProgram(sim.RUNNING, 1000 + number)
            parameters = {"socket": SOCKET, "program": f"p{number}"}
            spec = ServiceSpec(ResourceId("evs1", f"p{number}"), parameters)
            await bench.controller.start(spec, Incarnation(1))
        bench.server.calls.clear()
        await bench.pass_time(10)
        assert bench.server.calls == ["getAllProcessInfo"] * len(bench.server.calls)
        assert 9 <= len(bench.server.calls) <= 10
        for number in range(20):
            parameters = {"socket": SOCKET, "program": f"p{number}"}
            await bench.controller.stop(ServiceSpec(ResourceId("evs1", f"p{number}"), parameters))
        await bench.pass_time(2)
        bench.server.calls.clear()
        await bench.pass_time(10)
        assert bench.server.calls == []
        await bench.start()  # and the next one is watched again
        bench.server.end(NAME, sim.EXITED)
        await bench.pass_time(2)
        assert bench.reasons == [Reason.PROCESS_GONE]

    on_bench(test)


def test_a_silent_supervisord_says_nothing_of_its_programs(caplog: pytest.LogCaptureFixture) -> None:
    """That it is gone, or hangs, is logged once; when it is back, what happened meanwhile is told."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.server.gone = True
        await bench.pass_time(30)
        bench.server.gone, bench.server.silent = False, True
        await bench.pass_time(3 * CALL_TIMEOUT_S)
        assert bench.told == []
        bench.server.silent = False
        bench.server.end(NAME, sim.EXITED)
        await bench.pass_time(CALL_TIMEOUT_S + 2)
        assert bench.reasons == [Reason.PROCESS_GONE]

    on_bench(test)
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "whether 1 programs run is unknown: cannot reach supervisord at /run/supervisor.sock: No such file or directory"
    ]


def test_an_answer_from_before_an_operation_is_dropped() -> None:
    """A look that began before a start and ends after it says nothing of what was started."""

    async def test(bench: Bench) -> None:
        bench.program.starts_s = 0
        bench.server.looks_take_s = 0.5
        await bench.start(incarnation=1)
        bench.server.end(NAME, sim.EXITED)
        while bench.server.calls[-1] != "getAllProcessInfo":
            await bench.pass_time(0.01)
        await bench.start(incarnation=2)
        assert bench.server.open_now == 1  # the look is still under way
        await bench.pass_time(10)
        assert bench.told == []

    on_bench(test)


@pytest.mark.parametrize("how", ["spawn_error", "ends_at_start"])
def test_a_start_that_fails_says_why(how: str) -> None:
    """S54: what supervisord knows of the failure is the evidence."""

    async def test(bench: Bench) -> None:
        setattr(bench.program, how, "can't find command 'dovecott'" if how == "spawn_error" else True)
        verdict = await refusal_of(bench.start())
        assert verdict.reason is Reason.SERVICE_STOPPED
        assert ("dovecott" if how == "spawn_error" else "Exited too quickly") in verdict.evidence
        await bench.controller.terminate(service(**DOVECOT))
        assert bench.program.state == sim.STOPPED

    on_bench(test)


def test_a_start_waits_for_a_stop_under_way() -> None:
    """supervisord gets confused by a start of what is stopping."""

    async def test(bench: Bench) -> None:
        await bench.start()
        bench.program.stops_s = 5
        begin(bench.controller.stop(service(**DOVECOT))).cancel()
        bench.program.state, bench.program.due = sim.STOPPING, bench.clock.now() + 5
        await bench.start()
        assert bench.program.state == sim.RUNNING

    on_bench(test)


def test_terminate_kills_what_does_not_obey() -> None:
    """S68: TERM, a grace, KILL; a program that obeys is not killed."""

    async def test(bench: Bench) -> None:
        await bench.start()
        await bench.controller.terminate(service(**DOVECOT))
        assert "signalProcess" not in bench.server.calls
        bench.program.ignores_term = True
        await bench.start()
        begun = bench.clock.now()
        await bench.controller.terminate(service(**DOVECOT))
        assert bench.server.calls.count("signalProcess") == 1
        assert TERMINATE_GRACE_S <= bench.clock.now() - begun < TERMINATE_GRACE_S + KILL_GRACE_S
        assert bench.program.state == sim.STOPPED
        assert bench.told == []

    on_bench(test)


def test_kill_is_at_once_and_silent(caplog: pytest.LogCaptureFixture) -> None:
    """S56: nobody waits for it; supervisord is told to stop it first, or would start it again."""

    async def test(bench: Bench) -> None:
        bench.controller.kill(ID)
        bench.program.ignores_term = True
        await bench.start()
        bench.controller.kill(ID)
        await bench.pass_time(0.1)
        assert bench.program.state == sim.STOPPED
        assert bench.server.calls[-2:] == ["stopProcess", "signalProcess"]
        bench.server.gone = True
        bench.controller.kill(ID)
        await bench.pass_time(10)
        assert bench.told == []

    on_bench(test)
    assert "evs1/store could not be killed: cannot reach supervisord" in caplog.text


@pytest.mark.parametrize(
    ("answer", "reason", "words"),
    [
        (HttpAnswer(401, b""), Reason.PROBER_FORBIDDEN, "wants a user name"),
        (HttpAnswer(404, b""), Reason.PROBE_INTERNAL, "HTTP status 404"),
        (HttpAnswer(200, b"<html></html>"), Reason.PROBE_INTERNAL, "no XML-RPC"),
        (
            HttpAnswer(
                200, b"<methodResponse><params><param><value><int>3</int></value></param></params></methodResponse>"
            ),
            Reason.PROBE_INTERNAL,
            "words of its own",
        ),
    ],
)
def test_what_is_no_supervisord_is_said_to_be_none(answer: HttpAnswer, reason: Reason, words: str) -> None:
    """Whatever answers at the socket, the operation fails with a sentence, and no service is blamed."""

    async def test(bench: Bench) -> None:
        bench.server.answer = answer
        for operation in (bench.start(), bench.controller.stop(service(**DOVECOT))):
            verdict = await refusal_of(operation)
            assert verdict.reason is reason
            assert words in verdict.evidence

    on_bench(test)


def test_an_unknown_fault_is_a_refusal() -> None:
    """supervisord is shutting down, say: the operation fails with its words."""

    async def test(bench: Bench) -> None:
        bench.server.fault = (6, "SHUTDOWN_STATE")
        verdict = await refusal_of(bench.controller.stop(service(**DOVECOT)))
        assert verdict.reason is Reason.REFUSED_BY_SERVER
        assert "SHUTDOWN_STATE (fault 6)" in verdict.evidence

    on_bench(test)


def test_it_adopts_nothing() -> None:
    """To ask takes a call; the start that follows asks."""

    async def test(bench: Bench) -> None:
        assert bench.controller.adopt(service(**DOVECOT), Incarnation(0)) is False

    on_bench(test)


def test_parameters_are_read() -> None:
    """A socket or an URL, and one program, a bare name being its own group."""
    assert supervisord_parameters({"socket": "/s", "program": "a"}) == SupervisordParameters(
        Place("/s", "http://supervisord"), "a:a"
    )
    assert supervisord_parameters({"url": "http://[::1]:9001/", "program": "g:a"}) == SupervisordParameters(
        Place(None, "http://[::1]:9001"), "g:a"
    )


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({"program": "a"}, "socket", "is missing"),
        ({"program": "a", "socket": "/s", "url": "http://h:1"}, "url", "one too many"),
        ({"program": "a", "socket": "s"}, "socket", "absolute"),
        ({"program": "a", "socket": "/" + "s" * 200}, "socket", "107 bytes"),
        ({"program": "a", "socket": 1}, "socket", "must be a text"),
        ({"program": "a", "url": "https://h:1"}, "url", "must be http://HOST:PORT"),
        ({"program": "a", "url": "http://h"}, "url", "must be http://HOST:PORT"),
        ({"program": "a", "url": "http://h:99999"}, "url", "Port out of range"),
        ({"program": "a", "url": "http://h:1/x"}, "url", "must be http://HOST:PORT"),
        ({"program": "a", "url": "http://h:1/?x"}, "url", "no part of"),
        ({"program": "a", "url": "http://u:p@h:1"}, "url", "user name"),
        ({"socket": "/s"}, "program", "is missing"),
        ({"socket": "/s", "program": "g:*"}, "program", "NAME or GROUP:NAME"),
        ({"socket": "/s", "program": "a b"}, "program", "NAME or GROUP:NAME"),
        ({"socket": "/s", "program": "a:b:c"}, "program", "NAME or GROUP:NAME"),
        ({"socket": "/s", "program": "a", "porgram": 1}, "porgram", "unknown key"),
    ],
)
def test_each_mistake_is_named(parameters: dict[str, object], key: str, words: str) -> None:
    """S10: one mistake gives one problem that says what is wrong."""
    [problem] = supervisord_problems(parameters)
    assert problem.key == key
    assert words in problem.message


def test_all_problems_are_told_at_once() -> None:
    """Several mistakes give several problems."""
    with pytest.raises(ParametersError) as caught:
        supervisord_parameters({"scoket": "/s"})
    assert [problem.key for problem in caught.value.problems] == ["scoket", "socket", "program"]
    assert caught.value.problems[0].hint == 'did you mean "socket"?'
