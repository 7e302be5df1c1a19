"""What the rounds of one resource add to the metrics; a failure that may turn out to be ours waits to be counted."""

from __future__ import annotations

from probe.monitor.plan import ProbePlan
from probe.monitor.surroundings import Surroundings
from probe.monitor.target import Result
from probe.values import Outcome, Reason, Stage, Verdict

_MATCHED = Reason.MATCHED

UNCOUNTED_MAX = 64  # of one run; more are counted as they come


class Measuring:
    """Counts for one watch."""

    __slots__ = ("_around", "_uncounted")

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._uncounted: tuple[Verdict, ...] = ()

    def count(
        self, plan: ProbePlan, result: Result, when: float, *, may_be_doubted: bool, confirming: bool = False
    ) -> None:
        """Count a round that was due at `when`; `may_be_doubted`: a failure of it is an edge, or leads to one.

        `confirming`: it asks whether a start is done, so what is not good yet is no statement on availability.
        """
        around, id, protocol = self._around, plan.id, plan.protocol
        metrics = around.metrics
        around.health.rounds += 1
        lag_s = result.started - when
        if lag_s < 0.0:
            lag_s = 0.0
        if result.verdict.reason is _MATCHED and result.tls is None and not result.parts:
            metrics.good(id, protocol, result.stages, around.clock.wall(), lag_s, result.ended - result.started)
            return
        metrics.attempt(id)
        metrics.ran(id, around.clock.wall())
        metrics.lag(lag_s)
        for part in result.parts or (result,):
            for stage, seconds in part.stages:
                metrics.stage(protocol, stage, seconds)
            if part.tls is not None:
                metrics.certificate(id, part.target.binding, part.tls.not_after, part.tls.verified)
        verdict = result.verdict
        match verdict.outcome:
            case Outcome.ALIVE:
                metrics.answered(id, result.ended - result.started)
            case Outcome.UNKNOWN:
                self._unknown(plan, verdict.reason, confirming=confirming)
            case Outcome.FAILED if may_be_doubted and around.common.may_doubt(verdict) and self._has_room:
                self._uncounted = (*self._uncounted, verdict)
            case Outcome.FAILED:
                self._failed(plan, verdict, confirming=confirming)

    def believe(self, plan: ProbePlan) -> None:
        """Count the failures that waited: they are the service's."""
        if self._uncounted:
            for verdict in self._uncounted:
                self._failed(plan, verdict)
            self._uncounted = ()

    def doubt(self, plan: ProbePlan, reason: Reason) -> None:
        """Count the failures that waited as unknown: they are ours."""
        for _ in self._uncounted:
            self._unknown(plan, reason)
        self._uncounted = ()

    @property
    def _has_room(self) -> bool:
        return len(self._uncounted) < UNCOUNTED_MAX

    def _failed(self, plan: ProbePlan, verdict: Verdict, *, confirming: bool = False) -> None:
        metrics, stage = self._around.metrics, verdict.stage or Stage.CONNECT
        metrics.failure(plan.id, stage, verdict.reason, confirming=confirming)

    def _unknown(self, plan: ProbePlan, reason: Reason, *, confirming: bool = False) -> None:
        self._around.metrics.unknown(plan.id, reason, confirming=confirming)
        self._around.health.unknown(reason)
