"""The ground to measure on: a very cheap server and the floor, a prober in C; both are built from a given folder."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.processes import descendants
from tests.e2e.servers.real import accepts
from tests.e2e.waiting import wait_until

SOURCES = ("bsrv.c", "cprobe.c")
COMPILE = ("-O2", "-pthread")
BUILD_S = 60.0
STARTS_WITHIN_S = 5.0
COUNTER_BYTES = 4096
TRACKED_MAX = 0.95  # of the kernel's table of connections
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class GroundError(Exception):
    """There is nothing to measure on; the message says what is missing and what to do."""


@dataclass(frozen=True)
class Ground:
    """The built programs."""

    server: Path
    floor: Path


def build(sources: Path, into: Path) -> Ground:
    """Compile server and floor into a folder. Raises GroundError."""
    missing = [name for name in SOURCES if not (sources / name).is_file()]
    if missing:
        raise GroundError(
            f"{sources} lacks {' and '.join(missing)}; name the folder that has them with --bench-src DIR"
        )
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise GroundError("no C compiler: install gcc")
    for name in SOURCES:
        command = [compiler, *COMPILE, "-o", str(into / name.removesuffix(".c")), str(sources / name)]
        built = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_S, check=False)
        if built.returncode:
            raise GroundError(f"{name} does not compile:\n{built.stderr}")
    return Ground(into / "bsrv", into / "cprobe")


class CheapServer:
    """`bsrv` on every address of 127.0.0.0/8, greeting as SMTP at one port, answering GET at another if wanted.

    It counts what it did itself, so that no contender is believed about its own probes.
    """

    def __init__(
        self,
        ground: Ground,
        folder: Path,
        port: int,
        core: int,
        http_port: int | None = None,
        more_ports: Sequence[int] = (),
    ) -> None:
        self.port = port
        self.ports = (port, *more_ports)
        self.http_port = http_port
        listeners = [f"smtp:{each}" for each in self.ports] + ([f"http:{http_port}"] if http_port else [])
        self._command = [str(ground.server), "-c", str(folder / "counters"), *listeners]
        self._counters = folder / "counters"
        self._core = core

    @property
    def accepted(self) -> int:
        """Connections accepted so far."""
        return self._counted()[0]

    @property
    def answered(self) -> int:
        """Greetings and pages sent so far: what a probe that came to its end got."""
        _, greetings, pages = self._counted()
        return greetings + pages

    def _counted(self) -> tuple[int, int, int]:
        with (
            self._counters.open("rb") as file,
            mmap.mmap(file.fileno(), COUNTER_BYTES, prot=mmap.PROT_READ) as counters,
        ):
            accepts_, greetings, pages = struct.unpack_from("3Q", counters)
            return accepts_, greetings, pages

    def __enter__(self) -> Self:
        with on_core(self._core):
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        ports = [*self.ports, *([self.http_port] if self.http_port else [])]
        wait_until(lambda: all(map(accepts, ports)), "the cheap server", STARTS_WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()


@dataclass(frozen=True)
class Window:
    """What was counted over one stretch of time."""

    probes: int
    seconds: float
    cpu_s: float

    @property
    def us_per_probe(self) -> float:
        """Return the CPU of a probe in µs."""
        return self.cpu_s * 1e6 / self.probes

    @property
    def rate(self) -> float:
        """Return the probes a second."""
        return self.probes / self.seconds

    @property
    def core_share(self) -> float:
        """Return the CPU as a share of one core."""
        return self.cpu_s / self.seconds


def watch(
    server: CheapServer, pids: list[int], seconds: float, meanwhile: Callable[[float], None] | None = None
) -> Window:
    """Let the time pass and say what the processes, with their children, cost. Raises GroundError without a probe.

    `meanwhile` is what passes the time, of which it gets so many seconds.
    """
    must_be_untracked()
    cpu, answered, begun = sum(map(cpu_s, pids)), server.answered, time.monotonic()
    (meanwhile or let_pass)(seconds)
    window = Window(server.answered - answered, time.monotonic() - begun, sum(map(cpu_s, pids)) - cpu)
    if not window.probes:
        raise GroundError(f"not one probe came in {seconds:g} s: the figures would mean nothing")
    must_be_untracked()
    return window


def floor_us_per_probe(ground: Ground, port: int, *, targets: int, period_s: float, seconds: float, core: int) -> float:
    """Run the floor at the same pace and return its CPU in µs a probe. Raises GroundError when a probe failed."""
    return floor(ground, port, targets=targets, period_s=period_s, seconds=seconds, core=core).us_per_probe


def floor(
    ground: Ground, port: int, *, targets: int, period_s: float, seconds: float, core: int, protocol: str = "smtp"
) -> Window:
    """Run the floor (`smtp`: the greeting, `http`: a GET) at the same pace. Raises GroundError when a probe failed."""
    command = [str(ground.floor), "-i", str(period_s), "-d", str(seconds), "-N", str(targets), "-p", str(port)]
    with on_core(core):
        done = subprocess.run(
            [*command, "-P", protocol], capture_output=True, text=True, timeout=seconds * 2 + 30, check=True
        )
    told = json.loads(done.stdout)
    if told["bad"]:
        raise GroundError(f"the floor itself failed {told['bad']} of {told['probes']} probes: the machine is too busy")
    return Window(told["probes"], told["wall"], told["us_per_probe"] * told["probes"] / 1e6)


def must_be_untracked() -> None:
    """Raise GroundError when the kernel's table of connections is full here: it drops packets that no prober lost."""
    count, room = (_tracked(name) for name in ("count", "max"))
    if count > room * TRACKED_MAX:
        raise GroundError(
            f"a packet filter tracks connections here and {count} of {room} are there: run as root, for a network of "
            "the benchmark's own (unshare of util-linux, ip of iproute2), or wait two minutes and ask for less"
        )


def _tracked(name: str) -> int:
    try:
        return int(Path(f"/proc/sys/net/netfilter/nf_conntrack_{name}").read_text())
    except FileNotFoundError:
        return 0


def target(number: int) -> str:
    """Return the address of the n-th target: the same ones that the floor asks."""
    return f"127.{1 + (number + 1 >> 16)}.{number + 1 >> 8 & 255}.{number + 1 & 255}"


@contextlib.contextmanager
def on_core(core: int) -> Iterator[None]:
    """Have what is started inside run on one core only; it keeps it afterwards, we do not."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and its children, also of threads and children that have ended.

    What runs is known to the nanosecond (the process' own CPU clock), what has ended and was reaped to a tick.
    """
    return sum(time.clock_gettime(_cpu_clock(one)) + _reaped_s(one) for one in (pid, *descendants(pid)))


def _cpu_clock(pid: int) -> int:
    """Name the clock of a process' CPU time as clock_getcpuclockid(3) does, which Python lacks."""
    return (~pid << 3) | 2


def _reaped_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) / TICKS_PER_S


def let_pass(seconds: float) -> None:
    """Wait, with nothing to wait for but the time."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        threading.Event().wait(left)
