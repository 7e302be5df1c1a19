"""The container controller over an engine in memory, in virtual time: what it does when, and what it tells."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bindings.watch import FileStamp
from probe.controllers import CONTROLLER_KINDS
from probe.controllers.container import (
    SOCKETS,
    STOP_TIMEOUT_S,
    TERMINATE_GRACE_S,
    ContainerController,
    ContainerParameters,
    container_parameters,
)
from probe.controllers.containers import LOOK_WITHIN_S, SIGNAL_ENDS_WITHIN_S
from probe.controllers.contract import Acting, ServiceSpec
from probe.controllers.engine import Reply
from probe.controllers.link import PAUSE_MAX_S, UP_WITHIN_S
from probe.values import Incarnation, Outcome, Reason, ResourceId, Verdict
from tests.controllers.engine_sim import SimContainer, SimEngine
from tests.controllers.links import ID, OTHER, Ground, refused, spawn, virtually
from tests.sim.files import MemoryFiles

NAME = "mail"
SOCKET = "/run/engine.sock"


class House(Ground):
    """An engine with one container, and the controller."""

    def __init__(self, *containers: SimContainer) -> None:
        super().__init__()
        self.engine = SimEngine(*(containers or (SimContainer(NAME),)))
        self.disk = MemoryFiles()
        self.controller = ContainerController(self.clock, self.disk, self.tell, spawn, self.engine.open)

    @property
    def container(self) -> SimContainer:
        """The one container."""
        return self.engine.containers[NAME]

    def service(self, id: ResourceId = ID, container: str = NAME, **more: object) -> ServiceSpec:
        """Name the service."""
        return ServiceSpec(id, {"container": container, "socket": SOCKET, **more})

    async def start(self, incarnation: int = 1) -> None:
        """Start the container."""
        await self.controller.start(self.service(), Incarnation(incarnation))

    async def stop(self) -> None:
        """Stop the container."""
        await self.controller.stop(self.service())


def in_house(test: Callable[[House], Coroutine[Any, Any, None]], *containers: SimContainer) -> None:
    """Run a test in virtual time and release the controller: what it leaves running fails the test."""

    async def main() -> None:
        house = House(*containers)
        await test(house)
        house.controller.release()
        await house.pass_time(0.01)
        assert house.engine.open_connections == 0

    virtually(main)


def test_a_start_and_a_stop() -> None:
    """S3: start and stop return when the engine has done it; neither is told."""

    async def test(house: House) -> None:
        controller: Acting = house.controller
        assert (controller.acts, controller.ours_to_stop) == (True, False)
        assert not controller.adopt(house.service(), Incarnation(1))
        await house.start()
        assert (house.container.status, controller.pid(ID)) == ("running", house.container.pid)
        await house.stop()
        assert (house.container.status, controller.pid(ID)) == ("exited", None)
        await house.stop()
        await house.pass_time()
        assert house.told == []
        assert house.engine.asked == [f"start {NAME}", f"stop {NAME} t={STOP_TIMEOUT_S:g}"]

    in_house(test)


def test_a_running_container_is_not_started_twice() -> None:
    """S57: a start of a running container succeeds at once, and its end is told under the new incarnation."""

    async def test(house: House) -> None:
        await house.start(1)
        pid = house.container.pid
        await house.start(2)
        assert house.container.pid == pid
        house.engine.end(NAME, 1)
        await house.pass_time()
        assert [(id, incarnation) for id, incarnation, _ in house.told] == [(ID, 2)]

    in_house(test)


def test_a_container_that_started_meanwhile_counts_as_started() -> None:
    """The engine's 304, for a container that began to run between our look and our start, is a success."""

    async def test(house: House) -> None:
        house.engine.refusals["start"] = Reply(304, None)
        house.engine.loop.call_soon(house.engine.loop.call_soon, house.engine.come_back, NAME)
        await house.start()
        assert house.controller.pid(ID) == house.container.pid

    in_house(test)


