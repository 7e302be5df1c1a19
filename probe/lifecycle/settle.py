"""After an event: consider every resource it touched, and their neighbours, until nothing more follows.

Each consideration moves a resource towards what is wanted of it by at most one operation; whatever it changes puts its
providers and dependents on the list again. The order of the list is the order of the touching, so that the same inputs
give the same actions.
"""

from __future__ import annotations

from collections import deque

from probe.lifecycle import blame, capacity, configure, graph, operations, requests, sharing, upgrading
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Trigger
from probe.lifecycle.world import Phase, Record, Remains
from probe.values import Reason, ResourceId, State, Verdict

ROUNDS_PER_RESOURCE_MAX = 1_000  # a resource considered more often in one step is a bug of ours


class Unsettled(Exception):
    """Our own bug: a step does not come to rest."""


def settle(draft: Draft, subject: ResourceId | None) -> None:
    """Consider what was touched until nothing more follows. `subject` is whom the event was about."""
    waiting = _Waiting(draft)
    counts: dict[ResourceId, int] = {}
    while (id := waiting.next()) is not None:
        record = draft.record(id)
        if record is None:
            continue
        counts[id] = counts.get(id, 0) + 1
        if counts[id] > ROUNDS_PER_RESOURCE_MAX:
            raise Unsettled(f"{record} and does not come to rest")
        _consider(draft, record, draft.trigger if id == subject or subject is None else Trigger.DEPENDENCY)
        requests.follow(draft, id)


class _Waiting:
    """Who is to be considered: what was touched, its providers, and everything that stands on it.

    Those further up hear of it even when what lies between has not changed: whether they may run depends on the whole
    chain below them, as far down as resources act.
    """

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._queue: deque[ResourceId] = deque()
        self._waiting: set[ResourceId] = set()
        self._passing_on: set[ResourceId] = set()

    def next(self) -> ResourceId | None:
        """Take the next one, or None when all is at rest."""
        touched, self._draft.touched = self._draft.touched, {}
        for id, shaken in touched.items():
            self._add(id)
            record = self._draft.record(id)
            self._add_those_below(record)
            self._pass_on(id, shaken=shaken)
        if not self._queue:
            return None
        id = self._queue.popleft()
        self._waiting.discard(id)
        if id in self._passing_on:
            self._passing_on.discard(id)
            record = self._draft.record(id)
            if record is not None and record.spec.acts:
                self._pass_on(id, shaken=True)
        return id

    def _add_those_below(self, record: Record | None) -> None:
        """Have its providers considered, and those that wait by way of a provider that is down."""
        if record is None or not record.spec.depends_on:
            return
        seen: set[ResourceId] = set()
        queue = deque(record.spec.depends_on)
        while queue:
            id = queue.popleft()
            if id in seen:
                continue
            seen.add(id)
            self._add(id)
            provider = self._draft.record(id)
            if provider is not None and graph.passes_waiting_on(self._draft, provider):
                queue += provider.spec.depends_on

    def _pass_on(self, id: ResourceId, *, shaken: bool) -> None:
        for dependent in self._draft.dependents(id):
            self._add(dependent)
            if shaken:
                self._passing_on.add(dependent)

    def _add(self, id: ResourceId) -> None:
        if id not in self._waiting:
            self._waiting.add(id)
            self._queue.append(id)


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
    if record.phase is Phase.UPGRADING or _is_to_be_left(draft, record):
        return  # it will answer; or nothing is to be done
    if record.remains is Remains.SOME and graph.must_not_be_found_running(draft, record):
        if not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
        return
    if record.removing:
        requests.follow(draft, record.id)  # it will not be there to be followed
        if not record.workers:  # S55: if it comes back, they still count
            configure.forget(draft, record)
        return
    if record.next_spec is not None:
        record = configure.take_over(draft, record)
        if record.upgrade and not record.spec.can_upgrade:
            lost = Verdict(Reason.SERVICE_STOPPED, "its controller has changed and has no upgrade")
            record = requests.fail(draft, upgrading.end(draft, record), lost)
    if record.bounce:
        record = draft.put(record, bounce=False)
    if not graph.is_here(draft, record):
        if record.remains is Remains.NONE:
            record = configure.close(draft, record)
    elif upgrading.is_due(record) and not draft.decision.draining:
        upgrading.begin(draft, record)
        return
    elif _may_start(draft, record):
        lack = capacity.lack_of(draft, record)
        if lack is None:
            operations.start(draft, record, trigger)
        else:
            operations.turn_away(draft, record, lack, trigger)
        return
    _tell_what_holds(draft, record)


