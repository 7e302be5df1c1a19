"""The in-memory `Programs`: what a program of one task does, by its name, in virtual time."""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from probe.environment import Clock, Finished
from tests.sim.sockets import fail


@dataclass
class Deed:
    """What one run of a program comes to."""

    status: int = 0
    output: bytes = b""
    takes_s: float = 0.01


@dataclass
class Call:
    """One run that was begun."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    output: str | None
    killed: bool = False


Behaviour = Callable[[Call], Deed]


@dataclass
class SimPrograms:
    """Runs what is in its table; `calls` are all that were begun, oldest first."""

    clock: Clock
    table: dict[str, Behaviour] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    async def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, output: str | None = None
    ) -> Finished:
        """Do what the table says once the time for it has passed. Raises FileNotFoundError for what is not in it."""
        behaviour = self.table.get(argv[0])
        if behaviour is None:
            raise fail(errno.ENOENT)
        call = Call(tuple(argv), dict(environment or {}), output)
        self.calls.append(call)
        deed = behaviour(call)
        try:
            await self.clock.sleep(deed.takes_s)
        except BaseException:
            call.killed = True
            raise
        text = f"exit status {deed.status}" if deed.status >= 0 else f"killed by signal {-deed.status}"
        return Finished(deed.status, text, deed.output)

    def hooks(self) -> list[str]:
        """List the last words of what was run: `start`, `status` ..."""
        return [call.argv[-1] for call in self.calls]


@dataclass
class Daemon:
    """A service that hooks start and stop; a test ends or hangs it, or makes a hook fail by putting in another deed."""

    running: bool = False
    stopped_status: int = 3  # what `status` says while it does not run
    slow_s: float = 0.01
    deeds: dict[str, Deed] = field(default_factory=dict)  # instead of what the hook would do

    def __call__(self, call: Call) -> Deed:
        """Do what the last word of the argv says."""
        word = call.argv[-1]
        if word in self.deeds:
            return self.deeds[word]
        if word in ("status", "monitor"):
            return Deed(0 if self.running else self.stopped_status, b"asked\n", self.slow_s)
        self.running = word == "start"
        return Deed(0, b"done\n", self.slow_s)