@pytest.mark.parametrize(
    ("code", "facts", "reason", "words"),
    [
        (137, {}, Reason.PROCESS_GONE, "exit status 137 (SIGKILL)"),
        (139, {}, Reason.PROCESS_GONE, "exit status 139 (SIGSEGV)"),
        (1, {}, Reason.PROCESS_GONE, "exit status 1"),
        (255, {}, Reason.PROCESS_GONE, "exit status 255"),
        (127, {"error": "no such file"}, Reason.PROCESS_GONE, "exit status 127: no such file"),
        (137, {"out_of_memory": True}, Reason.PROCESS_GONE, "out of memory"),
        (0, {}, Reason.EXTERNAL_STOP, "somebody stopped it, or it ended by itself"),
        (143, {}, Reason.EXTERNAL_STOP, "exit status 143 (SIGTERM)"),
    ],
)
def test_an_end_that_nobody_asked_for_is_told_once(
    code: int, facts: dict[str, object], reason: Reason, words: str
) -> None:
    """S4, S6: an end is told at once with its exit code, and whether memory ran out; always definite."""

    async def test(house: House) -> None:
        await house.start(7)
        house.engine.end(NAME, code, **facts)
        await house.pass_time(0.002)
        ((id, incarnation, verdict),) = house.told
        assert (id, incarnation, verdict.reason, verdict.definite) == (ID, 7, reason, True)
        assert words in verdict.evidence
        assert NAME in verdict.evidence
        assert house.controller.pid(ID) is None
        house.engine.emit(house.container, "die", exitCode="1")
        await house.pass_time()
        assert len(house.told) == 1

    in_house(test)


@pytest.mark.parametrize(
    ("signalled", "before_s", "reason"),
    [
        ({"signal": "9"}, 0.1, Reason.EXTERNAL_STOP),
        ({}, 0.1, Reason.EXTERNAL_STOP),
        ({"signal": "1"}, SIGNAL_ENDS_WITHIN_S + 1, Reason.PROCESS_GONE),
    ],
)
def test_a_signal_sent_through_the_engine_is_somebody_s_doing(
    signalled: dict[str, str], before_s: float, reason: Reason
) -> None:
    """S6: an end right after somebody had the engine send a signal is `external_stop`; a reload long ago is not."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.emit(house.container, "kill", **signalled)
        await house.pass_time(before_s)
        house.engine.end(NAME, 137)
        await house.pass_time()
        assert [verdict.reason for verdict in house.verdicts] == [reason]

    in_house(test)


def test_a_new_run_begins_with_a_clean_record() -> None:
    """A crash right after a restart is a crash, whatever somebody did to the run before it."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.emit(house.container, "kill", signal="9")
        house.engine.end(NAME, 137)
        await house.pass_time(0.1)
        await house.start(2)
        house.engine.end(NAME, 139)
        await house.pass_time(0.1)
        assert [verdict.reason for verdict in house.verdicts] == [Reason.EXTERNAL_STOP, Reason.PROCESS_GONE]

    in_house(test)


def test_an_end_is_certain_without_a_look() -> None:
    """An engine that cannot say more of a container has told its end and its exit code all the same."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.refusals["json"] = Reply(500, {"message": "busy"})
        house.engine.end(NAME, 139)
        await house.pass_time()
        assert house.verdicts == [
            Verdict(Reason.PROCESS_GONE, f"container {NAME} ended with exit status 139 (SIGSEGV)")
        ]

    in_house(test)


def test_the_event_of_want_of_memory_is_evidence() -> None:
    """An engine that tells `oom` before the end, and forgets it in what it shows, is believed."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.emit(house.container, "oom")
        house.engine.end(NAME, 137)
        await house.pass_time()
        assert ["out of memory" in verdict.evidence for verdict in house.verdicts] == [True]

    in_house(test)


