"""The lost event made good (S62): what the monitor believes compared with what the core believes, without any I/O."""

from __future__ import annotations

from collections.abc import Callable

from probe.environment import Clock
from probe.lifecycle.events import Probed
from probe.lifecycle.world import Phase, Record, World
from probe.monitor.cache import Level
from probe.values import Outcome, ResourceId, State

INTERVAL_S = 5.0  # S62: looks_alive_interval_s
SLICE = 500  # resources read between two passes of the loop


async def sweep(
    clock: Clock, world: World, level_of: Callable[[ResourceId], Level | None], post: Callable[[Probed], None]
) -> None:
    """Compare for ever, and post what the core has missed."""
    while True:
        await clock.sleep(INTERVAL_S)
        for index, id in enumerate(list(world.records)):
            if index % SLICE == 0:
                await clock.sleep(0)
            record = world.records.get(id)
            missed = None if record is None else lost_edge(record, level_of(id))
            if missed is not None:
                post(missed)


def lost_edge(record: Record, level: Level | None) -> Probed | None:
    """Say the edge that the core must have missed, or None. An edge on its way is told twice then, and obeyed once.

    Only a raw result that agrees with the level is told: a failure whose reason is `matched` would help nobody.
    """
    if level is None or not record.watched:
        return None
    verdict, state = level.verdict, record.state
    confirming = state is State.ONLINE_PENDING and record.phase is Phase.CONFIRMING
    if level.alive is True and verdict.outcome is Outcome.ALIVE:
        missed = confirming or state is State.FAILED
    elif level.alive is False and verdict.outcome is Outcome.FAILED:
        missed = state is State.ONLINE or (confirming and not record.spec.acts)
    else:
        missed = False
    return Probed(record.id, record.incarnation, bool(level.alive), verdict) if missed else None
