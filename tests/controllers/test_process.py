"""The process controller in virtual time: what it does when, and what it tells."""

from __future__ import annotations

import asyncio
import errno
import json
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.controllers.contract import ControllerError
from probe.controllers.process import KILL_GRACE_S, TERMINATE_GRACE_S
from probe.controllers.records import digest_of
from probe.values import Incarnation, Outcome, Reason, ResourceId, Verdict
from tests.controllers.house import ID, OUTPUT, PROGRAM, RECORD, RECORD_FOLDER, House, in_background, in_house
from tests.sim.processes import SimProcess, SimProcesses
from tests.sim.programs import Recipe

STUBBORN = Recipe(ignores_term=True)
LOOK_S = 0.15  # a group's end is noticed within this time


def test_a_start_is_recorded_before_it_counts() -> None:
    """What identifies the process is on the disk when the start succeeds."""

    async def test(house: House) -> None:
        program = await house.start(incarnation=7)
        assert json.loads(house.machine.disk.files[RECORD].content) == {
            "pid": program.pid,
            "start_time": program.start_time,
            "boot_id": house.machine.boot_id,
            "command_sha256": digest_of([PROGRAM]),
            "service_sha256": "",
            "incarnation": 7,
            "schema_version": 1,
        }
        assert house.controller.pid(ID) == program.pid
        assert OUTPUT in house.machine.outputs
        await house.controller.stop(house.service())
        assert (house.alive, house.recorded, house.controller.pid(ID)) == ([], False, None)

    in_house(test)


def test_a_running_service_is_not_started_twice() -> None:
    """S57: a start of a running service succeeds at once; the incarnation told of from then on is the new one."""

    async def test(house: House) -> None:
        program = await house.start(incarnation=1)
        assert await house.start(incarnation=2) is program
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        assert house.told == [(2, Verdict(Reason.PROCESS_GONE, "killed by SIGKILL"))]

    in_house(test)


def test_an_exit_that_nobody_asked_for_is_told_once() -> None:
    """S4, S6: a service that ends by itself is `process_gone`, a definite failure, with how it ended."""

    async def test(house: House) -> None:
        await house.start(incarnation=3)
        assert house.told == []
        await house.pass_time(100)
        assert house.told == [(3, Verdict(Reason.PROCESS_GONE, "exit status 4"))]
        assert house.told[0][1].definite
        assert not house.recorded

    in_house(test, Recipe(crashes_after_s=50, crash_status=4))


def test_a_stop_is_gentle_and_silent() -> None:
    """S3: TERM is enough for a service that obeys; its end was asked for, so it is not told."""

    async def test(house: House) -> None:
        await house.start()
        await house.controller.stop(house.service())
        assert house.alive == []
        assert house.now < 1
        assert house.told == []
        assert not [note for note in house.machine.notes if note.endswith(f" {int(signal.SIGKILL)}")]
        await house.controller.stop(house.service())  # already stopped: fine

    in_house(test)


@pytest.mark.parametrize(
    ("verb", "kill_after_s", "expected_s"),
    [("stop", 10, 10), ("stop", 0.5, 0.5), ("stop", 0, 0), ("terminate", 10, TERMINATE_GRACE_S), ("terminate", 1, 1)],
)
def test_who_does_not_obey_is_killed(verb: str, kill_after_s: float, expected_s: float) -> None:
    """S56, S68: KILL follows TERM after `kill_after_s`, in a terminate after its own short grace at the latest."""

    async def test(house: House) -> None:
        await house.start()
        operation = getattr(house.controller, verb)
        await operation(house.service(kill_after_s=kill_after_s))
        assert expected_s <= house.now <= expected_s + LOOK_S
        assert (house.alive, house.told, house.recorded) == ([], [], False)

    in_house(test, STUBBORN)


@pytest.mark.parametrize("verb", ["stop", "terminate"])
def test_a_frozen_service_obeys_all_the_same(verb: str) -> None:
    """S68: a service held by SIGSTOP is continued so that it hears TERM, long before KILL."""

    async def test(house: House) -> None:
        program = await house.start()
        await house.pass_time(1)
        house.machine.kill(program.pid, signal.SIGSTOP)
        await getattr(house.controller, verb)(house.service())
        assert house.now < 2
        assert program.exit_text == "exit status 0"

    in_house(test)


