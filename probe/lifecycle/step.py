"""The one function that decides: an event and the time in, records and actions out. Pure.

An answer that carries an operation or an incarnation of the past is dropped here, by comparison, and nowhere else; it
only tells that the worker of that operation has returned.
"""

from __future__ import annotations

from typing import assert_never

from probe.lifecycle import blame, collateral, configure, graph, maintenance, operations, requests, upgrading
from probe.lifecycle.actions import Action, FailOver
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import (
    Asked,
    Configured,
    Drained,
    Event,
    Exited,
    Found,
    Maintained,
    OperationFailed,
    Owned,
    Planned,
    Probed,
    Progressed,
    Started,
    Stopped,
    Suspected,
    Tick,
    Trigger,
    Upgraded,
)
from probe.lifecycle.settle import settle
from probe.lifecycle.transitions import Input
from probe.lifecycle.world import Decision, Phase, Record, Remains, World
from probe.values import Reason, ResourceId, State, Verdict, evidence_of


def step(world: World, event: Event, now: float) -> Decision:
    """Decide what follows from `event` at `now` (monotonic seconds). The world is not changed: apply the decision."""
    draft = Draft(world, now, _trigger_of(event))
    subject: ResourceId | None = None
    match event:
        case Probed() | Suspected():  # by far the most
            subject = event.id
            _probed(draft, event)
        case Configured():
            configure.configure(draft, event)
        case Owned():
            configure.own(draft, event)
        case Asked():
            requests.ask(draft, event)
        case Started() | Stopped() | Upgraded() | OperationFailed():
            subject = event.id
            _answer(draft, event)
        case Progressed():
            _progressed(draft, event)
        case Maintained():
            maintenance.maintain(draft, event)
        case Found():
            subject = event.id
            _found(draft, event)
        case Exited():
            subject = event.id
            _exited(draft, event)
        case Tick():
            maintenance.expire(draft)
            for id in draft.due(event.only):
                _overdue(draft, id)
        case Drained():
            _drain(draft)
        case Planned(on=on):
            _plan(draft, on)
        case _:
            assert_never(event)
    settle(draft, subject)
    draft.decision.actions = [action for action in draft.decision.actions if _stands(draft, action)]
    return draft.decision


def _stands(draft: Draft, action: Action) -> bool:
    """Whether an action is still meant: what was put down to a provider in the end asks for no other node."""
    record = draft.record(action.because) if isinstance(action, FailOver) else None
    return record is None or record.spent


def _trigger_of(event: Event) -> Trigger:
    match event:
        case Exited() | Probed():
            return event.trigger
        case Configured() | Owned():
            return Trigger.STORE
        case Asked() | Drained() | Planned() | Maintained():
            return Trigger.OPERATOR
        case Started() | Stopped() | Upgraded() | Progressed() | OperationFailed() | Found():
            return Trigger.CONTROLLER
        case Suspected():
            return Trigger.PROBE
        case Tick():
            return Trigger.TIMER
        case _:
            assert_never(event)


def _answer(draft: Draft, event: Started | Stopped | Upgraded | OperationFailed) -> None:
    record = draft.record(event.id)
    if record is None or event.op not in record.workers:
        return
    record = draft.put(record, workers=record.workers - {event.op})
    if record.op != event.op:  # of an earlier incarnation
        _late(draft, record, event)
        return
    if record.whole:
        collateral.follow(draft, record)
    match event, record.phase:
        case Started(), Phase.STARTING:
            operations.controller_done(draft, record, draft.trigger)
        case Stopped(), Phase.STOPPING:
            operations.stopped(draft, record, draft.trigger)
        case Stopped(), Phase.CLEARING:
            operations.cleared(draft, record)
        case OperationFailed(verdict=verdict), Phase.STARTING:
            operations.fail(draft, record, verdict, draft.trigger)
        case OperationFailed(verdict=verdict), Phase.STOPPING:
            operations.stop_failed(draft, record, verdict, draft.trigger, Input.FAIL)
        case OperationFailed(), Phase.CLEARING:
            operations.clear_failed(draft, record)
        case Upgraded(), Phase.UPGRADING:
            upgrading.end(draft, record)
        case OperationFailed(verdict=verdict), Phase.UPGRADING:
            requests.fail(draft, upgrading.end(draft, record), verdict)
        case _:
            pass  # a start that is being confirmed has had its answer


