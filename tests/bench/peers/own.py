"""The whole service through its command line, and the floor."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import GroundError, Window, floor, let_pass, on_core, watch
from tests.bench.peers.contender import Course
from tests.bench.peers.course import SETTLES_S
from tests.e2e.service import Service
from tests.e2e.stores import write_metabase

FIRST_ROUND_S = 30.0
TIMEOUT_S = 5.0
BANNER, POLITE, GET = "looksalive banner", "looksalive banner, polite", "looksalive GET"


@dataclass(frozen=True)
class Looksalive:
    """One way in which we ask."""

    name: str
    protocol: str
    polite: bool

    @property
    def ours(self) -> str:
        """Itself."""
        return self.name

    def run(self, course: Course, seconds: float) -> Window:
        """Measure it as a user has it: with cache, edges, metrics and history."""
        folder = course.folder / "looksalive"
        folder.mkdir()
        try:
            return self._run(course, Service(self._store(course), "--log-level", "warning"), seconds)
        finally:
            shutil.rmtree(folder)

    def _store(self, course: Course) -> Path:
        addresses = enumerate(course.addresses(self.protocol))
        keys = {f"/{self.protocol}/{number}": {"bindings": [address]} for number, address in addresses}
        store, period_s = course.folder / "looksalive" / "store", course.pace.period_s
        write_metabase(store, keys, poll_interval_s=period_s, probe_timeout_s=TIMEOUT_S, polite=self.polite)
        return store

    def _run(self, course: Course, service: Service, seconds: float) -> Window:
        with on_core(course.core):
            service.start()
        with contextlib.ExitStack() as running:
            running.callback(service.__exit__, None, None, None)
            service.wait_all_alive(course.pace.period_s + FIRST_ROUND_S)
            let_pass(max(SETTLES_S, course.pace.period_s))
            window = watch(course.server, [service.pid], seconds)
            if not all(each["alive"] for each in service.resources().values()):
                raise GroundError("not every target stayed alive: the figures would mean nothing")
        return window


@dataclass(frozen=True)
class Floor:
    """The prober in C."""

    name: str
    protocol: str
    ours: str

    def run(self, course: Course, seconds: float) -> Window:
        """Measure it; it tells its own CPU, to the microsecond, and the server how many it asked."""
        pace, port = course.pace, course.port(self.protocol)
        answered = course.server.answered
        window = floor(
            course.ground, port, targets=pace.targets, period_s=pace.period_s, seconds=seconds, core=course.core,
            protocol=self.protocol,
        )  # fmt: skip
        return Window(course.server.answered - answered, window.seconds, window.cpu_s)


FLOORS = (Floor("C floor banner", "smtp", BANNER), Floor("C floor GET", "http", GET))
CONTENDERS = (Looksalive(BANNER, "smtp", False), Looksalive(POLITE, "smtp", True), Looksalive(GET, "http", False))