def test_a_kill_is_immediate_and_silent() -> None:
    """S56: kill ends the group at once; that was asked for, so it is not told."""

    async def test(house: House) -> None:
        program = await house.start()
        house.controller.kill(ID)
        assert (house.alive, program.exit_text) == ([], "killed by SIGKILL")
        await house.pass_time(10)
        assert (house.told, house.recorded, house.controller.pid(ID)) == ([], False, None)
        house.controller.kill(ID)  # nobody is there: nothing

    in_house(test, Recipe(ignores_term=True, has_worker=True))


def test_a_kill_during_a_stop_lets_the_stop_return() -> None:
    """A stop that waits for a stubborn service returns as soon as that is killed."""

    async def test(house: House) -> None:
        await house.start()
        stop = in_background(house.controller.stop(house.service(kill_after_s=60)))
        await house.pass_time(3)
        house.controller.kill(ID)
        await stop
        assert house.now <= 3 + LOOK_S
        assert house.told == []

    in_house(test, STUBBORN)


def test_a_terminate_overtakes_a_stop() -> None:
    """S68: terminate is allowed while a stop runs; both return when the service is gone."""

    async def test(house: House) -> None:
        await house.start()
        stop = in_background(house.controller.stop(house.service(kill_after_s=60)))
        await house.pass_time(1)
        await house.controller.terminate(house.service(kill_after_s=60))
        await stop
        assert house.now <= 1 + TERMINATE_GRACE_S + 2 * LOOK_S
        assert (house.alive, house.told) == ([], [])

    in_house(test, STUBBORN)


def test_a_cancelled_stop_is_finished_by_the_next_start() -> None:
    """S55: a service once told to end is not taken for a running one: it is gone before the next is started."""

    async def test(house: House) -> None:
        first = await house.start(incarnation=1)
        stop = in_background(house.controller.stop(house.service(kill_after_s=60)))
        await house.pass_time(1)
        stop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stop
        assert first.running
        second = await house.start(incarnation=2, kill_after_s=5)
        assert second is not first
        assert not first.running
        assert house.now >= 6
        assert house.told == []

    in_house(test, STUBBORN)


def test_an_end_after_a_cancelled_stop_is_told() -> None:
    """S4: when the stop was given up, the later end of the service is news again."""

    async def test(house: House) -> None:
        await house.start()
        stop = in_background(house.controller.stop(house.service()))
        await house.pass_time(1)
        stop.cancel()
        await house.pass_time(10)
        assert [verdict.evidence for _, verdict in house.told] == ["exit status 0"]
        assert not house.recorded

    in_house(test, Recipe(stop_delay_s=5))


def test_what_a_killed_leader_leaves_is_ended() -> None:
    """The end of the leader is told at once; its workers, which still hold the port, get TERM and then KILL."""

    async def test(house: House) -> None:
        program = await house.start(kill_after_s=4)
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        assert [verdict.evidence for _, verdict in house.told] == ["killed by SIGKILL"]
        assert program.worker_running
        assert house.controller.pid(ID) is None
        await house.pass_time(4)
        assert (house.alive, house.recorded, len(house.told)) == ([], False, 1)

    in_house(test, Recipe(ignores_term=True, has_worker=True))


def test_workers_that_obey_end_without_a_kill() -> None:
    """What a leader leaves is told to end at once, gently."""

    async def test(house: House) -> None:
        program = await house.start(kill_after_s=60)
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        assert house.alive == []

    in_house(test, Recipe(has_worker=True))


def test_a_start_waits_for_what_the_last_leader_left() -> None:
    """A restart does not collide with workers of the service before it."""

    async def test(house: House) -> None:
        first = await house.start(kill_after_s=4)
        house.machine.kill(first.pid, signal.SIGKILL)
        await house.pass_time(0.5)
        second = await house.start(incarnation=2, kill_after_s=4)
        assert not first.group_running
        assert second.running
        assert 4 <= house.now <= 5

    in_house(test, Recipe(ignores_term=True, has_worker=True))


def test_a_program_that_is_not_there_fails_the_start() -> None:
    """A spawn that fails is an error in words, and nothing is recorded."""

    async def test(house: House) -> None:
        del house.machine.recipes[PROGRAM]
        with pytest.raises(ControllerError) as caught:
            await house.start()
        assert caught.value.verdict == Verdict(
            Reason.PROCESS_GONE, f"cannot start {PROGRAM}: No such file or directory"
        )
        assert not house.recorded

    in_house(test)


