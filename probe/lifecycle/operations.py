"""What is done to one resource: its online, its offline, its failure, its clearing. Each writes into the draft."""

from __future__ import annotations

from probe.lifecycle import actions, capacity, configure, graph, restarts, sharing
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Trigger
from probe.lifecycle.transitions import Input
from probe.lifecycle.world import Phase, Record, Remains
from probe.values import Incarnation, Reason, State, Verdict

HUNG_WORKER_RETRY_S = 1.0  # S55: the wait between attempts while a worker of an earlier one has not returned

_NOTHING_RUNS = frozenset({Reason.PROCESS_GONE, Reason.SERVICE_STOPPED, Reason.EXTERNAL_STOP, Reason.COLLATERAL})


def start(draft: Draft, record: Record, trigger: Trigger) -> None:
    """Begin an online: pending at once, the controller works, a first good check confirms (S50, S66)."""
    spec = record.spec
    record = configure.reopen(draft, unwatch(draft, record))
    op = draft.new_op()
    incarnation = Incarnation(record.incarnation + 1)
    timed = spec.acts and not spec.traits.online_waits_forever
    record = draft.move(
        record,
        Input.START,
        trigger,
        op=op,
        phase=Phase.STARTING if spec.acts else Phase.CONFIRMING,
        incarnation=incarnation,
        due=draft.now + spec.pending_timeout_s if timed else None,
        workers=record.workers | {op} if spec.acts else record.workers,
        spent=False,
        remains=Remains.NONE,
        felled=None,
        progress="",
        reason=Reason.NOT_YET,
        evidence="",
        root_cause=None,
    )
    if spec.acts:
        draft.act(actions.Start(record.id, op, incarnation))
    elif spec.checked:
        _watch(draft, record, alive=None)
    else:
        ready(draft, record, trigger)


def controller_done(draft: Draft, record: Record, trigger: Trigger) -> None:
    """Go on after the controller's start: to the confirming check where there is one, else online."""
    if record.spec.checked:
        record = draft.put(record, phase=Phase.CONFIRMING)
        _watch(draft, record, alive=None, confirming=True)
    else:
        ready(draft, record, trigger)


def ready(draft: Draft, record: Record, trigger: Trigger, evidence: str = "") -> None:
    """End an online with success."""
    record = draft.move(
        record,
        Input.READY,
        trigger,
        op=None,
        phase=None,
        due=None,
        remains=Remains.NONE,
        failure=None,
        reason=Reason.MATCHED,
        evidence=evidence,
    )
    if record.spec.acts and record.spec.checked:
        _watch(draft, record, alive=True)


def recover(draft: Draft, record: Record, trigger: Trigger, verdict: Verdict) -> None:
    """Bring a failed resource back without any action: its own checks are good again (S63)."""
    draft.move(
        record,
        Input.RECOVER,
        trigger,
        due=None,
        spent=False,
        remains=Remains.NONE,
        failure=None,
        root_cause=None,
        held=None,
        reason=verdict.reason,
        evidence=verdict.evidence,
    )


def fail(draft: Draft, record: Record, verdict: Verdict, trigger: Trigger, occurrence: Input = Input.FAIL) -> None:
    """Mark a starting or online resource failed and decide what follows: hold, restart or give up (S54)."""
    cause = graph.root_cause(draft, record)
    collateral = None if cause is not None else sharing.collateral(draft, record)
    verdict = collateral or verdict
    cancel_worker(draft, record)
    record = draft.move(
        record,
        occurrence,
        trigger,
        op=None,
        phase=None,
        due=None,
        held=None,
        felled=None,
        failure=verdict,
        root_cause=cause,
        reason=Reason.DEPENDENCY_DOWN if cause else verdict.reason,
        evidence=verdict.evidence,
        remains=Remains.NONE if verdict.reason in _NOTHING_RUNS or not record.spec.acts else Remains.SOME,
    )
    if graph.is_let_alone(draft, record):
        keep_looking(draft, record)
    elif record.spec.acts and cause is None and is_kept_up(draft, record) and not graph.told_to_stop(draft, record):
        delay_s = HUNG_WORKER_RETRY_S if record.workers else 0.0
        plan_restart(draft, record, delay_s, free=verdict.reason is Reason.COLLATERAL)
    elif record.spec.acts:
        unwatch(draft, record)


