"""The ground to measure on: a very cheap server and the floor, a prober in C; both are built from a given folder."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.servers.real import accepts
from tests.e2e.waiting import wait_until

SOURCES = ("bsrv.c", "cprobe.c")
COMPILE = ("-O2", "-pthread")
BUILD_S = 60.0
STARTS_WITHIN_S = 5.0
COUNTER_BYTES = 4096


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
    """`bsrv` greeting as SMTP on every address of 127.0.0.0/8 at one port; it counts what it accepted itself."""

    def __init__(self, ground: Ground, folder: Path, port: int, core: int) -> None:
        self.port = port
        self._command = [str(ground.server), "-c", str(folder / "counters"), f"smtp:{port}"]
        self._counters = folder / "counters"
        self._core = core

    @property
    def accepted(self) -> int:
        """Connections accepted so far."""
        with (
            self._counters.open("rb") as file,
            mmap.mmap(file.fileno(), COUNTER_BYTES, prot=mmap.PROT_READ) as counters,
        ):
            count: int = struct.unpack_from("Q", counters)[0]
            return count

    def __enter__(self) -> Self:
        with on_core(self._core):
            self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)
        wait_until(lambda: accepts(self.port), "the cheap server", STARTS_WITHIN_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()


def floor_us_per_probe(ground: Ground, port: int, *, targets: int, period_s: float, seconds: float, core: int) -> float:
    """Run the floor at the same pace and return its CPU in µs a probe. Raises GroundError when a probe failed."""
    command = [str(ground.floor), "-i", str(period_s), "-d", str(seconds), "-N", str(targets), "-p", str(port)]
    with on_core(core):
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds * 2 + 30, check=True)
    told = json.loads(done.stdout)
    if told["bad"]:
        raise GroundError(f"the floor itself failed {told['bad']} of {told['probes']} probes: the machine is too busy")
    return float(told["us_per_probe"])


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
    """Return the CPU time of a process with all its threads, to the nanosecond."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9
