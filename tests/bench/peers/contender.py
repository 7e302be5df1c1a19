"""What a contender is told and has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.bench.ground import CheapServer, Ground, Window, target


@dataclass(frozen=True)
class Pace:
    """How many targets are asked how often."""

    targets: int
    period_s: float

    @property
    def rate(self) -> float:
        """Return the probes a second."""
        return self.targets / self.period_s


@dataclass(frozen=True)
class Course:
    """Where the contenders meet: the built programs, the running server, and who runs where."""

    ground: Ground
    server: CheapServer
    folder: Path
    core: int
    pace: Pace

    def addresses(self, protocol: str) -> list[str]:
        """Return ADDRESS:PORT of each target, for `smtp` or `http`."""
        return [f"{target(number)}:{self.port(protocol)}" for number in range(self.pace.targets)]

    def port(self, protocol: str) -> int:
        """Return the server's port for `smtp` or `http`."""
        port = self.server.port if protocol == "smtp" else self.server.http_port
        assert port is not None, "the server of a course speaks both"
        return port


class Contender(Protocol):
    """One prober in one way of asking."""

    @property
    def name(self) -> str:
        """How it is called in the table."""

    @property
    def protocol(self) -> str:
        """`smtp` or `http`: whose floor it stands on."""

    @property
    def ours(self) -> str:
        """Which contender of ours does the same work."""

    def run(self, course: Course, seconds: float) -> Window:
        """Start, wait until all targets are found alive, measure, end. Raises GroundError, TooLateError."""
