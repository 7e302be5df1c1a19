"""The simulated `Environment`: clock, randomness, files, network and processes of one run of the program."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from probe.environment import Environment, Timer
from tests.sim.loop import VirtualLoop, current_loop
from tests.sim.machine import EPOCH_S, Machine
from tests.sim.network import SimNetwork
from tests.sim.processes import SimProcesses
from tests.sim.storage import RunFiles


class SimClock:
    """Virtual time; `wall_shift_s` is somebody setting the machine's clock."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.wall_shift_s = 0.0

    def now(self) -> float:
        """Return virtual seconds since the start."""
        return self._loop.time()

    def wall(self) -> float:
        """Return seconds since 1970."""
        return EPOCH_S + self.wall_shift_s + self._loop.time()

    def call_at(self, when: float, call: Callable[[], None]) -> Timer:
        """Call once when `now()` has reached `when`."""
        return self._loop.call_at(when, call)

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await asyncio.sleep(seconds)

    def stall(self, seconds: float) -> None:
        """Keep the loop from running for a while."""
        self._loop.stall(seconds)


class Run:
    """One run of our program on a machine, from its start to its end or its death."""

    def __init__(self, machine: Machine, loop: VirtualLoop) -> None:
        self.machine = machine
        self.clock = SimClock(loop)
        self.network = SimNetwork(machine.wire, loop, machine.host)
        self.processes = SimProcesses(machine, loop)
        self.files = RunFiles(machine.disk, machine.folders)
        self.environment = Environment(
            clock=self.clock,
            randomness=random.Random(machine.chance.getrandbits(32)),
            files=self.files,
            network=self.network,
            processes=self.processes,
        )

    def die(self) -> None:
        """End as by SIGKILL: its sockets close, nothing it does from now on has an effect; its programs run on.

        The caller cancels its tasks afterwards; whatever their clean-up tries comes to nothing.
        """
        self.machine.note("we die")
        self.processes.dead = True
        self.files.die()
        self.network.die()


def make_environment(seed: int) -> tuple[Environment, Machine]:
    """Make a machine on the running virtual loop and the first run of our program on it."""
    machine = Machine(seed, current_loop().timeline)
    return start_run(machine).environment, machine


def start_run(machine: Machine) -> Run:
    """Start our program (again) on a machine: new sockets and handles, the same files and programs."""
    return Run(machine, current_loop())
