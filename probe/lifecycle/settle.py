"""After an event: consider every resource it touched, and their neighbours, until nothing more follows.

Each consideration moves a resource towards what is wanted of it by at most one operation; whatever it changes puts its
providers and dependents on the list again. The order of the list is the order of the touching, so that the same inputs
give the same actions.
"""

from __future__ import annotations

from collections import deque

from probe.lifecycle import actions, configure, graph, operations, requests
from probe.lifecycle.events import Trigger
from probe.lifecycle.world import Draft, Phase, Record, Remains
from probe.values import Reason, ResourceId, State

ROUNDS_PER_RESOURCE_MAX = 64  # a resource considered more often in one step is a bug of ours


class Unsettled(Exception):
    """Our own bug: a step does not come to rest."""


def settle(draft: Draft, subject: ResourceId | None) -> None:
    """Consider what was touched until nothing more follows. `subject` is whom the event was about."""
    queue: deque[ResourceId] = deque()
    waiting: set[ResourceId] = set()
    counts: dict[ResourceId, int] = {}
    _enqueue(draft, queue, waiting)
    while queue:
        id = queue.popleft()
        waiting.discard(id)
        record = draft.record(id)
        if record is None:
            continue
        counts[id] = counts.get(id, 0) + 1
        if counts[id] > ROUNDS_PER_RESOURCE_MAX:
            raise Unsettled(f"{record} and does not come to rest")
        _consider(draft, record, draft.trigger if id == subject or subject is None else Trigger.DEPENDENCY)
        requests.follow(draft, id)
        _enqueue(draft, queue, waiting)


def _enqueue(draft: Draft, queue: deque[ResourceId], waiting: set[ResourceId]) -> None:
    touched, draft.touched = draft.touched, {}
    for id in touched:
        record = draft.record(id)
        near = () if record is None else (*record.spec.depends_on, *draft.dependents(id))
        for each in (id, *near):
            if each not in waiting:
                waiting.add(each)
                queue.append(each)


def _consider(draft: Draft, record: Record, trigger: Trigger) -> None:
    match record.state:
        case State.OFFLINE:
            _consider_offline(draft, record, trigger)
        case State.ONLINE | State.ONLINE_PENDING:
            _consider_running(draft, record, trigger)
        case State.FAILED:
            _consider_failed(draft, record, trigger)
        case State.OFFLINE_PENDING:
            pass  # its operation will answer


def _consider_offline(draft: Draft, record: Record, trigger: Trigger) -> None:
    if record.removing:
        configure.forget(draft, record)
        return
    if record.next_spec is not None:
        draft.act(actions.Close(record.id))
        draft.act(actions.Open(record.id))
        record = draft.put(record, spec=record.next_spec, next_spec=None)
    if record.bounce:
        record = draft.put(record, bounce=False)
    if record.remains is Remains.SOME and graph.must_not_be_found_running(draft, record):
        if not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
        return
    if graph.must_stop(draft, record) or draft.decision.draining or record.workers:
        return
    if not record.spec.acts or graph.providers_online(draft, record):
        operations.start(draft, record, trigger)


def _consider_running(draft: Draft, record: Record, trigger: Trigger) -> None:
    if record.spec.acts:
        if graph.must_stop(draft, record) and not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
    elif graph.told_to_stop(draft, record) and not graph.has_blockers(draft, record):
        operations.stop(draft, record, trigger)


def _consider_failed(draft: Draft, record: Record, trigger: Trigger) -> None:
    record = _blame(draft, record)
    if record.phase is Phase.CLEARING:
        return
    if graph.told_to_stop(draft, record):
        _take_down_failed(draft, record, trigger)
    elif record.spec.acts:
        _bring_back(draft, record, trigger)


def _take_down_failed(draft: Draft, record: Record, trigger: Trigger) -> None:
    if not record.spec.acts:
        operations.stop(draft, record, trigger)
    elif record.remains is Remains.SOME or (record.remains is Remains.STUCK and record.bounce and not record.workers):
        if not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
    elif record.remains is Remains.NONE or record.removing:
        operations.stopped(draft, record, trigger)


def _bring_back(draft: Draft, record: Record, trigger: Trigger) -> None:
    if graph.has_blockers(draft, record):
        return
    if graph.must_stop(draft, record):  # a provider is down, or we are ending
        if record.remains is Remains.SOME:
            operations.clear(draft, record)
        return
    if draft.decision.draining or record.spent or record.due is not None:
        return
    if record.workers:  # S55: the attempt counts, no second worker starts
        operations.plan_restart(draft, record, operations.HUNG_WORKER_RETRY_S)
    elif record.remains is not Remains.NONE:
        operations.clear(draft, record)
    elif graph.providers_online(draft, record):
        draft.decision.restarted.append(record.id)
        record = draft.put(record, restarts=record.restarts + 1)
        operations.start(draft, record, trigger)


def _blame(draft: Draft, record: Record) -> Record:
    """Keep a failed resource's reason true while its providers fail and recover: theirs first, then its own."""
    cause = graph.root_cause(draft, record)
    if cause == record.root_cause or record.failure is None:
        return record
    if cause is not None:
        changes: dict[str, object] = {"root_cause": cause, "reason": Reason.DEPENDENCY_DOWN}
        if record.root_cause is None and record.spec.acts and record.phase is None:
            # What was planned, or given up, was for another's fault: the provider's return gives one new try.
            attempts = record.attempts if record.spent else record.attempts[:-1]
            changes |= {"attempts": attempts, "spent": False, "due": None}
        return draft.put(record, **changes)
    return draft.put(record, root_cause=None, reason=record.failure.reason)