def keep_looking(draft: Draft, record: Record) -> None:
    """Go on checking a failed resource for which nothing is done, so that its recovery is noticed (S63)."""
    if record.spec.checked:
        _watch(draft, record, alive=False)


def turn_away(draft: Draft, record: Record, verdict: Verdict, trigger: Trigger) -> None:
    """Fail an online before anything is done for it: there is no room (S45)."""
    lost = {"spent": True, "due": None, "failure": verdict, "reason": verdict.reason, "evidence": verdict.evidence}
    if record.state is State.FAILED:
        draft.put(record, **lost)
        return
    record = draft.move(record, Input.START, trigger, reason=Reason.NOT_YET, evidence="", root_cause=None)
    draft.move(record, Input.FAIL, trigger, **lost)


def plan_restart(draft: Draft, record: Record, delay_min_s: float = 0.0, *, free: bool = False) -> None:
    """Spend one restart of the budget on a failed resource, or give up and keep only its check (S54, S63).

    One that is `free` costs nothing: it is for another's fault (S37).
    """
    spec = record.spec
    free = free and spec.restart
    if free or restarts.left(record.attempts, spec, draft.now):
        delay_s = max(spec.restart_delay_s, delay_min_s)
        counted = restarts.recent(record.attempts, spec, draft.now)
        attempts = counted if free else (*counted, draft.now)
        record = unwatch(draft, record)
        draft.put(record, attempts=attempts, spent=False, due=draft.now + delay_s if delay_s else None)
        return
    retry_s = spec.retry_period_s
    record = draft.put(record, spent=True, due=None if retry_s is None else draft.now + retry_s)
    keep_looking(draft, record)
    if spec.fail_over:
        draft.act(actions.FailOver(record.id.group, record.id))


def stop(draft: Draft, record: Record, trigger: Trigger, *, terminate: bool = False) -> None:
    """Begin an offline (S50), or the operator's terminate, which waits for nobody (S68)."""
    held = not graph.told_to_stop(draft, record) and not draft.decision.draining
    cause = graph.holding_provider(draft, record) if held else None
    cancel_worker(draft, record)
    record = draft.put(unwatch(draft, record), held=None)
    reason = Reason.DEPENDENCY_DOWN if held else Reason.SERVICE_STOPPED
    evidence = f"waits for {cause}" if held else why_offline(draft, record)
    if not record.spec.acts:
        rest = {"op": None, "phase": None, "due": None, "reason": reason, "evidence": evidence, "root_cause": None}
        if record.state is not State.FAILED:
            record = draft.move(record, Input.STOP, trigger, **rest)
        draft.move(record, Input.STOPPED, trigger, bounce=False, failure=None, **rest)
        return
    op = draft.new_op()
    whole = sharing.ends_whole(record, terminate=terminate)
    record = draft.move(
        record,
        Input.STOP,
        trigger,
        op=op,
        whole=whole,
        phase=Phase.STOPPING,
        workers=record.workers | {op},
        due=draft.now + record.spec.pending_timeout_s,
        reason=reason,
        evidence=evidence,
        root_cause=cause,
    )
    draft.act(actions.Terminate(record.id, op) if terminate else actions.Stop(record.id, op))
    if whole:
        sharing.fell(draft, record)


def hasten(draft: Draft, record: Record) -> None:
    """Turn an offline in progress into a terminate: it need not be waited for (S68)."""
    cancel_worker(draft, record)
    op = draft.new_op()
    due, whole = draft.now + record.spec.pending_timeout_s, sharing.ends_whole(record, terminate=True)
    record = draft.put(record, op=op, workers=record.workers | {op}, due=due, whole=whole)
    draft.act(actions.Terminate(record.id, op))
    if whole:
        sharing.fell(draft, record)


def stopped(draft: Draft, record: Record, trigger: Trigger) -> None:
    """End an offline with success: nothing of it runs."""
    record = unwatch(draft, record)
    told: dict[str, object] = {}
    if record.state is State.FAILED:
        told = {"reason": Reason.SERVICE_STOPPED, "evidence": why_offline(draft, record), "root_cause": None}
    draft.move(
        record,
        Input.STOPPED,
        trigger,
        op=None,
        phase=None,
        due=None,
        bounce=False,
        spent=False,
        remains=Remains.NONE,
        failure=None,
        whole=False,
        felled=None,
        **told,
    )
    if record.spec.storage_groups:
        capacity.make_room_known(draft)


