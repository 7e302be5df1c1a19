"""A process controller over the real operating system."""

from __future__ import annotations

from typing import NoReturn

from probe.controllers.process import ProcessController
from probe.environment import Environment, Network, Poller, Ready, Socket
from probe.environment.clock import LoopClock, SystemRandomness
from probe.environment.files import RealFiles
from probe.environment.processes import RealProcesses
from probe.values import Incarnation, ResourceId, Verdict

ID = ResourceId("evs1", "store")


class NoNetwork(Network):
    """What a controller has no business with."""

    def socket(self, family: int) -> Socket:
        """Refuse."""
        self._refuse()

    def disconnect(self, connection: Socket) -> bool:
        """Refuse."""
        self._refuse()

    def poller(self, ready: Ready) -> Poller:
        """Refuse."""
        self._refuse()

    async def resolve(self, name: str) -> NoReturn:
        """Refuse."""
        self._refuse()

    def is_local(self, address: str) -> bool:
        """Refuse."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise AssertionError("a controller needs no network")


def real_controller(state_dir: str, told: list[tuple[Incarnation, Verdict]]) -> ProcessController:
    """Make a controller on the running loop that keeps its records and output under `state_dir`."""
    environment = Environment(
        clock=LoopClock(),
        randomness=SystemRandomness(),
        files=RealFiles(),
        network=NoNetwork(),
        processes=RealProcesses(),
    )
    return ProcessController(
        environment, state_dir, lambda _id, incarnation, verdict: told.append((incarnation, verdict))
    )
