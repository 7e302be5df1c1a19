"""The common cause: before a failure is told, we make sure that it is not our own side of the network that failed.

Rules:
1. Where at least `WATCHED_MIN` resources are watched, a failed check that is about the network is held until a listener
   of our own was asked, over loopback and by the same engine: a fraction of a millisecond when all is well.
2. When that one answers, everything held is told. When it cannot be reached either, nothing of it is: all of it is
   unknown, ours (`prober_forbidden`, or what the attempt itself says of us), and is asked again in its next round.
3. A failure whose resource has answered meanwhile, or is watched no more, is dropped.
Without a listener of our own nothing is held.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from probe.lifecycle.events import Probed
from probe.monitor.engine import Engine
from probe.monitor.target import Result, Target
from probe.values import Outcome, Reason, ResourceId, Stage, Verdict, evidence_of

WATCHED_MIN = 5
OWN_TIMEOUT_S = 1.0

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
    """A watch whose failure is held."""

    def publish(self, edge: Probed) -> None:
        """Tell the edge, unless it is out of date."""

    def doubt(self, edge: Probed, verdict: Verdict) -> None:
        """Take the failure for unknown."""


class CommonCause:
    """Hold failures while our own listener is asked. `watched` says how many resources there are."""

    def __init__(self, engine: Engine, watched: Callable[[], int]) -> None:
        self.own: Target | None = None
        self._engine = engine
        self._watched = watched
        self._doubting = False
        self._held: dict[ResourceId, tuple[Held, Probed]] = {}

    def hold(self, watch: Held, edge: Probed) -> bool:
        """Say whether a failure is held back; then the watch hears of it again."""
        if self.own is None or edge.verdict.reason not in ABOUT_THE_NETWORK or self._watched() < WATCHED_MIN:
            return False
        asking = bool(self._held)
        self._held.setdefault(edge.id, (watch, edge))
        if not asking:
            self._engine.dial(self.own, self._answered)
        return True

    def _answered(self, result: Result) -> None:
        held, self._held = self._held, {}
        own = result.verdict
        if own.outcome is Outcome.ALIVE:
            if self._doubting:
                self._doubting = False
                log.info("failures are told again: a listener of our own can be reached")
            for watch, edge in held.values():
                watch.publish(edge)
            return
        reason = Reason.PROBER_FORBIDDEN if own.outcome is Outcome.FAILED else own.reason
        if not self._doubting:
            self._doubting = True
            log.warning("failures are not told: a listener of our own cannot be reached either (%s)", own.reason)
        for watch, edge in held.values():
            evidence = evidence_of(f"{edge.verdict.reason}, but so is our own listener: {own.reason}")
            watch.doubt(edge, Verdict(reason, evidence, edge.verdict.stage or Stage.CONNECT))
