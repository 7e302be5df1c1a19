"""The operator's verbs: granted or refused at once, then followed until every resource meant is where it should be."""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from probe.lifecycle import actions, capacity, graph, operations, upgrading
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Asked, Trigger, Verb
from probe.lifecycle.world import Phase, Record, Refused, Remains, Request
from probe.values import OpId, ResourceId, State, Verdict

_UPWARD = (Verb.ONLINE, Verb.RESTART)


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
    for each in targets:
        record = draft.record(each.id) or each  # one before it may have wanted it already
        _supersede(draft, record)
        record = draft.put(record, request=op)
        if event.verb in _UPWARD:
            draft.decision.wishes[record.id] = True
        _carry_out(draft, event.verb, record)
    if not targets:
        draft.decision.requests[op] = replace(request, state="done", ended_at=draft.now)


def follow(draft: Draft, id: ResourceId) -> None:
    """Note that a resource, or what stands on it, has reached or can no longer reach what was asked of it."""
    record = draft.record(id)
    if record is None:
        return
    _follow_one(draft, record)
    if id in draft.decision.records and (not record.wanted or graph.has_given_up(record)):
        for dependent in graph.dependent_ids(draft, id):
            other = draft.record(dependent)
            if other is not None:
                _follow_one(draft, other)


def _follow_one(draft: Draft, record: Record) -> None:
    if record.request is None:
        return
    request = _pending(draft, record)
    if request is None:
        draft.put(record, request=None)
        return
    if request.verb is Verb.UPGRADE:
        _follow_upgrade(draft, request, record)
        return
    goal = State.ONLINE if request.verb in _UPWARD else State.OFFLINE
    if record.state is goal and not (record.bounce and goal is State.ONLINE):
        _count_down(draft, request)
    elif graph.has_given_up(record) or record.wanted is not (goal is State.ONLINE):
        _end(draft, request, "failed", _fate_of(record))
    elif goal is State.ONLINE and record.state in (State.OFFLINE, State.FAILED):
        provider = graph.hopeless_provider(draft, record)
        if provider is None:
            return
        _end(draft, request, "failed", f"{record.id} waits: {_fate_of(provider)}")
    else:
        return
    draft.put(record, request=None)


def fail(draft: Draft, record: Record, verdict: Verdict) -> Record:
    """End the request that waits for a resource: what was asked could not be done."""
    request = _pending(draft, record)
    if request is not None:
        _end(draft, request, "failed", f"{record.id}: {verdict.reason} ({verdict.evidence})")
        record = draft.put(record, request=None)
    return record


def _follow_upgrade(draft: Draft, request: Request, record: Record) -> None:
    if record.upgrade:
        if record.removing:
            _end(draft, request, "failed", _fate_of(record))
            draft.put(record, request=None)
        return
    back = record.state is (State.ONLINE if record.wanted else State.OFFLINE)
    if back:
        _count_down(draft, request)
    elif graph.has_given_up(record):
        _end(draft, request, "failed", f"it was upgraded, and then {_fate_of(record)}")
    elif record.state in (State.OFFLINE, State.FAILED) and (provider := graph.hopeless_provider(draft, record)):
        _end(draft, request, "failed", f"it was upgraded, and waits: {_fate_of(provider)}")
    else:
        return
    draft.put(record, request=None)


def _pending(draft: Draft, record: Record) -> Request | None:
    request = None if record.request is None else draft.request(record.request)
    return request if request is not None and request.state == "pending" else None


def _fate_of(record: Record) -> str:
    if record.removing:
        return f"{record.id} is no longer in the store"
    if record.state is not State.FAILED:
        return f"{record.id} is to be {State.ONLINE if record.wanted else State.OFFLINE}"
    return f"{record.id} failed: {record.reason}" + (f" ({record.evidence})" if record.evidence else "")


def _same_request(draft: Draft, event: Asked, targets: list[Record]) -> OpId | None:
    """Find the pending request that asks the same and is still obeyed, so that asking twice is asking once."""
    upward = event.verb in _UPWARD
    for record in targets:
        if event.verb is Verb.UPGRADE:
            break
        if record.wanted is not upward or (upward and graph.hopeless_provider(draft, record) is not None):
            return None
    for record in targets:
        request = _pending(draft, record)
        if request is not None:
            same = request.verb is event.verb and request.target == str(event.target)
            return request.op if same else None
    return None


def _targets(draft: Draft, target: ResourceId | str) -> list[Record]:
    if isinstance(target, ResourceId):
        record = draft.record(target)
        return [] if record is None or record.removing else [record]
    group = draft.group(target)
    members = () if group is None else group.members
    return [record for record in (draft.record(id) for id in members) if record is not None]


