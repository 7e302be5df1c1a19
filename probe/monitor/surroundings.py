"""What all watches share: the engine with its wheel and its word on stalls, and whom a watch tells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

from probe.environment import Clock, Randomness
from probe.lifecycle.events import Probed, Suspected
from probe.monitor.common import CommonCause, Held
from probe.monitor.engine import Engine
from probe.monitor.evidence import Evidence
from probe.monitor.flight import Flight
from probe.monitor.health import Health
from probe.monitor.measures import ProbeMetrics
from probe.monitor.observing import Looking, Turns
from probe.monitor.plan import ProbePlan
from probe.monitor.resolve import Names, Spawn
from probe.monitor.stall import Stall
from probe.monitor.target import Result
from probe.monitor.wheel import TICK_S, TICKS_PER_S, Wheel
from probe.values import Stage

TOGETHER = 100  # rounds that leave in one pass: a pass finds cold caches, and warms them for all
TICKS_BETWEEN_MAX = 8  # from one such pass to the next
GROUPS_PER_PERIOD_MIN = 4


class Surroundings:
    """What all watches share."""

    __slots__ = ("_shapes", "_spawn", "_turns", "clock", "common", "engine", "evidence", "first_read", "health",
                 "metrics", "names", "post", "randomness", "stall", "watched", "wheel")  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        names: Names,
        randomness: Randomness,
        metrics: ProbeMetrics,
        post: Callable[[Probed | Suspected], None],
        first_read: Callable[[], None],
        evidence: Evidence,
        watched: Callable[[], int],
        watches: Callable[[], Iterable[Held]],
        spawn: Spawn,
    ) -> None:
        self.engine = engine
        self.evidence = evidence
        self.names = names
        self.stall: Stall = engine.stall
        self.wheel: Wheel = engine.wheel
        self.clock: Clock = engine.clock
        self.randomness = randomness
        self.metrics = metrics
        self.health = Health(engine.clock, metrics.prober_health)
        self.watched = watched
        self.common = CommonCause(engine, watched, watches)
        self.post = post
        self.first_read = first_read
        self._spawn = spawn
        self._turns = Turns()
        self._shapes: dict[tuple[Stage, ...], tuple[Stage, ...]] = {}
        engine.flights.landed = self.landed

    def phase(self, now: float, period_s: float) -> float:
        """Choose when the regular rounds of a watch begin, spread over the period; many watches leave in groups.

        Who shares a phase keeps it, so the groups stay. Each is put in the middle of a tick, beyond any rounding.
        """
        phase = now + self.randomness.uniform(0.0, period_s)
        per_tick = self.watched() / period_s * TICK_S
        if per_tick < 1.0:
            return phase
        ticks = min(TOGETHER // per_tick, TICKS_BETWEEN_MAX, period_s * TICKS_PER_S // GROUPS_PER_PERIOD_MIN)
        step_s = max(ticks, 1.0) * TICK_S
        return math.ceil(phase / step_s) * step_s - TICK_S / 2

    def learn(self, flight: Flight, good: Result) -> None:
        """Note which stages a good round goes through, and where it is counted; its next ones may be light."""
        shape = tuple(stage for stage, _ in good.stages)
        flight.shape = self._shapes.setdefault(shape, shape)

    def landed(self, flights: Sequence[Flight], now: float) -> None:
        """Take the light rounds that went well: count them, and put the next ones into the wheel."""
        self.health.rounds += len(flights)
        try:
            self.metrics.flown(flights, self.clock.wall())
        except Exception as error:  # noqa: BLE001 - a mistake in the counting must not cost the next rounds
            self.engine.bug(error)
        for flight in flights:
            flight.rounds += 1
            flight.whole = None
            flight.when = flight.next_phase(now)
        self.wheel.add_each(flights)

    def looking(
        self, plan: ProbePlan, on_result: Callable[[Result], None], on_return: Callable[[], None]
    ) -> Looking | None:
        """Make what looks for a plan; None where it converses."""
        if plan.observe is None:
            return None
        return Looking(self.engine, self._turns, self._spawn, plan, on_result, on_return)