def test_a_service_that_cannot_be_recorded_does_not_run() -> None:
    """A disk that takes no record fails the start and ends the process: it could be lost and then started twice."""

    async def test(house: House) -> None:
        house.machine.disk.read_only.add(RECORD_FOLDER)
        with pytest.raises(ControllerError, match="cannot record process 1000 of evs1/smtp: Read-only file system"):
            await house.start()
        await house.pass_time(2)
        assert (house.alive, house.told) == ([], [])
        house.machine.disk.read_only.clear()
        assert (await house.start()).running

    in_house(test)


def test_want_of_descriptors_is_our_fault() -> None:
    """EMFILE while looking for a running service is `prober_descriptors`: unknown, never the service's failure."""

    async def test(house: House) -> None:
        house.run.files.read = _refuse_to_read  # type: ignore[method-assign] # this run's files have no descriptor left
        with pytest.raises(ControllerError) as caught:
            await house.start()
        assert caught.value.verdict.reason is Reason.PROBER_DESCRIPTORS
        assert caught.value.verdict.outcome is Outcome.UNKNOWN
        assert house.alive == []

    in_house(test)


def _refuse_to_read(path: str, bytes_max: int) -> bytes:
    raise OSError(errno.EMFILE, "Too many open files", path)


def test_a_service_survives_our_death_and_is_adopted() -> None:
    """After kill -9 of us the service runs on; the next run's start finds it, watches it and can stop it."""

    async def test(house: House) -> None:
        program = await house.start(incarnation=5)
        house.run.die()
        await house.pass_time(3)
        house.start_run()
        assert await house.start(incarnation=1) is program
        assert house.controller.pid(ID) == program.pid
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        assert house.told == [(1, Verdict(Reason.PROCESS_GONE, "gone"))]
        assert not house.recorded

    in_house(test)


@pytest.mark.parametrize("verb", ["stop", "terminate"])
def test_a_stop_finds_what_an_earlier_run_left(verb: str) -> None:
    """A service that shall be offline is ended even if this run never started it."""

    async def test(house: House) -> None:
        await house.start()
        house.run.die()
        house.start_run()
        assert house.controller.recorded() == [ID]
        await getattr(house.controller, verb)(house.service())
        assert (house.alive, house.recorded, house.controller.recorded()) == ([], False, [])

    in_house(test)


def test_what_was_left_under_another_name_is_found() -> None:
    """S36, S57: who started a shared service may be gone from the store; another who names it takes it over, once."""

    async def test(house: House) -> None:
        other = ResourceId("evs2", "smtp")
        mine, theirs = (replace(house.service(), id=id, service="process [served]") for id in (ID, other))
        await house.controller.start(theirs, Incarnation(1))
        assert not house.controller.adopt(mine, Incarnation(0)), "it is held under the other name"
        program = house.only
        house.run.die()
        house.start_run()
        assert not house.controller.adopt(replace(mine, service="another"), Incarnation(0))
        assert house.controller.adopt(mine, Incarnation(0))
        assert (house.controller.pid(ID), house.controller.recorded()) == (program.pid, [ID])
        assert not house.controller.adopt(theirs, Incarnation(0))
        await house.controller.stop(mine)
        assert (house.alive, house.controller.recorded()) == ([], [])

    in_house(test)


def test_adoption_says_whether_the_service_runs() -> None:
    """`adopt` takes over a running service and knows no other."""

    async def test(house: House) -> None:
        assert not house.controller.adopt(house.service(), Incarnation(1))
        program = await house.start()
        house.run.die()
        house.start_run()
        assert house.controller.adopt(house.service(), Incarnation(4))
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        assert [incarnation for incarnation, _ in house.told] == [4]

    in_house(test)


