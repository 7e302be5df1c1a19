"""The process controller over real processes: what only the operating system can show."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import pytest

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.output import OUTPUT_BYTES_MAX
from probe.controllers.process import ProcessController
from probe.controllers.records import Records, record_of
from probe.environment.files import RealFiles
from probe.environment.processes import RealProcesses
from probe.environment.stat import members_of, read_stat
from probe.values import Incarnation, Reason, Verdict
from tests.controllers.real import ID, real_controller
from tests.environment.until import until

FOREVER = "while :; do sleep 60; done"
STUBBORN = f"trap '' TERM; ({FOREVER}) & echo ready; {FOREVER}"


class Bench:
    """A controller with a state folder of its own and what it told."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.told: list[tuple[Incarnation, Verdict]] = []
        self.controller: ProcessController = real_controller(str(folder), self.told)
        self.sessions: list[int] = []

    def service(self, script: str, **parameters: object) -> ServiceSpec:
        """Name a service that runs a shell script."""
        return ServiceSpec(ID, {"command": ["/bin/sh", "-c", script], **parameters})

    async def start(self, script: str, incarnation: int = 1, **parameters: object) -> int:
        """Start it and return its pid."""
        await self.controller.start(self.service(script, **parameters), Incarnation(incarnation))
        pid = self.controller.pid(ID)
        assert pid is not None
        self.sessions.append(pid)
        return pid

    @property
    def output(self) -> str:
        """What the service has written."""
        path = self.folder / "output" / "evs1" / "store.log"
        return path.read_text() if path.exists() else ""

    @property
    def recorded(self) -> bool:
        """Whether there is a record."""
        return (self.folder / "processes" / "evs1" / "store.json").exists()

    def left(self) -> list[int]:
        """List who is alive of the sessions that were started."""
        return [member.pid for session in self.sessions for member in members_of(session) if member.alive]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A bench; what a test leaves running is killed."""
    bench = Bench(tmp_path)
    yield bench
    bench.controller.kill(ID)
    await until(lambda: not bench.left(), "everything to be gone")
    bench.controller.release()


async def test_a_stubborn_service_and_its_children_are_killed(bench: Bench) -> None:
    """TERM is ignored by the whole group: KILL follows after `kill_after_s` and takes the children with it."""
    pid = await bench.start(STUBBORN)
    await until(lambda: "ready" in bench.output, "the trap to be set")
    begun = monotonic()
    await bench.controller.stop(bench.service(STUBBORN, kill_after_s=0.3))
    assert 0.3 <= monotonic() - begun < 5
    assert (bench.left(), read_stat(pid), bench.recorded, bench.told) == ([], None, False, [])


async def test_an_obedient_service_is_stopped_by_term(bench: Bench) -> None:
    """A service that handles TERM ends on its own terms and nothing of it is left, no zombie either."""
    script = f"trap 'echo bye; exit 0' TERM; echo ready; {FOREVER.replace('sleep 60', 'sleep 0.01')}"
    pid = await bench.start(script)
    await until(lambda: "ready" in bench.output, "the trap to be set")
    await bench.controller.stop(bench.service(script))
    assert bench.output.split()[-1] == "bye"
    assert (bench.left(), read_stat(pid), bench.told) == ([], None, [])


@pytest.mark.parametrize("verb", ["stop", "terminate"])
async def test_a_stopped_process_is_ended(bench: Bench, verb: str) -> None:
    """S68: SIGSTOP does not keep a service from being ended, and TERM is enough for it."""
    script = "exec sleep 60"
    pid = await bench.start(script)
    os.killpg(pid, signal.SIGSTOP)
    await until(lambda: (stat := read_stat(pid)) and stat.state == "T", "it to be stopped")
    begun = monotonic()
    await getattr(bench.controller, verb)(bench.service(script, kill_after_s=60))
    assert monotonic() - begun < 1.9  # no KILL was waited for
    assert (bench.left(), bench.told) == ([], [])


async def test_an_exit_is_told_at_once(bench: Bench) -> None:
    """S6: kill -9 by somebody else is an event, not something to be polled for."""
    pid = await bench.start("exec sleep 60", incarnation=2)
    os.kill(pid, signal.SIGKILL)
    await until(lambda: bench.told, "the exit to be told", within_s=1)
    assert bench.told == [(2, Verdict(Reason.PROCESS_GONE, "killed by SIGKILL"))]
    assert not bench.recorded


async def test_workers_of_a_killed_leader_do_not_stay(bench: Bench) -> None:
    """A killed main process leaves workers that serve on: the next start first ends them."""
    script = f"({STUBBORN}) & wait"
    pid = await bench.start(script, kill_after_s=0.2)
    await until(lambda: "ready" in bench.output, "the worker")
    os.kill(pid, signal.SIGKILL)
    await until(lambda: bench.told, "the exit to be told", within_s=1)
    assert bench.left()
    again = await bench.start("exec sleep 60", incarnation=2, kill_after_s=0.2)
    assert bench.left() == [again]


@pytest.mark.parametrize(
    ("parameters", "evidence"),
    [
        ({"command": ["/nowhere/served"]}, "cannot start /nowhere/served: No such file or directory"),
        ({"command": ["/etc/passwd"]}, "cannot start /etc/passwd: Permission denied"),
        (
            {"command": ["/bin/true"], "directory": "/nowhere"},
            "cannot start /bin/true: No such file or directory (/nowhere)",
        ),
    ],
)
async def test_a_start_that_fails_says_why(bench: Bench, parameters: dict[str, object], evidence: str) -> None:
    """What the operating system refuses is told in its words, with the file that it is about."""
    with pytest.raises(ControllerError) as caught:
        await bench.controller.start(ServiceSpec(ID, parameters), Incarnation(1))
    assert caught.value.verdict == Verdict(Reason.PROCESS_GONE, evidence)
    assert not bench.recorded


async def test_a_chatty_service_does_not_fill_the_disk(bench: Bench) -> None:
    """The output file is cut down while its service writes on, and one older part is kept."""
    line = "x" * 1023
    script = f"i=0; while [ $i -lt 1500 ]; do echo {line}; i=$((i+1)); done; echo written; {FOREVER}"
    await bench.start(script)
    older = bench.folder / "output" / "evs1" / "store.log.1"
    await until(older.exists, "the older part")
    assert older.stat().st_size == OUTPUT_BYTES_MAX
    await until(lambda: len(bench.output) < OUTPUT_BYTES_MAX, "the file to be small")


def start_and_die(state_dir: Path, command: list[str]) -> int:
    """Have another run of ours start a service and kill that run with -9; return the service's pid."""
    starter = [sys.executable, "-m", "tests.controllers.starter", str(state_dir), *command]
    with subprocess.Popen(starter, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        pid = int(first.stdout.readline())
        first.kill()
    return pid


async def test_a_service_outlives_our_kill_and_is_adopted(bench: Bench) -> None:
    """After kill -9 of the run that started it a service runs on and writes on; the next run adopts and stops it."""
    script = f"trap 'echo alive' USR1; echo ready; {FOREVER.replace('sleep 60', 'sleep 0.01')}"
    pid = start_and_die(bench.folder, ["/bin/sh", "-c", script])
    bench.sessions.append(pid)
    await until(lambda: "ready" in bench.output, "the service to run")
    assert bench.recorded
    assert await bench.start(script, incarnation=1) == pid
    os.kill(pid, signal.SIGUSR1)
    await until(lambda: "alive" in bench.output, "the service to write on")
    await bench.controller.stop(bench.service(script))
    assert (bench.left(), bench.recorded, bench.told) == ([], False, [])


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that has nothing to do with us."""
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as process:
        yield process
        process.kill()


async def test_a_pid_given_away_again_is_nobody_of_ours(bench: Bench, stranger: subprocess.Popen[bytes]) -> None:
    """S56: a record whose pid now belongs to another process neither adopts nor harms that one."""
    stat = read_stat(stranger.pid)
    assert stat is not None
    record = record_of(
        pid=stranger.pid,
        start_time=stat.start_time - 1,
        boot_id=RealProcesses().boot_id,
        command=["x"],
        incarnation=Incarnation(1),
    )
    Records(RealFiles(), f"{bench.folder}/processes").write(ID, record)
    service = bench.service(FOREVER)
    assert not bench.controller.adopt(service, Incarnation(1))
    await bench.controller.stop(service)
    bench.controller.kill(ID)
    assert stranger.poll() is None
    assert not bench.recorded
