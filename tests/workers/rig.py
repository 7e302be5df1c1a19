"""Workers without processes: real probers on a simulated machine, over pipes that can clog, with deaths at will."""

from __future__ import annotations

import errno
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from probe.environment import Environment
from probe.environment.channel import Worker
from probe.metrics import Metrics
from probe.monitor.cache import Reading
from probe.monitor.plan import ProbePlan
from probe.values import ResourceId
from probe.workers.prober import Prober
from probe.workers.sharded import EACH_MIN, ShardedMonitors
from tests.monitor.rig import FIRST, Hearing, live, plan_of, virtual_server
from tests.sim.environment import Run, make_environment, start_run
from tests.sim.loop import VirtualLoop, current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.servers import Server

MANY = 2 * EACH_MIN  # enough for both of two workers
PIECE_BYTES = 1000  # so that frames come in pieces


class PipeEnd:
    """`Channel` to the other end, which hears in later passes of the loop; `clogged` it takes nothing."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._out = bytearray()
        self._opened = False
        self.other = self
        self.clogged = False
        self.closed = False
        self.sent = 0  # bytes

    @property
    def waiting(self) -> int:
        """Bytes that the other end has not taken."""
        return len(self._out)

    def open(self, on_bytes: Callable[[bytes], None], on_end: Callable[[], None], on_room: Callable[[], None]) -> None:
        """Begin to receive."""
        self._on_bytes, self._on_end, self._on_room = on_bytes, on_end, on_room
        self._opened = True
        self.other.carry()

    def send(self, data: bytes) -> None:
        """Send with a later pass."""
        if not self.closed and not self.other.closed:
            self._out += data
            self.sent += len(data)
            self._loop.call_soon(self.carry)

    def close(self) -> None:
        """Close; the other end hears of it."""
        if not self.closed:
            self.closed = True
            self._out.clear()
            self._loop.call_soon(self.other.hear_end)

    def unclog(self) -> None:
        """Take everything again."""
        self.clogged = False
        self.other.carry()

    def carry(self) -> None:
        """Bring what was sent to the other end, piece by piece."""
        other = self.other
        while self._out and other._opened and not (other.clogged or other.closed or self.closed):
            piece = bytes(self._out[:PIECE_BYTES])
            del self._out[:PIECE_BYTES]
            other._on_bytes(piece)
        if self._opened and not self._out and not self.closed:
            self._on_room()

    def hear_end(self) -> None:
        """Be told that the other end is closed."""
        if self._opened and not self.closed:
            self._on_end()


def pipe() -> tuple[PipeEnd, PipeEnd]:
    """Make both ends of a pipe."""
    one, other = PipeEnd(current_loop()), PipeEnd(current_loop())
    one.other, other.other = other, one
    return one, other


class Crew:
    """One worker's process: a prober of its own on the machine."""

    def __init__(self, run: Run, pid: int, max_in_flight: int) -> None:
        self.pid = pid
        self.start_time = 0
        self.exit_text = ""
        self.obeys = True  # its channel's end
        self.ours, self.theirs = pipe()
        self.prober: Prober | None = None
        self._run = run
        self._max_in_flight = max_in_flight
        self._loop = current_loop()
        self._calls: list[Callable[[], None]] = []
        self._life = self._loop.create_task(self._live())

    async def _live(self) -> None:
        prober = self.prober = Prober(
            self._run.environment, self.theirs, self._loop.create_task, max_in_flight=self._max_in_flight
        )
        await prober.ended.wait()
        if self.obeys:
            await prober.close()
            self._end("exit status 1" if prober.garbage else "exit status 0")

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return not self.exit_text

    @property
    def group_running(self) -> bool:
        """The same: it has no children."""
        return self.running

    def on_exit(self, call: Callable[[], None]) -> None:
        """Call once when it has ended."""
        if self.running:
            self._calls.append(call)
        else:
            call()

    def signal_group(self, number: int) -> None:
        """Die of SIGKILL; nothing else is ever sent to it."""
        assert number == signal.SIGKILL
        if self.running:
            self._run.die()
            self._loop.create_task(self._die())

    def release(self) -> None:
        """Be forgotten."""

    def freeze(self) -> None:
        """Be stopped: it hears nothing and says nothing."""
        self.obeys = False
        self.theirs.clogged = self.ours.clogged = True

    async def _die(self) -> None:
        self.theirs.close()
        if self.prober is not None:
            await self.prober.close()
        if not self._life.done():
            self._life.cancel()
        self._end("killed by SIGKILL")

    def _end(self, text: str) -> None:
        if self.running:
            self.exit_text = text
            for call in self._calls:
                call()


class WorkersRig(Hearing):
    """Workers on a simulated machine, and what the monitors in front of them said."""

    monitors: ShardedMonitors

    def __init__(self, environment: Environment, machine: Machine, workers: int) -> None:
        super().__init__(environment, machine)
        self.metrics = Metrics()
        self.crews: list[Crew] = []
        self.refuse_starts = 0
        self.refusal: Exception = OSError(errno.EMFILE, "Too many open files")
        self.monitors = ShardedMonitors(
            environment,
            self.loop.create_task,
            self.take,
            self.metrics,
            max_in_flight=100,
            workers=workers,
            start=self._start,
        )

    def _start(self) -> Worker:
        if self.refuse_starts:
            self.refuse_starts -= 1
            raise self.refusal
        crew = Crew(start_run(self.machine), 100 + len(self.crews), 100)
        self.crews.append(crew)
        return Worker(crew, crew.ours)

    def plan(self, name: str, *bindings: str, **properties: Any) -> ProbePlan:
        """Plan the probes of `default/NAME`, and have it counted."""
        plan = plan_of(self.environment, virtual_server(*bindings, **properties), name)
        self.metrics.declare(plan.id)
        return plan

    def reading(self, name: str) -> Reading:
        """Return the reading of `default/NAME`, which there must be."""
        reading = self.monitors.reading(ResourceId("default", name))
        assert reading is not None
        return reading

    def attempts(self, name: str) -> int:
        """Return how often `default/NAME` was asked, as it is scraped."""
        return self.metrics.resources[ResourceId("default", name)].attempts

    @property
    def edges(self) -> list[tuple[str, bool, str]]:
        """The posted edges in short."""
        return [(event.id.name, event.alive, event.verdict.reason.value) for event in self.posted]


def simulate(body: Callable[[WorkersRig], Awaitable[None]], *, workers: int = 2, until_s: float = 3600.0) -> None:
    """Run a body in virtual time; afterwards no worker and no task may be left."""

    async def main() -> None:
        environment, machine = make_environment(seed=1)
        rig = WorkersRig(environment, machine, workers)
        await live(rig, body)
        assert not [crew for crew in rig.crews if crew.running]

    run_virtual(main(), until_s)


def serve(rig: WorkersRig, count: int, **properties: object) -> list[Server]:
    """Serve SMTP on so many ports and watch each as `sN`."""
    servers = []
    for number in range(count):
        servers.append(rig.machine.serve("smtp", ("127.0.0.1", 1000 + number)))
        rig.monitors.watch(rig.plan(f"s{number}", f"127.0.0.1:{1000 + number}", **properties), FIRST, True)
    return servers


def id_of(name: str) -> ResourceId:
    """Name a resource of these tests."""
    return ResourceId("default", name)


def on_worker(rig: WorkersRig, number: int) -> list[str]:
    """Name what the worker of that number watches by now."""
    prober = rig.crews[number].prober
    assert prober is not None
    return [watched.id.name for watched in prober._by_serial.values()]
