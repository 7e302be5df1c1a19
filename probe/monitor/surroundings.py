"""What all watches share: the engine with its wheel and its word on stalls, and whom a watch tells."""

from __future__ import annotations

from collections.abc import Callable

from probe.environment import Clock, Randomness
from probe.lifecycle.events import Probed
from probe.monitor.common import CommonCause
from probe.monitor.engine import Engine
from probe.monitor.evidence import Evidence
from probe.monitor.health import Health
from probe.monitor.measures import ProbeMetrics
from probe.monitor.resolve import Names
from probe.monitor.stall import Stall
from probe.monitor.wheel import Wheel


class Surroundings:
    """What all watches share."""

    __slots__ = ("clock", "common", "engine", "evidence", "first_read", "health", "metrics", "names", "post",
                 "randomness", "stall", "wheel")  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        names: Names,
        randomness: Randomness,
        metrics: ProbeMetrics,
        post: Callable[[Probed], None],
        first_read: Callable[[], None],
        evidence: Evidence,
        watched: Callable[[], int],
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
        self.common = CommonCause(engine, watched)
        self.post = post
        self.first_read = first_read