def _is_to_be_left(draft: Draft, record: Record) -> bool:
    """Whether maintenance keeps an offline resource as it is; one that is found running is only taken over."""
    if not record.spec.acts or not graph.is_let_alone(draft, record):
        return False
    return record.remains is not Remains.SOME or graph.must_not_be_found_running(draft, record)


def _may_start(draft: Draft, record: Record) -> bool:
    if graph.must_stop(draft, record) or draft.decision.draining or record.workers:
        return False
    if not record.spec.acts:
        return True
    return graph.providers_online(draft, record) and not draft.decision.planned and not sharing.is_ending(draft, record)


def _tell_what_holds(draft: Draft, record: Record) -> None:
    """Keep the reason of an offline resource true: who holds it, or that somebody wants it so."""
    if not operations.is_kept_up(draft, record):
        if record.root_cause is not None:
            evidence = operations.why_offline(draft, record)
            draft.put(record, root_cause=None, reason=Reason.SERVICE_STOPPED, evidence=evidence)
        return
    cause = graph.down_provider(draft, record)
    if cause is None and record.root_cause is not None:  # on its way back; another one may not be
        cause = graph.root_cause(draft, record) or record.root_cause
    if cause != record.root_cause:
        draft.put(record, root_cause=cause, reason=Reason.DEPENDENCY_DOWN, evidence=f"waits for {cause}")


def _consider_running(draft: Draft, record: Record, trigger: Trigger) -> None:
    if record.held is not None and graph.root_cause(draft, record) is not None:
        blame.release(draft, record)
        return
    if graph.is_let_alone(draft, record):
        return
    if record.spec.acts:
        if graph.must_stop(draft, record) and not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
    elif graph.told_to_stop(draft, record) and not graph.has_blockers(draft, record):
        operations.stop(draft, record, trigger)


def _consider_failed(draft: Draft, record: Record, trigger: Trigger) -> None:
    record = blame.keep_true(draft, record)
    if record.phase is Phase.CLEARING or graph.is_let_alone(draft, record):
        return
    if graph.told_to_stop(draft, record):
        _take_down_failed(draft, record, trigger)
    elif record.spec.acts:
        _bring_back(draft, record, trigger)


def _take_down_failed(draft: Draft, record: Record, trigger: Trigger) -> None:
    if not record.spec.acts:
        operations.stop(draft, record, trigger)
    elif record.remains is Remains.STUCK and operations.is_kept_up(draft, record):
        if record.spent or record.due is not None:
            return
        if record.workers:  # S55, as below
            operations.plan_restart(draft, record, operations.HUNG_WORKER_RETRY_S)
        elif not graph.has_blockers(draft, record):
            operations.stop(draft, record, trigger)
    elif record.remains is Remains.SOME:
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
    if draft.decision.draining or draft.decision.planned or record.spent or record.due is not None:
        return
    if record.workers:  # S55: the attempt counts, no second worker starts
        operations.plan_restart(draft, record, operations.HUNG_WORKER_RETRY_S)
    elif record.remains is not Remains.NONE:
        operations.clear(draft, record)
    elif (lack := capacity.lack_of(draft, record)) is not None:
        operations.turn_away(draft, record, lack, trigger)
    elif graph.providers_online(draft, record) and not sharing.is_ending(draft, record):
        draft.decision.restarted.append(record.id)
        record = draft.put(record, restarts=record.restarts + 1)
        operations.start(draft, record, trigger)
