"""After a shared service was ended for one of its users: the others are asked, or told (S37)."""

from __future__ import annotations

from probe.lifecycle import actions, operations, sharing
from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Record
from probe.values import State


def follow(draft: Draft, ended: Record) -> None:
    """Have those who shared the service of `ended` look at once; who has no check of its own is failed."""
    for other in list(sharing.others(draft, ended)):
        draft.touch(other.id)  # it may have waited for the end
        if other.felled is None or other.felled.by != ended.id or other.state is not State.ONLINE:
            continue
        verdict = sharing.collateral(draft, other)
        if other.watched:
            draft.act(actions.Verify(other.id))
        elif verdict is not None:
            operations.fail(draft, other, verdict, draft.trigger)
