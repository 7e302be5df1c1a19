"""What a watch needs for its light rounds (`flights.py`), and what its last round left.

This is the part of a watch that a steady round touches; nothing else of it is fetched from memory then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from probe.environment import Address, Socket
from probe.metrics import ResourceNumbers
from probe.monitor.cache import Reading
from probe.monitor.options import AF_UNIX
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Result, Target
from probe.monitor.wheel import NOWHERE
from probe.values import ResourceId, Stage, Verdict

if TYPE_CHECKING:
    from probe.monitor.flights import Flights

NONE = -1  # the descriptor of one that the poller does not know


class Asking(Protocol):
    """A round under way that is not a light one: a dial, a look, or several dials."""

    def cancel(self) -> None: ...


class Departure:
    """Those that left together, and their deadline: an entry of the wheel as long as one of them is under way."""

    __slots__ = ("_flights", "flights", "left", "lost_s", "started", "tick", "timeout_s")

    def __init__(self, flights: Flights, timeout_s: float) -> None:
        self._flights = flights
        self.flights: list[Flight] = []
        self.timeout_s = timeout_s
        self.left = 0  # of them, under way
        self.started = self.lost_s = 0.0  # clock seconds; what the loop had lost by then
        self.tick = NOWHERE

    def due(self, now: float) -> None:
        """Hand those over that are still under way: the deadline is judged by a dial."""
        del now
        self._flights.overdue(self)


class Flight:
    """One resource's side of its light rounds; the watch (`watch.py`) is the rest of it."""

    __slots__ = ("address", "aim", "alive", "asking", "connect_s", "departure", "ended", "family", "fd", "id", "known",
                 "numbers", "opening", "period_s", "phase", "plan", "prompt", "protocol", "rounds", "shape", "socket",
                 "source", "started", "tick", "timeout_s", "verdict", "when", "whole")  # fmt: skip

    socket: Socket  # there from the departure's opening until the landing
    aim: Target  # whom a light round asks
    family: int
    address: Address
    source: tuple[str, int] | None
    id: ResourceId
    protocol: str
    period_s: float
    timeout_s: float
    verdict: Verdict  # raw, of the last round; there as soon as there was one

    def __init__(self, plan: ProbePlan, alive: bool | None) -> None:
        self.plan = plan
        self.alive = alive  # the level believed
        self.tick = NOWHERE
        self.when = 0.0  # what was put into the wheel last
        self.phase = 0.0  # of the next regular round; chosen with the first answer
        self.rounds = 0
        self.started = self.ended = 0.0  # clock seconds of the last round
        self.connect_s = 0.0  # how long connecting took in the last light one
        self.opening = b""  # what is sent right behind the connect
        self.known = b""  # the last good answer
        self.shape: tuple[Stage, ...] = ()  # the stages that a good round goes through
        self.numbers: ResourceNumbers | None = None  # where it is counted
        self.fd = NONE  # as the poller knows it
        self.prompt = True  # the answer of the last round had come when it was looked for first
        self.departure: Departure | None = None  # a light round is under way
        self.asking: Asking | None = None  # another one is
        self.whole: Reading | None = None  # of the last round, unless that was a light one that nobody has looked at

    def aim_at(self, plan: ProbePlan, target: Target | None) -> bool:
        """Take over what a plan says; say whether its target can be asked in the light form."""
        self.id, self.protocol = plan.id, plan.protocol
        self.period_s = plan.period_s
        self.known, self.shape = b"", ()
        if target is None or not is_light(target):
            return False
        self.aim = target
        self.family, self.address, self.source = target.family, target.address, target.source
        self.timeout_s = target.timeout_s
        self.opening = b"" if not target.waits_for_connect else target.preface + target.check.begin().opened()
        return True

    # --- what the last round left ---

    @property
    def reading(self) -> Reading | None:
        """What readers see of the last round; put together here where that was a light one."""
        if self.whole is None and self.rounds:
            self.whole = Reading(self.alive, self.result(), self.rounds, self.plan.fresh_s)
        return self.whole

    @property
    def at(self) -> float:
        """Clock seconds of the last verdict."""
        return self.ended

    def stale(self, now: float) -> bool:
        """Whether the last round is older than it may be (S66)."""
        age_s = now - self.ended
        return age_s > self.period_s and age_s > self.plan.fresh_s  # the first says no of nearly all, and at once

    @property
    def under_way(self) -> bool:
        """Whether a round is."""
        return self.asking is not None or self.departure is not None

    def result(self) -> Result:
        """Put together what the last round, a light one, has found."""
        answer_s = self.ended - self.started - self.connect_s
        first, second, *rest = self.shape
        stages = ((first, self.connect_s), (second, answer_s), *((stage, 0.0) for stage in rest))
        return Result(self.aim, self.verdict, self.started, self.ended, stages)

    def next_phase(self, now: float) -> float:
        """Return when the next regular round is due."""
        phase, period_s = self.phase, self.period_s
        if phase <= now:
            phase += period_s
            if phase <= now:  # late by whole periods: those rounds are not made up for
                phase += math.ceil((now - phase) / period_s) * period_s
            self.phase = phase
        return phase

    # --- the watch's side ---

    def due(self, now: float) -> None:
        """Begin a round."""
        raise NotImplementedError

    def answered(self, result: Result) -> None:
        """Take the answer of a dial that has taken the round over."""
        raise NotImplementedError

    def parted(self, seconds: float) -> None:
        """Be told how long that dial's goodbye took."""
        raise NotImplementedError


def is_light(target: Target) -> bool:
    """Say whether a good answer can be known by its first piece, and nothing but TCP is needed to get it."""
    return (
        target.check.glances
        and (target.near or not target.waits_for_connect)
        and target.family != AF_UNIX
        and target.tls is None
        and target.upgrade is None
        and target.name is None
        and target.obstacle is None
        and target.mask is None
    )