def stop_failed(draft: Draft, record: Record, verdict: Verdict, trigger: Trigger, occurrence: Input) -> None:
    """End an offline without success: failed, reported; three types have their process killed (S56)."""
    cancel_worker(draft, record)
    record = draft.move(
        record,
        occurrence,
        trigger,
        op=None,
        phase=None,
        due=None,
        failure=verdict,
        reason=verdict.reason,
        evidence=verdict.evidence,
        root_cause=None,
        bounce=False,
        whole=False,
        remains=Remains.STUCK,
    )
    if occurrence is Input.OVERDUE and record.spec.traits.kill_when_offline_hangs:
        _kill(draft, record)
    if is_kept_up(draft, record):
        plan_restart(draft, record, HUNG_WORKER_RETRY_S)


def clear(draft: Draft, record: Record) -> None:
    """Have what remains of a failed resource ended, so that it can start anew; its state stays failed."""
    op = draft.new_op()
    record = unwatch(draft, record)
    workers, whole = record.workers | {op}, sharing.ends_whole(record, terminate=True)
    due = draft.now + record.spec.pending_timeout_s
    record = draft.put(record, op=op, phase=Phase.CLEARING, workers=workers, due=due, whole=whole)
    draft.act(actions.Terminate(record.id, op))
    if whole:
        sharing.fell(draft, record)


def cleared(draft: Draft, record: Record) -> None:
    """Note that nothing of a failed resource runs any more."""
    draft.put(record, op=None, phase=None, due=None, remains=Remains.NONE, whole=False)
    if record.spec.storage_groups:
        capacity.make_room_known(draft)


def clear_failed(draft: Draft, record: Record, *, overdue: bool = False) -> None:
    """Note that clearing did not succeed; that counts as an attempt, and nobody waits for it any more.

    Where it means to dismount, and takes too long, the process is killed (S69).
    """
    cancel_worker(draft, record)
    record = draft.put(record, op=None, phase=None, due=None, remains=Remains.STUCK, whole=False)
    if overdue and record.spec.traits.dismounts_on_terminate:
        _kill(draft, record)
    if is_kept_up(draft, record):
        plan_restart(draft, record, HUNG_WORKER_RETRY_S)


def is_kept_up(draft: Draft, record: Record) -> bool:
    """Whether a resource that is down is to come back, at once or by way of its offline."""
    return record.wanted and not record.removing and graph.is_here(draft, record) and not draft.decision.draining


def why_offline(draft: Draft, record: Record) -> str:
    """Say for people why a resource is taken offline that no provider takes down."""
    if draft.decision.draining:
        return "looksalive is ending"
    if record.removing:
        return "no longer in the store"
    if not record.wanted:
        return "taken offline on request"
    if record.bounce or record.upgrade:
        return f"being {'upgraded' if record.upgrade else 'restarted'} on request"
    return "waits for its new controller" if record.next_spec is not None else "its group is not on this node"


def _kill(draft: Draft, record: Record) -> None:
    if not graph.is_let_alone(draft, record):
        draft.act(actions.Kill(record.id))
        sharing.fell(draft, record)


def cancel_worker(draft: Draft, record: Record) -> None:
    """Ask the worker of the operation in flight to give up; its answer still comes."""
    if record.op is not None and record.op in record.workers:
        draft.act(actions.Cancel(record.id, record.op))


def _watch(draft: Draft, record: Record, *, alive: bool | None, confirming: bool = False) -> None:
    if record.removing or record.next_spec is not None:
        return  # the store says no longer how it is asked; it goes offline as soon as its dependents have
    draft.put(record, watched=True)
    draft.act(actions.Watch(record.id, record.incarnation, alive, confirming))


def unwatch(draft: Draft, record: Record) -> Record:
    """End the checks (S68); idempotent."""
    if not record.watched:
        return record
    draft.act(actions.Unwatch(record.id))
    return draft.put(record, watched=False)
