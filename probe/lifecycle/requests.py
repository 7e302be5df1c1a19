"""The operator's verbs: granted or refused at once, then followed until every resource meant is where it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from probe.lifecycle import actions, graph, operations
from probe.lifecycle.events import Asked, Trigger, Verb
from probe.lifecycle.world import Draft, Phase, Record, Refused, Remains, Request
from probe.values import OpId, ResourceId, State


def ask(draft: Draft, event: Asked) -> None:
    """Grant or refuse a verb; what follows from a granted one is left to settling."""
    targets = _targets(draft, event.target)
    refusal = _refusal(draft, event, targets)
    if refusal is not None:
        draft.decision.answer = refusal
        return
    again = _same_request(draft, event, targets)
    if again is not None:
        draft.decision.answer = again
        return
    op = draft.new_op()
    request = Request(op, event.verb, str(event.target), event.by, draft.now, remaining=len(targets))
    draft.decision.requests[op] = request
    draft.decision.answer = op
    for record in targets:
        _supersede(draft, record)
        _carry_out(draft, event.verb, draft.put(record, request=op))
    if not targets:
        draft.decision.requests[op] = replace(request, state="done", ended_at=draft.now)


def follow(draft: Draft, id: ResourceId) -> None:
    """Note that a resource has reached, or can no longer reach, what was asked of it."""
    record = draft.record(id)
    if record is None or record.request is None:
        return
    request = draft.request(record.request)
    if request is None or request.state != "pending":
        draft.put(record, request=None)
        return
    goal = State.ONLINE if request.verb in (Verb.ONLINE, Verb.RESTART) else State.OFFLINE
    if record.state is goal and not (record.bounce and goal is State.ONLINE):
        _count_down(draft, request)
    elif record.state is State.FAILED and _has_given_up(record):
        reason = f"{record.id} failed: {record.reason}" + (f" ({record.evidence})" if record.evidence else "")
        _end(draft, request, "failed", reason)
    else:
        return
    draft.put(record, request=None)


def _same_request(draft: Draft, event: Asked, targets: list[Record]) -> OpId | None:
    """Find the pending request that asks the same, so that asking twice is asking once."""
    for record in targets:
        request = None if record.request is None else draft.request(record.request)
        if request is not None and request.state == "pending":
            same = request.verb is event.verb and request.target == str(event.target)
            return request.op if same else None
    return None


def _targets(draft: Draft, target: ResourceId | str) -> list[Record]:
    if isinstance(target, ResourceId):
        record = draft.record(target)
        return [] if record is None else [record]
    group = draft.group(target)
    members = () if group is None else group.members
    return [record for record in (draft.record(id) for id in members) if record is not None]


def _refusal(draft: Draft, event: Asked, targets: list[Record]) -> Refused | None:
    if not targets and (isinstance(event.target, ResourceId) or draft.group(event.target) is None):
        return Refused("not_found", f"there is no {event.target}; `looksalive status` lists what there is")
    if draft.decision.draining:
        return Refused("draining", "looksalive is ending and begins nothing new")
    if event.verb in (Verb.RESTART, Verb.TERMINATE) and isinstance(event.target, ResourceId):
        record = targets[0]
        if not record.spec.acts:
            return Refused(
                "controller_cannot",
                f"the controller {record.spec.controller!r} of {record.id} only watches and cannot {event.verb}; "
                "give it one that acts, such as process",
            )
    group = draft.group(event.target.group if isinstance(event.target, ResourceId) else event.target)
    if group is not None and not group.here:
        return Refused("not_here", f"the group {group.name} is not on this node")
    return None


def _carry_out(draft: Draft, verb: Verb, record: Record) -> None:
    match verb:
        case Verb.ONLINE:
            for id in [record.id, *graph.provider_ids(draft, record.id)]:
                _want(draft, id)
        case Verb.OFFLINE:
            draft.put(record, wanted=False, bounce=False)
        case Verb.RESTART:
            _want(draft, record.id)
            running = record.state not in (State.OFFLINE, State.FAILED) or record.remains is not Remains.NONE
            fresh = draft.record(record.id)
            if fresh is not None and record.spec.acts and running:
                draft.put(fresh, bounce=True)
        case Verb.TERMINATE:
            record = draft.put(record, wanted=False, bounce=False)
            ending = record.state in (State.OFFLINE, State.OFFLINE_PENDING) or record.phase is Phase.CLEARING
            if record.spec.acts and not ending:
                operations.stop(draft, record, Trigger.OPERATOR, terminate=True)
        case _:
            assert_never(verb)


def _want(draft: Draft, id: ResourceId) -> None:
    """Want a resource online, with a fresh budget."""
    record = draft.record(id)
    if record is None:
        return
    again = record.spent or record.remains is Remains.STUCK
    changes: dict[str, object] = {"wanted": True, "attempts": (), "spent": False}
    if record.state is State.FAILED and record.phase is None:
        changes["due"] = None
    if again and record.watched:
        draft.act(actions.Unwatch(id))
        changes["watched"] = False
    draft.put(record, **changes)


def _supersede(draft: Draft, record: Record) -> None:
    if record.request is None:
        return
    request = draft.request(record.request)
    if request is not None and request.state == "pending":
        _end(draft, request, "failed", f"superseded by a later request for {record.id}")


def _has_given_up(record: Record) -> bool:
    """Whether nothing more will be tried now."""
    if record.phase is not None or record.root_cause is not None:
        return False
    if not record.spec.acts:
        return record.wanted
    return record.spent if record.wanted else record.remains is Remains.STUCK


def _count_down(draft: Draft, request: Request) -> None:
    request = replace(request, remaining=request.remaining - 1)
    draft.decision.requests[request.op] = request
    if request.remaining <= 0:
        _end(draft, request, "done", "")


def _end(draft: Draft, request: Request, state: str, reason: str) -> None:
    draft.decision.requests[OpId(request.op)] = replace(request, state=state, reason=reason, ended_at=draft.now)