def test_an_engine_that_restarts_it_hides_no_end() -> None:
    """A container that its own restart policy has brought back already has ended all the same."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.end(NAME, 3)
        house.engine.come_back(NAME)
        await house.pass_time()
        assert [verdict.evidence for verdict in house.verdicts] == [f"container {NAME} ended with exit status 3"]
        await house.start(2)
        assert house.controller.pid(ID) == house.container.pid

    in_house(test)


def test_the_late_word_of_an_earlier_end_is_ignored() -> None:
    """An event that arrives after the next start tells of the run before it, and is not believed."""

    async def test(house: House) -> None:
        await house.start(1)
        await house.stop()
        await house.start(2)
        house.engine.emit(house.container, "die", exitCode="0")
        await house.pass_time()
        assert (house.told, house.controller.pid(ID)) == ([], house.container.pid)

    in_house(test)


@pytest.mark.parametrize(
    ("verb", "reply", "reason", "words"),
    [
        (
            "start",
            Reply(500, {"message": "port is taken"}),
            Reason.SERVICE_STOPPED,
            "cannot start container mail: port",
        ),
        ("start", Reply(404, None), Reason.SERVICE_STOPPED, "status 404"),
        ("start", Reply(403, {"message": "no"}), Reason.PROBER_FORBIDDEN, "no"),
        ("json", Reply(404, None), Reason.SERVICE_STOPPED, "there is no container mail at /run/engine.sock"),
        ("json", Reply(500, {"message": "broken"}), Reason.PROBE_INTERNAL, "broken"),
        ("json", Reply(200, ["no object"]), Reason.PROBE_INTERNAL, "says nothing of container mail"),
    ],
)
def test_a_start_that_is_refused_says_why(verb: str, reply: Reply, reason: Reason, words: str) -> None:
    """What the engine refuses is said in its words; a container that is not there is never made."""

    async def test(house: House) -> None:
        house.engine.refusals[verb] = reply
        verdict = await refused(house.start())
        assert verdict.reason is reason
        assert words in verdict.evidence

    in_house(test)


@pytest.mark.parametrize(("code", "reason"), [(1, Reason.PROCESS_GONE), (0, Reason.SERVICE_STOPPED)])
def test_a_container_that_ends_at_once_fails_its_start(code: int, reason: Reason) -> None:
    """S4: a start counts when the container runs after it; nobody else stopped what ended at once."""

    async def test(house: House) -> None:
        verdict = await refused(house.start())
        assert verdict.reason is reason
        assert f"exit status {code}" in verdict.evidence
        await house.pass_time()
        assert house.told == []

    in_house(test, SimContainer(NAME, dies_at_once=code))


def test_a_stop_of_what_is_not_there_succeeds() -> None:
    """Rule 2 of the contract: a container that is not there does not run."""

    async def test(house: House) -> None:
        await house.controller.stop(house.service(container="nobody"))
        await house.controller.terminate(house.service(container="nobody"))
        assert house.engine.asked == []

    in_house(test)


@pytest.mark.parametrize(
    ("verb", "stop_timeout_s", "expected_s"),
    [("stop", 10, 10), ("stop", 0.5, 1), ("terminate", 10, TERMINATE_GRACE_S), ("terminate", 1, 1)],
)
def test_what_does_not_stop_is_killed_by_the_engine(verb: str, stop_timeout_s: float, expected_s: float) -> None:
    """S68: SIGKILL follows after `stop_timeout_s` (the engines know whole seconds), in a terminate sooner."""

    async def test(house: House) -> None:
        await house.start()
        await getattr(house.controller, verb)(house.service(stop_timeout_s=stop_timeout_s))
        assert house.clock.now() == pytest.approx(expected_s, abs=0.1)
        await house.pass_time()
        assert (house.container.exit_code, house.told) == (137, [])

    in_house(test, SimContainer(NAME, ignores_term=True))


@pytest.mark.parametrize("verb", ["stop", "terminate"])
def test_a_paused_container_is_resumed_to_be_stopped(verb: str) -> None:
    """S68: a container held by `pause` hears no signal and would refuse to stop."""

    async def test(house: House) -> None:
        await house.start()
        house.container.status = "paused"
        await getattr(house.controller, verb)(house.service())
        assert house.container.status == "exited"

    in_house(test)


def test_a_paused_container_is_resumed_by_a_start() -> None:
    """A start makes a paused container go on."""

    async def test(house: House) -> None:
        await house.start()
        house.container.status = "paused"
        await house.start(2)
        assert house.container.status == "running"

    in_house(test)


def test_a_stop_that_is_refused_says_why() -> None:
    """S4: a stop that does not succeed is an error, and the container is followed on."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.refusals["stop"] = Reply(500, {"message": "it hangs in the kernel"})
        verdict = await refused(house.stop())
        assert verdict == Verdict(Reason.PENDING_TIMEOUT, "cannot stop container mail: it hangs in the kernel")
        house.engine.end(NAME, 1)
        await house.pass_time()
        assert len(house.told) == 1

    in_house(test)


def test_a_kill_is_immediate_and_silent() -> None:
    """S56: kill has the engine send SIGKILL; that was asked for, so it is not told, but the next end is."""

    async def test(house: House) -> None:
        house.controller.kill(ID)  # nobody is there
        await house.start()
        house.controller.kill(ID)
        await house.pass_time()
        assert (house.container.exit_code, house.told) == (137, [])
        house.controller.kill(ID)  # it is gone already
        await house.pass_time()
        await house.start(2)
        house.engine.end(NAME, 1)
        await house.pass_time()
        assert len(house.told) == 1

    in_house(test, SimContainer(NAME, ignores_term=True))


