"""Programs that the simulated machine runs: how they start, serve, obey signals, crash."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.sim.servers import Server
from tests.sim.wire import Place

if TYPE_CHECKING:
    from tests.sim.machine import Machine

CLOCK_TICKS_PER_S = 100


@dataclass
class Recipe:
    """How a program behaves; `argv[1:]` are the places that it serves (`127.0.0.1:25`, `[::1]:25`).

    A test may change a recipe while the machine runs: what is started next follows it.
    """

    protocol: str | None = None  # None: it serves nothing and only runs
    start_delay_s: float = 0.05  # from its start to its listeners
    stop_delay_s: float = 0.02  # from SIGTERM to its exit
    ignores_term: bool = False
    crashes_at_start: bool = False  # instead of listening
    crashes_after_s: float | None = None
    crash_status: int = 1
    has_worker: bool = False  # a second process of the group serves: killing the main one alone changes nothing


def parse_place(text: str) -> Place:
    """Read `ADDRESS:PORT`, IPv6 in brackets; a path stays one."""
    if text.startswith("/"):
        return text
    address, _, port = text.rpartition(":")
    return (address.strip("[]"), int(port))


class Running:
    """One started program, with its group; `watchers` are told its end from outside the loop."""

    def __init__(self, machine: Machine, pid: int, argv: tuple[str, ...], recipe: Recipe) -> None:
        self.machine = machine
        self.pid = pid
        self.argv = argv
        self.recipe = recipe
        self.start_time = int(machine.timeline.now * CLOCK_TICKS_PER_S)
        self.exit_text = ""  # of the main process
        self.worker_running = recipe.has_worker
        self.frozen = False
        self.watchers: list[Callable[[], None]] = []
        self.servers = [machine.server(recipe.protocol, parse_place(text)) for text in argv[1:] if recipe.protocol]
        self._serving = False
        self._deferred: list[Callable[[], None]] = []
        machine.timeline.call_later(recipe.start_delay_s, self._act, self._come_up)
        if recipe.crashes_after_s is not None:
            machine.timeline.call_later(recipe.crashes_after_s, self._act, self._crash)

    def __repr__(self) -> str:
        return f"<program {self.pid} {' '.join(self.argv)} {self.exit_text or 'running'}>"

    @property
    def running(self) -> bool:
        """Whether its main process has not ended."""
        return not self.exit_text

    @property
    def group_running(self) -> bool:
        """Whether anything of its group is left."""
        return self.running or self.worker_running

    def signal(self, number: int, *, group: bool) -> None:
        """Take a signal, by the main process alone or by the whole group."""
        if group and self.worker_running and self._ends_by(number):
            self.worker_running = False
            if not self.running:
                self._stop_serving()
        if not self.running:
            return
        if number == signal.SIGKILL:
            self._end("killed by SIGKILL")
        elif number == signal.SIGSTOP:
            self._freeze()
        elif number == signal.SIGCONT:
            self._thaw()
        elif self._ends_by(number):
            self._act(lambda: self._later(self.recipe.stop_delay_s, lambda: self._end("exit status 0")))

    def _ends_by(self, number: int) -> bool:
        return number == signal.SIGKILL or (number == signal.SIGTERM and not self.recipe.ignores_term)

    def _later(self, delay_s: float, call: Callable[[], None]) -> None:
        self.machine.timeline.call_later(delay_s, self._act, call)

    def _act(self, call: Callable[[], None]) -> None:
        """Do something as the program: not when it has ended, later when it is frozen."""
        if self.frozen:
            self._deferred.append(call)
        elif self.running:
            call()

    def _come_up(self) -> None:
        if self.recipe.crashes_at_start:
            self._crash()
            return
        opened: list[Server] = []
        for server in self.servers:
            try:
                server.open()
            except OSError:
                for other in opened:
                    other.close()
                self._end("exit status 98")  # EADDRINUSE
                return
            opened.append(server)
        self._serving = True

    def _crash(self) -> None:
        self.worker_running = False
        self._end(f"exit status {self.recipe.crash_status}")

    def _freeze(self) -> None:
        self.frozen = True
        if self._serving:
            for server in self.servers:
                server.freeze()

    def _thaw(self) -> None:
        self.frozen = False
        if self._serving:
            for server in self.servers:
                server.thaw()
        deferred, self._deferred = self._deferred, []
        for call in deferred:
            self._act(call)

    def _end(self, text: str) -> None:
        self.exit_text = text
        self.frozen = False
        self.machine.note(f"exit {self.pid} {text}")
        if not self.worker_running:
            self._stop_serving()
        watchers, self.watchers = self.watchers, []
        for watcher in watchers:
            watcher()

    def _stop_serving(self) -> None:
        if self._serving:
            self._serving = False
            for server in self.servers:
                server.close()
