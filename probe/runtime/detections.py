"""How long failures went unseen: from the first sign of each to its publication, which a hold may put off (§5.2)."""

from __future__ import annotations

from probe.environment import Clock
from probe.lifecycle.events import Event, Exited, Probed, Trigger
from probe.lifecycle.world import Decision
from probe.metrics import Metrics
from probe.values import ResourceId, State

_DETECTING = (Trigger.PROBE, Trigger.KERNEL, Trigger.PROCESS)  # other triggers are told to us, or follow from something


class Detections:
    """Keep the first sign of what is not published yet: at most one a resource, and only while its failure is held."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._signs: dict[ResourceId, float] = {}

    def __repr__(self) -> str:
        return f"<Detections {len(self._signs)} failures are held>"

    def note(self, event: Event, decision: Decision) -> None:
        """Take an event and what was decided on it, once that is published."""
        if isinstance(event, Exited | Probed) and event.seen_at is not None:
            self._signs.setdefault(event.id, event.seen_at)
            self._measure(decision)
            if event.id not in decision.records:
                self._signs.pop(event.id, None)  # it changed nothing
        elif self._signs:
            self._measure(decision)

    def _measure(self, decision: Decision) -> None:
        for transition in decision.transitions:
            seen_at = self._signs.pop(transition.id, None)
            if seen_at is not None and transition.to is State.FAILED and transition.trigger in _DETECTING:
                self._metrics.detected(transition.trigger, max(0.0, self._clock.now() - seen_at))
        for id, record in decision.records.items():
            if record is None or record.held is None:
                self._signs.pop(id, None)
