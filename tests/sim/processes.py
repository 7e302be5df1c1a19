"""The in-memory `Processes`: handles of one run of the program onto programs of the machine, which outlive that run."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from tests.sim.loop import VirtualLoop
from tests.sim.programs import Running
from tests.sim.sockets import fail

if TYPE_CHECKING:
    from tests.sim.machine import Machine


class SimProcess:
    """One program as the run that started or adopted it sees it; its end is told by the loop, as a pidfd would."""

    def __init__(self, owner: SimProcesses, running: Running, *, child: bool) -> None:
        self._owner = owner
        self._running = running
        self._child = child
        self._exit_text = ""
        self._calls: list[Callable[[], None]] = []
        self._released = False
        running.watchers.append(self._ended)

    def __repr__(self) -> str:
        return f"<process {self.pid} {self._exit_text or 'running'}>"

    @property
    def pid(self) -> int:
        """The process id, which is also its group's."""
        return self._running.pid

    @property
    def start_time(self) -> int:
        """Clock ticks after boot."""
        return self._running.start_time

    @property
    def running(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self._exit_text

    @property
    def exit_text(self) -> str:
        """How it ended; empty while it runs."""
        return self._exit_text

    @property
    def group_running(self) -> bool:
        """Whether the leader or anything of its group is left."""
        self._owner.catch_up()
        return self.running or self._running.group_running

    def on_exit(self, call: Callable[[], None]) -> None:
        """Call once when it has ended, at once if it already has."""
        if self.running:
            self._calls.append(call)
        else:
            call()

    def signal_group(self, number: int) -> None:
        """Signal its group; a killed run signals nobody any more."""
        self._owner.catch_up()
        if not self._owner.dead:
            self._owner.machine.note(f"signal {self.pid} {int(number)}")
            self._running.signal(number, group=True)

    def release(self) -> None:
        """Forget it: no call will come."""
        self._calls.clear()
        self._released = True

    def _ended(self) -> None:
        if not self._owner.dead:
            self._owner.loop.call_soon(self._conclude)

    def _conclude(self) -> None:
        if self._released or self._owner.dead:
            return
        self._exit_text = self._running.exit_text if self._child else "gone"
        calls, self._calls = self._calls, []
        for call in calls:
            call()


class SimProcesses:
    """Starting and adopting programs by the machine's table of recipes."""

    def __init__(self, machine: Machine, loop: VirtualLoop) -> None:
        self.machine = machine
        self.loop = loop
        self.dead = False

    def catch_up(self) -> None:
        """Let the outside happen up to now."""
        self.machine.timeline.catch_up(self.loop.time())

    @property
    def boot_id(self) -> str:
        """The id of this boot of the machine."""
        return self.machine.boot_id

    def spawn(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None, directory: str | None, output: str | None
    ) -> SimProcess:
        """Start a program. Raises FileNotFoundError for one without a recipe, OSError(EIO) after our death."""
        del environment, directory
        self.catch_up()
        if self.dead:
            raise fail(errno.EIO)
        running = self.machine.start_program(tuple(argv))
        if output is not None:
            self.machine.outputs.setdefault(output, []).append(running.pid)
        return SimProcess(self, running, child=True)

    def adopt(self, pid: int, start_time: int) -> SimProcess | None:
        """Take over a program of an earlier run, or None when it is gone or another has its pid (S56)."""
        self.catch_up()
        running = self.machine.programs.get(pid)
        if self.dead or running is None or running.start_time != start_time or not running.running:
            return None
        self.machine.note(f"adopt {pid}")
        return SimProcess(self, running, child=False)

    def bound_output(self, path: str, bytes_max: int) -> None:
        """Do nothing: simulated programs write nothing. Raises FileNotFoundError for a path nobody writes to."""
        del bytes_max
        if path not in self.machine.outputs:
            raise fail(errno.ENOENT)
