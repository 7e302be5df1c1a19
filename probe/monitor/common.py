"""The common cause: when most fail at once, we make sure that it is not our own side of the network that failed.

Rules:
1. Where at least `WATCHED_MIN` resources are watched, a failed check that is about the network is held until a listener
   of our own was asked, over loopback and by the same engine: a fraction of a millisecond when all is well. When that
   one answers, everything held is told.
2. When that one cannot be reached either, it is the common cause if more than half of those that were believed alive
   (of `SAMPLE_MAX` of them where there are more) do not answer: then nothing of what is held is told. All of it is
   unknown, ours (`prober_forbidden`, or what the attempt itself says of us), and is asked again in its next round.
3. Before fewer are believed, those that answered last time are asked now, and what is held waits for their time-out,
   `LOOK_MAX_S` at most: the first ones that a cut reaches fail alone. Then the listener of our own is asked once more.
   If most of them answer, it is only that one that is out of reach, and everything held is told.
4. A failure whose resource has answered meanwhile, or is watched no more, is dropped.
Without a listener of our own nothing is held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from probe.environment import Timer
from probe.lifecycle.events import Probed, Trigger
from probe.monitor.cache import Reading
from probe.monitor.engine import Engine
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Result, Target
from probe.monitor.wheel import TICK_S
from probe.values import Outcome, Reason, ResourceId, Stage, Verdict, evidence_of

WATCHED_MIN = 5
OWN_TIMEOUT_S = 1.0
SAMPLE_MAX = 64
LOOK_MAX_S = 10.0

ABOUT_THE_NETWORK = frozenset(
    {
        Reason.CONNECT_REFUSED,
        Reason.CONNECT_UNREACHABLE,
        Reason.CONNECT_TIMEOUT,
        Reason.TLS_TIMEOUT,
        Reason.BANNER_TIMEOUT,
        Reason.STEP_TIMEOUT,
        Reason.EOF,
        Reason.RESET,
        Reason.LISTENER_GONE,
    }
)

log = logging.getLogger(__name__)


class Held(Protocol):
    """A watch, whose failure may be held."""

    plan: ProbePlan
    alive: bool | None

    @property
    def reading(self) -> Reading | None:
        """The last one."""

    def verify(self, trigger: Trigger, *, suspected: bool) -> None:
        """Ask it now."""

    def publish(self, edge: Probed) -> None:
        """Tell the edge, unless it is out of date."""

    def doubt(self, verdict: Verdict) -> None:
        """Take the failure for unknown."""


class CommonCause:
    """Hold failures while our own listener is asked. `watched` counts those that converse, `watches` lists all."""

    def __init__(self, engine: Engine, watched: Callable[[], int], watches: Callable[[], Iterable[Held]]) -> None:
        self.own: Target | None = None
        self._engine = engine
        self._watched = watched
        self._watches = watches
        self._doubting = False
        self._held: dict[ResourceId, tuple[Held, Probed]] = {}
        self._looking: Timer | None = None
        self._looked = False

    def may_doubt(self, verdict: Verdict) -> bool:
        """Whether a failure is such that it could have a common cause."""
        return self.own is not None and verdict.reason in ABOUT_THE_NETWORK and self._watched() >= WATCHED_MIN

    def hold(self, watch: Held, edge: Probed) -> bool:
        """Say whether a failure is held back; then the watch hears of it again."""
        if not self.may_doubt(edge.verdict):
            return False
        asking = bool(self._held)
        self._held.setdefault(edge.id, (watch, edge))
        if not asking:
            self._looked = False
            self._ask()
        return True

    def close(self) -> None:
        """Hold nothing more."""
        self._held.clear()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    def _ask(self) -> None:
        self._looking = None
        if self.own is not None:
            self._engine.dial(self.own, self._answered)

    def _answered(self, result: Result) -> None:
        own = result.verdict
        if own.outcome is Outcome.ALIVE:
            if self._doubting:
                self._doubting = False
                log.info("failures are told again: a listener of our own can be reached")
            self._tell()
            return
        believed = self._sample()
        answering = [watch for watch in believed if watch.reading is None or watch.reading.outcome is Outcome.ALIVE]
        if len(believed) < WATCHED_MIN:
            self._tell()
        elif 2 * len(answering) < len(believed):
            self._doubt(own)
        elif not self._looked:
            self._look(answering)
        else:
            log.warning("a listener of our own cannot be reached (%s), but most others can: they are told", own.reason)
            self._tell()

    def _sample(self) -> list[Held]:
        """List those that are believed alive, the held ones among them; of many, some all over the list."""
        believed = [watch for watch in self._watches() if watch.alive and watch.plan.targets]
        return believed[:: -(-len(believed) // SAMPLE_MAX)] if believed else []

    def _look(self, watches: list[Held]) -> None:
        """Ask those that answered last time, and wait for what they say."""
        self._looked = True
        for watch in watches:
            watch.verify(Trigger.PROBE, suspected=False)
        clock = self._engine.clock
        wait_s = min(max(watch.plan.timeout_s for watch in watches), LOOK_MAX_S)
        self._looking = clock.call_at(clock.now() + wait_s + 2 * TICK_S, self._ask)

    def _tell(self) -> None:
        held, self._held = self._held, {}
        for watch, edge in held.values():
            watch.publish(edge)

    def _doubt(self, own: Verdict) -> None:
        held, self._held = self._held, {}
        reason = Reason.PROBER_FORBIDDEN if own.outcome is Outcome.FAILED else own.reason
        if not self._doubting:
            self._doubting = True
            log.warning("failures are not told: a listener of our own cannot be reached either (%s)", own.reason)
        for watch, edge in held.values():
            evidence = evidence_of(f"{edge.verdict.reason}, but so is our own listener: {own.reason}")
            watch.doubt(Verdict(reason, evidence, edge.verdict.stage or Stage.CONNECT))
