"""Services that several resources share: whose they are, and who falls when one is ended whole (S36 to S38, S59, S60).

1. Resources whose controllers name the same service share it. smtp's offline ends that service for all of them, and so
   does the terminate of whoever has no instance of its own in it.
2. Who ran on it until then is *felled*: its failure that follows within `FELLED_S` is `collateral`, costs nothing of
   its budget and never fails its group over. Its own check finds the failure (S37); where it has none, it is told.
3. Until the service has ended nobody who shares it is started.
"""

from __future__ import annotations

from collections.abc import Iterator

from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Felled, Record
from probe.values import Reason, State, Verdict

FELLED_S = 300.0


def others(draft: Draft, record: Record) -> Iterator[Record]:
    """Yield who else shares its service here."""
    for id in draft.sharers(record.spec.service) if record.spec.service else ():
        other = None if id == record.id else draft.record(id)
        if other is not None and other.spec.service == record.spec.service:
            yield other


def ends_whole(record: Record, *, terminate: bool) -> bool:
    """Whether its end is the end of the service for everybody."""
    return record.spec.traits.stops_the_whole_service or (terminate and not record.spec.has_instance)


def fell(draft: Draft, record: Record) -> None:
    """Note who runs on a service that is being ended for this one's sake."""
    for other in others(draft, record):
        if other.state in (State.ONLINE, State.ONLINE_PENDING):
            draft.put(other, felled=Felled(record.id, draft.now))


def is_ending(draft: Draft, record: Record) -> bool:
    """Whether somebody else's end of the service is in progress."""
    return any(other.whole for other in others(draft, record))


def collateral(draft: Draft, record: Record) -> Verdict | None:
    """Return what is to be said of its failure when it was felled, else None."""
    felled = record.felled
    if felled is None or draft.now - felled.at > FELLED_S:
        return None
    return Verdict(Reason.COLLATERAL, f"the service it shares was ended for {felled.by}")
