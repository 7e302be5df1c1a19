"""The supervisord controller against the real supervisord: what only that can show."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from time import monotonic

import pytest

from probe.controllers.contract import ServiceSpec
from probe.controllers.supervisord import TERMINATE_GRACE_S, SupervisordController
from probe.values import Incarnation, Reason, ResourceId
from tests.controllers.actual import Actual
from tests.controllers.surroundings import refusal_of
from tests.e2e.conftest import open_folder
from tests.e2e.ports import free_port
from tests.e2e.servers.supervisord import Supervisord
from tests.environment.until import until

PROGRAMS = {
    "steady": ["/bin/sleep", "1000"],
    "other": ["/bin/sleep", "1000"],
    "stubborn": ["/bin/sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"],
    "hasty": ["/bin/sh", "-c", "exit 3"],
    "absent": ["/nowhere/x"],
}
STEADY = ResourceId("evs1", "steady")
STOPWAIT_S = 10.0  # supervisord's default


@pytest.fixture(scope="module")
def server() -> Iterator[Supervisord]:
    """A supervisord with programs of all kinds, on a socket and a port."""
    for folder in open_folder():
        with Supervisord(
            folder / "supervisord", PROGRAMS, port=free_port(), options={"hasty": "startsecs=1"}
        ) as server:
            yield server


class Bench(Actual):
    """A controller and the supervisord that it speaks to."""

    def __init__(self, server: Supervisord) -> None:
        super().__init__()
        self.server = server
        self.controller = SupervisordController(self.environment, self.tell, self.spawn)

    def service(self, name: str = "steady", **place: object) -> ServiceSpec:
        """Name the service of a program."""
        place = place or {"socket": str(self.server.socket)}
        return ServiceSpec(ResourceId("evs1", name), {"program": name, **place})

    async def start(self, name: str = "steady", **place: object) -> int:
        """Start a program and return its pid."""
        await self.controller.start(self.service(name, **place), Incarnation(1))
        return self.controller.pid(ResourceId("evs1", name)) or 0

    def state(self, name: str = "steady") -> str:
        """Return its state as supervisorctl shows it."""
        return self.server.control("status", name).split()[1]


@pytest.fixture
async def bench(server: Supervisord) -> AsyncIterator[Bench]:
    """A controller; every program is stopped afterwards."""
    bench = Bench(server)
    yield bench
    await bench.end(bench.controller)
    server.control("stop", "all")


async def test_start_go_on_and_stop(bench: Bench) -> None:
    """S3, S57: a start makes it run, another goes on with the same process; a stop ends it."""
    pid = await bench.start()
    os.kill(pid, 0)
    assert await bench.start() == pid
    assert bench.state() == "RUNNING"
    await bench.controller.stop(bench.service())
    assert bench.state() == "STOPPED"
    await bench.controller.stop(bench.service())
    await bench.controller.terminate(bench.service())
    assert bench.told == []


async def test_a_start_by_url(bench: Bench) -> None:
    """The same over TCP, and by the program's full name."""
    [port] = bench.server.ports
    place = {"url": f"http://127.0.0.1:{port}", "program": "other:other"}
    assert await bench.start("other", **place) > 0
    assert bench.state("other") == "RUNNING"


@pytest.mark.parametrize("how", ["kill", "stop", "restart"])
async def test_whoever_ends_a_program_is_told_apart(bench: Bench, how: str) -> None:
    """S4, S6: killed is process_gone, stopped by an administrator external_stop; restarted, it is another process."""
    pid = await bench.start()
    await bench.start("other")
    if how == "kill":
        os.kill(pid, signal.SIGKILL)
    else:
        bench.server.control(how, "steady")
    begun = monotonic()
    await until(lambda: bench.told, "the end to be told")
    assert monotonic() - begun < 2
    [(id, incarnation, verdict)] = bench.told
    assert (id, incarnation) == (STEADY, 1)
    assert verdict.reason is (Reason.EXTERNAL_STOP if how == "stop" else Reason.PROCESS_GONE), verdict


def ignores_term(pid: int) -> bool:
    """Whether the process has come so far that it ignores TERM."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigIgn:")]
    return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


async def test_a_stubborn_program_is_terminated(bench: Bench) -> None:
    """S68: it ignores TERM and is killed after the grace, sooner than its own stopwaitsecs would."""
    pid = await bench.start("stubborn")
    await until(lambda: ignores_term(pid), "the program to be stubborn", 5)
    begun = monotonic()
    await bench.controller.terminate(bench.service("stubborn"))
    assert TERMINATE_GRACE_S <= monotonic() - begun < STOPWAIT_S
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_kill_does_not_wait(bench: Bench) -> None:
    """S56: the process is gone at once, and nothing is told of what was asked for."""
    pid = await bench.start("stubborn")
    bench.controller.kill(ResourceId("evs1", "stubborn"))
    await until(lambda: bench.state("stubborn") == "STOPPED", "the program to be stopped", 2)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert bench.told == []


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("hasty", Reason.SERVICE_STOPPED, "could not start hasty:hasty: "),  # how far it got by then differs
        ("absent", Reason.SERVICE_STOPPED, "can't find command '/nowhere/x'"),
        ("unheard-of", Reason.PROBE_INTERNAL, "BAD_NAME"),
    ],
)
async def test_why_a_start_failed(bench: Bench, name: str, reason: Reason, words: str) -> None:
    """What supervisord knows of it is said; the failed program can be cleared."""
    verdict = await refusal_of(bench.controller.start(bench.service(name), Incarnation(1)))
    assert verdict.reason is reason
    assert words in verdict.evidence
    if name != "unheard-of":
        await bench.controller.terminate(bench.service(name))


async def test_a_supervisord_that_is_not_there(bench: Bench) -> None:
    """Nobody listens: the start fails with a sentence that names the socket."""
    verdict = await refusal_of(bench.controller.start(bench.service(socket="/nowhere.sock"), Incarnation(1)))
    assert verdict.reason is Reason.CONNECT_REFUSED
    assert verdict.evidence == "cannot reach supervisord at /nowhere.sock: No such file or directory"