def test_a_kill_that_cannot_be_said_is_given_up() -> None:
    """S51: a kill on an engine that is gone or hangs ends by itself."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.silent = True
        house.controller.kill(ID)
        await house.pass_time(20)
        house.engine.silent, house.engine.unreachable = False, True
        house.engine.break_off()
        await house.pass_time(20)
        house.controller.kill(ID)
        await house.pass_time(20)
        assert house.container.runs

    in_house(test)


def test_a_stop_that_was_given_up_leaves_the_container_followed() -> None:
    """S4: the end of a container after a cancelled stop is news."""

    async def test(house: House) -> None:
        await house.start()
        stop = spawn(house.stop())
        await house.pass_time(1)
        stop.cancel()
        await house.pass_time(1)
        house.engine.end(NAME, 1)
        await house.pass_time(1)
        assert len(house.told) == 1

    in_house(test, SimContainer(NAME, ignores_term=True))


def test_a_container_created_anew_is_followed_in_the_place_of_the_old() -> None:
    """A name that stands for another container now is followed as that one."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.containers[NAME] = SimContainer(NAME, id="decaf")
        await house.start(2)
        house.engine.emit(SimContainer(NAME), "die", exitCode="1")
        await house.pass_time()
        assert house.told == []
        house.engine.end(NAME, 1)
        await house.pass_time()
        assert len(house.told) == 1

    in_house(test)


def test_one_connection_is_shared_and_closed_with_the_last() -> None:
    """S49: made at the first use, shared by all containers of an engine, closed when the last is stopped."""

    async def test(house: House) -> None:
        assert house.engine.connections == []
        other = house.service(OTHER, "web")
        await asyncio.gather(house.start(), house.controller.start(other, Incarnation(1)))
        await house.stop()
        assert (house.engine.open_connections, len(house.engine.connections)) == (1, 1)
        await house.controller.stop(other)
        await house.pass_time(0.01)
        assert (house.engine.open_connections, len(house.engine.connections)) == (0, 1)

    in_house(test, SimContainer(NAME), SimContainer("web", id="beef"))


def test_a_start_that_fails_half_way_gives_the_connection_back() -> None:
    """S49: nobody holds a connection for a container that is not there."""

    async def test(house: House) -> None:
        await refused(house.controller.start(house.service(container="nobody"), Incarnation(1)))
        await house.pass_time(0.01)
        assert (house.engine.open_connections, len(house.engine.connections)) == (0, 1)

    in_house(test)


def test_an_end_missed_while_the_stream_was_lost_is_told_late() -> None:
    """What ended while nobody could tell us is told when the stream is back; what still runs is not."""

    async def test(house: House) -> None:
        await house.start()
        await house.controller.start(house.service(OTHER, "web"), Incarnation(5))
        house.engine.unreachable = True
        house.engine.break_off()
        house.engine.end(NAME, 9)
        await house.pass_time(30)
        assert house.told == []
        house.engine.unreachable = False
        await house.pass_time(PAUSE_MAX_S)
        assert [(id, verdict.evidence) for id, _, verdict in house.told] == [
            (ID, f"container {NAME} ended with exit status 9")
        ]

    in_house(test, SimContainer(NAME), SimContainer("web", id="beef"))


