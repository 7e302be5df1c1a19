"""Maintenance of a group: nothing is started, stopped or killed, whatever happens; watching and telling go on.

What was in progress when it began comes to its end. What it kept from being done is considered when it is over. Our own
end (`Drained`) is not kept back by it.
"""

from __future__ import annotations

from dataclasses import replace

from probe.lifecycle import operations
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Maintained
from probe.lifecycle.world import GroupRecord, Maintenance, Refused
from probe.values import State


def maintain(draft: Draft, event: Maintained) -> None:
    """Begin or end the maintenance of a group; the answer is a refusal when there is no such group."""
    group = draft.group(event.group)
    if group is None:
        draft.decision.answer = Refused("not_found", f"there is no group {event.group}; `looksalive status` lists them")
    elif event.on:
        _begin(draft, group, Maintenance(event.owner, draft.now, event.until))
    else:
        _end(draft, group)


def expire(draft: Draft) -> None:
    """End what is over by itself."""
    for name in draft.maintained():
        group = draft.group(name)
        if group is not None:
            _end(draft, group)


def _begin(draft: Draft, group: GroupRecord, maintenance: Maintenance) -> None:
    draft.decision.groups[group.name] = replace(group, maintenance=maintenance)
    for id in group.members:
        record = draft.record(id)
        if record is not None and record.state is State.FAILED and record.phase is None and not record.watched:
            operations.keep_looking(draft, record)  # whoever mends it by hand is noticed


def _end(draft: Draft, group: GroupRecord) -> None:
    if group.maintenance is None:
        return
    draft.decision.groups[group.name] = replace(group, maintenance=None)
    for id in draft.all_ids():  # also who was removed meanwhile, and is no member any more
        record = draft.record(id)
        if record is not None and id.group == group.name:
            draft.put(record)