@pytest.mark.parametrize("what", ["reboot", "other boot", "other start time", "garbage"])
def test_a_record_that_no_longer_fits_is_removed(what: str) -> None:
    """S56: a record of another boot, of a pid given away again, or unreadable, adopts nobody."""

    async def test(house: House) -> None:
        program = await house.start()
        house.run.die()
        stranger = house.machine.programs[program.pid]
        if what == "reboot":
            content = house.machine.disk.files[RECORD].content
            house.machine.reboot()
            house.machine.disk.put(RECORD, content)  # however it got to the disk in time
        elif what == "other boot":
            text = house.machine.disk.text(RECORD)
            house.machine.disk.put(RECORD, text.replace(house.machine.boot_id, "another"))
        elif what == "other start time":
            stranger.start_time += 1
        else:
            house.machine.disk.put(RECORD, b"{")
        house.start_run()
        assert not house.controller.adopt(house.service(), Incarnation(1))
        assert not house.recorded
        await house.controller.start(house.service(), Incarnation(1))
        assert house.controller.pid(ID) != program.pid
        if what != "reboot":
            await house.controller.stop(house.service())
            assert stranger.running

    in_house(test)


def test_release_leaves_everything_running() -> None:
    """With `release` the service and its record stay for the next run, and nothing more is told."""

    async def test(house: House) -> None:
        program = await house.start()
        house.controller.release()
        assert (house.alive, house.recorded) == ([program], True)
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(60)
        assert house.told == []

    in_house(test)


def test_release_ends_what_was_going_on() -> None:
    """A kill that was due for what a dead leader left does not happen any more."""

    async def test(house: House) -> None:
        program = await house.start(kill_after_s=4)
        house.machine.kill(program.pid, signal.SIGKILL)
        await house.pass_time(1)
        house.controller.release()
        await house.pass_time(60)
        assert house.alive == [program]

    in_house(test, Recipe(ignores_term=True, has_worker=True))


class _Deaf(SimProcess):
    def signal_group(self, number: int) -> None:
        """Hang in the kernel: no signal arrives."""


class _DeafProcesses(SimProcesses):
    def spawn(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None, directory: str | None, output: str | None
    ) -> SimProcess:
        """Start a program that cannot be killed."""
        return _Deaf(self, self.machine.start_program(tuple(argv)), child=True)


def test_a_process_that_cannot_be_killed_fails_the_stop() -> None:
    """S4, S52: the stop says so instead of waiting for ever, and the service is not started beside it."""

    async def test(house: House) -> None:
        house.controller._processes = _DeafProcesses(house.machine, house.run.processes.loop)
        await house.start()
        for operation in (house.controller.stop(house.service()), house.start()):
            with pytest.raises(ControllerError) as caught:
                await operation
            assert caught.value.verdict.reason is Reason.PENDING_TIMEOUT
            assert "still there after SIGKILL" in caught.value.verdict.evidence
        assert house.now <= 2 * (10 + KILL_GRACE_S + LOOK_S)
        assert len(house.alive) == 1

    in_house(test)


OPERATIONS = ("start", "stop", "terminate", "kill", "crash", "kill leader", "wait", "cancel", "die")


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(st.sampled_from(OPERATIONS), max_size=12),
    ignores_term=st.booleans(),
    has_worker=st.booleans(),
)
def test_there_is_never_more_than_one(steps: list[str], ignores_term: bool, has_worker: bool) -> None:
    """S55: whatever is asked in whatever order, one service at most runs, and in the end a stop leaves nothing."""

    async def test(house: House) -> None:
        incarnation = 0
        for step in steps:
            if step == "start":
                incarnation += 1
                await house.start(incarnation=incarnation)
            elif step in ("stop", "terminate"):
                await getattr(house.controller, step)(house.service())
            elif step == "cancel":
                worker = in_background(house.controller.stop(house.service()))
                await house.pass_time(1)
                worker.cancel()
            elif step == "kill":
                house.controller.kill(ID)
            elif step == "die":
                if all(program.running for program in house.alive):  # a leaderless group is adopted by nobody
                    house.run.die()
                    house.start_run()
                    house.controller.adopt(house.service(), Incarnation(incarnation))
            elif step == "wait":
                await house.pass_time(20)
            else:
                for program in house.alive:
                    house.machine.kill(program.pid, signal.SIGKILL, group=step == "crash")
                await house.pass_time(0.001)
            assert len(house.alive) <= 1
        await house.controller.stop(house.service())
        assert (house.alive, house.recorded) == ([], False)

    in_house(test, Recipe(ignores_term=ignores_term, has_worker=has_worker))
