"""Who is to blame: a failure is put down to the one resource that caused it (DESIGN section 5.2).

1. A resource that stands on others which can be asked does not publish a failed check at once: its providers are
   re-checked now, and for `HOLD_S` at most its failure is held. A provider that fails meanwhile is the cause, and the
   resource is `dependency_down` under it; a good check meanwhile ends the matter. Where a provider's own failure is
   held when the wait is over, the resource waits for it: it would be told by itself, and its cause right after.
2. What is certain without asking anybody (its process ended) is never held.
3. When a provider is back, those that were blamed on it are re-checked before anything new is said of them.
4. The first failed check of a run is told as a suspicion: everything that the resource stands on is asked anew, while
   it is itself still counting. One failed answer to that is a provider's second of `fall`, the dependent's failure the
   first: so with equal time-outs a frozen provider is told before anybody who stands on it. Only a check that begins
   after the dependent's failure counts so, since one and the same short stall is not to be counted twice.
Only the publication waits; the checks never do.
"""

from __future__ import annotations

from probe.lifecycle import actions, graph, operations
from probe.lifecycle.draft import Draft
from probe.lifecycle.world import Held, Record
from probe.values import Reason, State, Verdict

HOLD_S = 0.25


def suspect(draft: Draft, record: Record) -> None:
    """Have everything that a resource stands on asked anew, because a check of it failed; nothing is said of it."""
    if record.state is State.ONLINE and record.held is None and graph.root_cause(draft, record) is None:
        for provider in _can_be_asked(draft, record):
            draft.act(actions.Verify(provider.id, anew=True))


def fail_or_hold(draft: Draft, record: Record, verdict: Verdict) -> None:
    """Fail an online resource whose check failed, or hold that until its providers have been asked."""
    if record.held is not None:
        draft.put(record, held=Held(verdict, record.held.trigger))
        return
    asked = _can_be_asked(draft, record)
    if not asked or graph.root_cause(draft, record) is not None:
        operations.fail(draft, record, verdict, draft.trigger)
        return
    for provider in asked:
        draft.act(actions.Verify(provider.id))
    draft.put(record, held=Held(verdict, draft.trigger), due=draft.now + HOLD_S)


def _can_be_asked(draft: Draft, record: Record) -> list[Record]:
    """List what a resource stands on, nearest first, as far as it is online and has a check."""
    providers = (draft.record(id) for id in graph.provider_ids(draft, record.id))
    return [each for each in providers if each is not None and each.watched and each.state is State.ONLINE]


def release(draft: Draft, record: Record) -> None:
    """Say what was held: the wait is over, or the cause is known. Waits on where a provider's failure is held."""
    held = record.held
    assert held is not None
    until = _held_providers_until(draft, record)
    if until is not None and graph.root_cause(draft, record) is None:
        # A provider that is due in this very step takes this one along when it is told.
        draft.put(record, due=until if until > draft.now else draft.now + HOLD_S)
        return
    record = draft.put(record, held=None, due=None)
    if record.state is State.ONLINE and held.verdict is not None:
        operations.fail(draft, record, held.verdict, held.trigger)
    elif record.state is State.FAILED and record.failure is not None and graph.root_cause(draft, record) is None:
        draft.put(record, root_cause=None, reason=record.failure.reason)


def _held_providers_until(draft: Draft, record: Record) -> float | None:
    """Return when the last of its providers' held failures will be told, or None when none is held."""
    held = [
        provider.due
        for provider in graph.providers(draft, record)
        if provider.due is not None and provider.held is not None and provider.held.verdict is not None
    ]
    return max(held, default=None)


def keep_true(draft: Draft, record: Record) -> Record:
    """Keep a failed resource's reason true while its providers fail and recover: theirs first, then its own."""
    cause = graph.root_cause(draft, record) if record.wanted else None
    failure = record.failure
    if cause == record.root_cause or failure is None:
        return record
    if cause is not None:
        return _put_down_to(draft, record, cause)
    if record.watched and not record.spec.acts:  # it is asked once more before anything is said
        if record.held is None:
            draft.act(actions.Verify(record.id))
            return draft.put(record, held=Held(None, draft.trigger), due=draft.now + HOLD_S)
        return record
    return draft.put(record, root_cause=None, reason=failure.reason)


def _put_down_to(draft: Draft, record: Record, cause: object) -> Record:
    changes: dict[str, object] = {"root_cause": cause, "reason": Reason.DEPENDENCY_DOWN}
    if record.held is not None:
        changes |= {"held": None, "due": None}
    if record.root_cause is None and record.spec.acts:
        # What was planned, or given up, was for another's fault: the provider's return gives one new try.
        attempts = record.attempts if record.spent else record.attempts[:-1]
        changes |= {"attempts": attempts, "spent": False}
        if record.phase is None:  # else it is the clearing that is due
            changes["due"] = None
            record = operations.unwatch(draft, record)
    return draft.put(record, **changes)
