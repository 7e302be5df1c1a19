"""Upgrade, a verb without a time-out (S53): the service is taken offline, upgraded, and brought back where it was.

The state stays `offline` while the upgrade runs. Terminate calls it off. One that failed changes nothing else: what was
wanted of the resource is still wanted, and the request says what went wrong.
"""

from __future__ import annotations

from probe.lifecycle import actions, configure, operations
from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Phase, Record, Remains
from probe.values import State


def is_due(record: Record) -> bool:
    """Whether the upgrade can begin now."""
    idle = record.phase is None and not record.workers and record.remains is Remains.NONE
    return record.upgrade and record.state is State.OFFLINE and idle and not record.removing


def begin(draft: Draft, record: Record) -> None:
    """Have the controller upgrade the service."""
    op = draft.new_op()
    record = configure.reopen(draft, record)
    draft.put(record, op=op, phase=Phase.UPGRADING, workers=record.workers | {op}, due=None, progress="")
    draft.act(actions.Upgrade(record.id, op))


def end(draft: Draft, record: Record) -> Record:
    """Note that the upgrade is over, well or not. Returns the new record."""
    return draft.put(record, op=None, phase=None, upgrade=False, progress="")


def call_off(draft: Draft, record: Record) -> Record:
    """Give up an upgrade that waits or runs. Returns the new record."""
    if record.phase is Phase.UPGRADING:
        operations.cancel_worker(draft, record)
        return end(draft, record)
    return draft.put(record, upgrade=False) if record.upgrade else record