def _refusal(draft: Draft, event: Asked, targets: list[Record]) -> Refused | None:
    if not targets and (isinstance(event.target, ResourceId) or draft.group(event.target) is None):
        return Refused("not_found", f"there is no {event.target}; `looksalive status` lists what there is")
    if draft.decision.draining:
        return Refused("draining", "looksalive is ending and begins nothing new")
    if draft.decision.planned and event.verb in _UPWARD:
        return Refused("draining", "the stops to come are planned: nothing is started until `looksalive drain --off`")
    if event.verb is Verb.UPGRADE and not isinstance(event.target, ResourceId):
        return Refused("controller_cannot", f"upgrade one resource at a time: {event.target}/NAME")
    if isinstance(event.target, ResourceId):
        cannot = _what_it_cannot(event.verb, targets[0])
        if cannot:
            return Refused("controller_cannot", cannot)
    group = draft.group(event.target.group if isinstance(event.target, ResourceId) else event.target)
    if group is not None and not group.here:
        return Refused("not_here", f"the group {group.name} is not on this node")
    if group is not None and group.maintenance is not None:
        who = group.maintenance.owner or "somebody"
        until = f"nothing is done until `looksalive maintenance {group.name} --off`"
        return Refused("maintenance", f"the group {group.name} is in maintenance by {who}: {until}")
    return capacity.refusal_of(draft, _to_be_started(draft, targets)) if event.verb in _UPWARD else None


def _what_it_cannot(verb: Verb, record: Record) -> str:
    who = f"the controller {record.spec.controller!r} of {record.id}"
    if verb in (Verb.RESTART, Verb.TERMINATE, Verb.UPGRADE) and not record.spec.acts:
        return f"{who} only watches and cannot {verb}; give it one that acts, such as process"
    if verb is Verb.UPGRADE and not record.spec.can_upgrade:
        return f'{who} has nothing to upgrade with: add "upgrade": ["/path/of/a/program", …] to it'
    return ""


def _to_be_started(draft: Draft, targets: list[Record]) -> list[Record]:
    """List the targets and what they stand on, each once."""
    ids = dict.fromkeys(record.id for record in targets)
    for record in targets:
        ids |= dict.fromkeys(graph.provider_ids(draft, record.id))
    return [record for record in map(draft.record, ids) if record is not None]


def _carry_out(draft: Draft, verb: Verb, record: Record) -> None:
    match verb:
        case Verb.ONLINE:
            _want(draft, record.id)
            for id in graph.provider_ids(draft, record.id):
                _want_provider(draft, id)
        case Verb.OFFLINE:
            # What did not stop the last time is tried once more.
            again = record.remains is Remains.STUCK and record.phase is None
            _refuse(draft, record, remains=Remains.SOME if again else record.remains)
        case Verb.RESTART:
            _want(draft, record.id)
            running = record.state not in (State.OFFLINE, State.FAILED) or record.remains is not Remains.NONE
            fresh = draft.record(record.id)
            if fresh is not None and record.spec.acts and running:
                draft.put(fresh, bounce=True)
        case Verb.UPGRADE:
            draft.put(record, upgrade=True)
        case Verb.TERMINATE:
            record = upgrading.call_off(draft, _refuse(draft, record))
            ended = record.state is State.OFFLINE and record.remains is Remains.NONE
            if record.phase is Phase.STOPPING:
                operations.hasten(draft, record)
            elif record.spec.acts and not ended and record.phase is not Phase.CLEARING:
                operations.stop(draft, record, Trigger.OPERATOR, terminate=True)
        case _:
            assert_never(verb)


def _refuse(draft: Draft, record: Record, **changes: object) -> Record:
    """Want a resource offline from now on."""
    draft.decision.wishes[record.id] = False
    return draft.put(record, wanted=False, bounce=False, **changes)


def _want_provider(draft: Draft, id: ResourceId) -> None:
    """Want online what another one stands on; an offline of it that was asked before is at an end."""
    record = draft.record(id)
    if record is None or record.removing:
        return
    if not record.wanted:
        draft.decision.wishes[id] = True
        _supersede(draft, record)
    _want(draft, id)


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


def _count_down(draft: Draft, request: Request) -> None:
    request = replace(request, remaining=request.remaining - 1)
    draft.decision.requests[request.op] = request
    if request.remaining <= 0:
        _end(draft, request, "done", "")


def _end(draft: Draft, request: Request, state: str, reason: str) -> None:
    draft.decision.requests[OpId(request.op)] = replace(request, state=state, reason=reason, ended_at=draft.now)