def _progressed(draft: Draft, event: Progressed) -> None:
    record = draft.record(event.id)
    if record is None or record.op is None:
        return
    text = f"{event.done} of {event.total}" + (f": {event.text}" if event.text else "")
    draft.put(record, progress=evidence_of(text))


def _late(draft: Draft, record: Record, event: Started | Stopped | Upgraded | OperationFailed) -> None:
    """Learn from a late answer only what may still run."""
    idle = record.phase is None and record.state is State.FAILED
    if idle and isinstance(event, Started) and record.remains is Remains.NONE:
        draft.put(record, remains=Remains.SOME)
    elif idle and isinstance(event, Stopped) and record.remains is Remains.STUCK:
        draft.put(record, remains=Remains.NONE)


def _found(draft: Draft, event: Found) -> None:
    record = draft.record(event.id)
    if record is not None and record.state is State.OFFLINE:
        draft.put(record, remains=Remains.SOME)


def _exited(draft: Draft, event: Exited) -> None:
    record = draft.record(event.id)
    if record is None or record.incarnation != event.incarnation:
        return
    if record.state in (State.ONLINE, State.ONLINE_PENDING):
        operations.fail(draft, record, event.verdict, draft.trigger)
    elif record.state in (State.FAILED, State.OFFLINE) and record.phase is None:
        draft.put(record, remains=Remains.NONE)


def _probed(draft: Draft, event: Probed | Suspected) -> None:
    record = draft.record(event.id)
    if record is None or record.incarnation != event.incarnation or not record.watched:
        return
    if isinstance(event, Suspected):
        blame.suspect(draft, record)
        return
    verdict = event.verdict
    match record.state, event.alive:
        case State.ONLINE_PENDING, True if record.phase is Phase.CONFIRMING:
            operations.ready(draft, record, draft.trigger, verdict.evidence)
        case State.ONLINE_PENDING, False if not record.spec.acts:
            if not graph.stands_on_a_start(draft, record):  # else the sweep tells it again, should it stay so
                operations.fail(draft, record, verdict, draft.trigger)
        case State.ONLINE, False:
            blame.fail_or_hold(draft, record, verdict)
        case State.ONLINE, True if record.held is not None:
            draft.put(record, held=None, due=None)
        case State.FAILED, True if record.wanted and record.phase is None:
            operations.recover(draft, record, draft.trigger, verdict)
        case _:
            pass


def _overdue(draft: Draft, id: ResourceId) -> None:
    record = draft.record(id)
    if record is None:
        return
    if record.whole:
        collateral.follow(draft, record)
    verdict = Verdict(Reason.PENDING_TIMEOUT, f"not done within {record.spec.pending_timeout_s:g} s")
    match record.state:
        case State.ONLINE_PENDING:
            operations.fail(draft, record, verdict, draft.trigger, Input.OVERDUE)
        case State.OFFLINE_PENDING:
            operations.stop_failed(draft, record, verdict, draft.trigger, Input.OVERDUE)
        case State.FAILED if record.phase is Phase.CLEARING:
            operations.clear_failed(draft, record, overdue=True)
        case _ if record.held is not None:
            blame.release(draft, record)
        case _:  # the restart's or the retry's time has come; settling begins it
            draft.put(record, due=None, spent=False)


def _drain(draft: Draft) -> None:
    draft.decision.draining = True
    for id in draft.all_ids():
        record = draft.record(id)
        if record is not None and record.spec.ours_to_stop:
            draft.put(record)


def _plan(draft: Draft, on: bool) -> None:
    """Begin or end a time of planned stops; at its end whatever was left down is considered again."""
    draft.decision.planned = on
    for id in () if on else draft.all_ids():
        record = draft.record(id)
        if record is not None and record.spec.acts and record.state in (State.FAILED, State.OFFLINE):
            draft.put(record)