def test_a_container_removed_while_the_stream_was_lost_is_told_as_gone() -> None:
    """A followed container that is not there any more has ended, and not by us."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.break_off()
        del house.engine.containers[NAME]
        await house.pass_time(1)
        assert [verdict.reason for verdict in house.verdicts] == [Reason.EXTERNAL_STOP]

    in_house(test)


def test_a_lost_engine_is_not_hammered() -> None:
    """The pauses between attempts grow up to a bound; an operation does not wait for them."""

    async def test(house: House) -> None:
        await house.start()
        house.engine.unreachable = True
        house.engine.break_off()
        await house.pass_time(100)
        attempts = house.engine.attempts
        assert attempts[-1] - attempts[-2] == pytest.approx(PAUSE_MAX_S)
        assert 10 < len(attempts) < 20
        begun = house.clock.now()
        verdict = await refused(house.stop())
        assert house.clock.now() - begun < 0.1
        assert verdict.outcome is Outcome.UNKNOWN
        assert "Connection refused" in verdict.evidence

    in_house(test)


def test_an_engine_that_hangs_blocks_nobody() -> None:
    """S51: a look at a hung engine is given up in its own time, and the loop goes on."""

    async def test(house: House) -> None:
        house.engine.silent = True
        verdict = await refused(house.start())
        assert verdict.outcome is Outcome.UNKNOWN
        assert house.clock.now() == pytest.approx(LOOK_WITHIN_S, abs=0.1)
        assert LOOK_WITHIN_S <= UP_WITHIN_S

    in_house(test)


def test_release_forgets_and_touches_nothing() -> None:
    """At our end every container stays as it is, and nothing is told of it any more."""

    async def test(house: House) -> None:
        await house.start()
        house.controller.release()
        await house.pass_time()
        house.engine.end(NAME, 1)
        await house.pass_time()
        assert (house.told, house.controller.pid(ID)) == ([], None)
        assert house.engine.asked == [f"start {NAME}"]

    in_house(test)


@pytest.mark.parametrize("there", [(), SOCKETS[1:], SOCKETS])
def test_the_usual_sockets_are_looked_for(there: tuple[str, ...]) -> None:
    """Without a socket in the store the first of the usual ones is used; without any, the error names them."""

    async def test(house: House) -> None:
        for socket in there:
            house.disk.put(socket, "a socket")
        start = house.controller.start(ServiceSpec(ID, {"container": NAME}), Incarnation(1))
        if there:
            await start
            assert list(house.controller._engines) == [there[0]]
        else:
            verdict = await refused(start)
            assert verdict.outcome is Outcome.UNKNOWN
            assert all(socket in verdict.evidence for socket in SOCKETS)

    in_house(test)


def test_a_usual_socket_that_we_may_not_look_at_is_passed_over() -> None:
    """A folder that is closed to us ends no search."""

    async def test(house: House) -> None:
        closed = _Closed()
        closed.put(SOCKETS[1], "a socket")
        house.controller._files = closed
        await house.controller.start(ServiceSpec(ID, {"container": NAME}), Incarnation(1))
        assert list(house.controller._engines) == [SOCKETS[1]]

    in_house(test)


class _Closed(MemoryFiles):
    """Files of which the first usual socket's folder may not be entered."""

    def stamp(self, path: str) -> FileStamp | None:
        """Refuse there."""
        if path == SOCKETS[0]:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return super().stamp(path)


def test_every_parameter_is_read() -> None:
    """Each key arrives where it belongs; only the container is needed."""
    assert container_parameters({"container": "mail"}) == ContainerParameters("mail", None, 10.0)
    every = {"container": "a.b-c_D", "socket": "/run/x.sock", "stop_timeout_s": 3}
    assert container_parameters(every) == ContainerParameters("a.b-c_D", "/run/x.sock", 3.0)


@pytest.mark.parametrize(
    ("parameters", "key", "words"),
    [
        ({}, "container", "is missing"),
        ({"container": 1}, "container", "must be a text"),
        ({"container": "../images/x"}, "container", "cannot be the name"),
        ({"container": "-x"}, "container", "cannot be the name"),
        ({"container": "x" * 256}, "container", "cannot be the name"),
        ({"container": "x", "socket": "podman.sock"}, "socket", "absolute path"),
        ({"container": "x", "socket": "unix:///run/x"}, "socket", 'write it as "/run/x"'),
        ({"container": "x", "socket": "/" + "x" * 107}, "socket", "longer than 107 bytes"),
        ({"container": "x", "socket": 5}, "socket", "absolute path"),
        ({"container": "x", "stop_timeout_s": -1}, "stop_timeout_s", "not between"),
        ({"container": "x", "sockets": "/x"}, "sockets", 'did you mean "socket"?'),
        ({"container": "x", "image": "alpine"}, "image", 'unknown key "image"'),
    ],
)
def test_each_mistake_is_named(parameters: dict[str, object], key: str, words: str) -> None:
    """S10: one mistake gives one problem that says what is wrong and what would mend it."""
    problems = CONTROLLER_KINDS["container"].problems(parameters)
    assert [(problem.key, words in f"{problem.message} {problem.hint}") for problem in problems] == [(key, True)]


def test_wrong_parameters_fail_an_operation_in_words() -> None:
    """What the store's checker would have refused is refused here, too, as ours."""

    async def test(house: House) -> None:
        verdict = await refused(house.controller.start(ServiceSpec(ID, {}), Incarnation(1)))
        assert verdict == Verdict(Reason.PROBE_INTERNAL, "container: is missing")

    in_house(test)
