"""The level that readers see: one immutable reading a resource, replaced after every probe; reading is no I/O (S7)."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from probe.monitor.target import Result, Stages
from probe.monitor.tls import TlsFacts
from probe.values import Outcome, Reason, Verdict, evidence_of


class Level(Protocol):
    """The little of a reading that most readers want; a watch has it without putting a reading together."""

    @property
    def alive(self) -> bool | None: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def at(self) -> float: ...
    def stale(self, now: float) -> bool: ...


class Reading(NamedTuple):
    """The last result of a resource's probe and the level believed since then."""

    alive: bool | None  # after rise/fall; None until the first edge
    result: Result  # the raw one
    rounds: int  # probes since the watch began
    fresh_s: float  # how old it may become

    @property
    def verdict(self) -> Verdict:
        """The raw verdict."""
        return self.result.verdict

    @property
    def outcome(self) -> Outcome:
        """Alive, failed or unknown, as last seen."""
        return self.result.verdict.outcome

    @property
    def at(self) -> float:
        """Clock seconds of the verdict."""
        return self.result.ended

    @property
    def stages(self) -> Stages:
        """Seconds of each stage, of the binding that decided."""
        return self.result.stages

    @property
    def address(self) -> str:
        """The numeric address of the binding that decided."""
        return self.result.target.text

    @property
    def tls(self) -> tuple[tuple[str, TlsFacts], ...]:
        """What is known of each binding's certificates, with the binding as the store writes it."""
        return tuple((part.target.binding, part.tls) for part in self.result.each if part.tls is not None)

    def age(self, now: float) -> float:
        """Seconds since the verdict."""
        return max(0.0, now - self.result.ended)

    def stale(self, now: float) -> bool:
        """Whether it is older than three periods and the time-out (S66)."""
        return now - self.result.ended > self.fresh_s


def listener_gone(refused: Verdict, reading: Reading | None) -> Verdict:
    """Say what is known: the kernel told that a listener died, and nobody has taken its place."""
    where = "" if reading is None else f" on {reading.address}"
    return Verdict(Reason.LISTENER_GONE, evidence_of(f"nobody listens{where} any more"), refused.stage)
