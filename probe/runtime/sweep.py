"""The lost event made good (S62): what the monitor believes compared with what the core believes, without any I/O."""

from __future__ import annotations

from probe.lifecycle.events import Probed
from probe.lifecycle.world import Phase, Record
from probe.monitor.cache import Reading
from probe.values import Outcome, State


def lost_edge(record: Record, reading: Reading | None) -> Probed | None:
    """Say the edge that the core must have missed, or None. An edge on its way is told twice then, and obeyed once.

    Only a raw result that agrees with the level is told: a failure whose reason is `matched` would help nobody.
    """
    if reading is None or not record.watched:
        return None
    verdict, state = reading.verdict, record.state
    confirming = state is State.ONLINE_PENDING and record.phase is Phase.CONFIRMING
    if reading.alive is True and verdict.outcome is Outcome.ALIVE:
        missed = confirming or state is State.FAILED
    elif reading.alive is False and verdict.outcome is Outcome.FAILED:
        missed = state is State.ONLINE or (confirming and not record.spec.acts)
    else:
        missed = False
    return Probed(record.id, record.incarnation, bool(reading.alive), verdict) if missed else None
