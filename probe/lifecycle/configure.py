"""What an edit of the store means for the world: resources come, change and go; the others are not touched."""

from __future__ import annotations

from probe.lifecycle import actions
from probe.lifecycle.events import Configured, Owned
from probe.lifecycle.spec import Spec
from probe.lifecycle.world import Draft, GroupRecord, Record
from probe.values import ResourceId, State


def configure(draft: Draft, event: Configured) -> None:
    """Take the new and changed resources in, mark the removed ones to vanish when they are offline."""
    desired = dict(event.desired)
    graph = _Edits(draft)
    for spec in event.specs:
        record = draft.record(spec.id)
        if record is None:
            draft.put(Record(spec, since=draft.now, wanted=desired.get(spec.id, spec.auto_start)))
            graph.join(spec.id)
        else:
            if record.removing:
                graph.join(spec.id)
            _change(draft, record, spec)
        graph.relink(spec.id, () if record is None else record.spec.depends_on, spec.depends_on)
    for id in event.removed:
        record = draft.record(id)
        if record is not None:
            graph.leave(id)
            draft.put(record, removing=True, wanted=False)
    graph.write()


def forget(draft: Draft, record: Record) -> None:
    """Let a removed resource vanish: only now do its providers stop waiting for it."""
    for provider in record.spec.depends_on:
        rest = tuple(each for each in draft.dependents(provider) if each != record.id)
        draft.decision.dependents[provider] = rest
    draft.act(actions.Close(record.id))
    draft.remove(record)
    for provider in record.spec.depends_on:
        draft.touched[provider] = None


def own(draft: Draft, event: Owned) -> None:
    """Open or close what came to this node or left it (S47)."""
    group = draft.group(event.group)
    if group is None:
        group = GroupRecord(event.group, ())
    draft.decision.groups[event.group] = GroupRecord(group.name, group.members, event.here)
    if event.here != group.here:
        for id in group.members:
            if event.here:
                draft.act(actions.Open(id))
            record = draft.record(id)
            if record is not None:
                draft.put(record)


def _change(draft: Draft, record: Record, spec: Spec) -> None:
    """Apply what can be applied live; another controller takes over only when the resource is offline (S74)."""
    changes: dict[str, object] = {"removing": False}
    if record.removing:
        changes["wanted"] = spec.auto_start
    same_hands = spec.controller == record.spec.controller and spec.traits == record.spec.traits
    if same_hands or record.state is State.OFFLINE:
        changes |= {"spec": spec, "next_spec": None}
        if not same_hands:
            draft.act(actions.Close(record.id))
            draft.act(actions.Open(record.id))
    else:
        changes["next_spec"] = spec
    draft.put(record, **changes)


class _Edits:
    """Changes to members and dependents, gathered so that a large store costs one pass."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._members: dict[str, dict[ResourceId, None]] = {}
        self._dependents: dict[ResourceId, dict[ResourceId, None]] = {}

    def join(self, id: ResourceId) -> None:
        group = self._draft.group(id.group)
        self._group(id.group).setdefault(id)
        if group is not None and group.here:
            self._draft.act(actions.Open(id))

    def leave(self, id: ResourceId) -> None:
        self._group(id.group).pop(id, None)

    def relink(self, id: ResourceId, before: tuple[ResourceId, ...], after: tuple[ResourceId, ...]) -> None:
        for provider in before:
            self._of(provider).pop(id, None)
        for provider in after:
            self._of(provider).setdefault(id)

    def write(self) -> None:
        decision = self._draft.decision
        for name, members in self._members.items():
            group = self._draft.group(name)
            here = group is not None and group.here
            decision.groups[name] = GroupRecord(name, tuple(members), here) if members else None
        for provider, dependents in self._dependents.items():
            decision.dependents[provider] = tuple(dependents)

    def _group(self, name: str) -> dict[ResourceId, None]:
        if name not in self._members:
            group = self._draft.group(name)
            self._members[name] = dict.fromkeys(group.members if group is not None else ())
        return self._members[name]

    def _of(self, provider: ResourceId) -> dict[ResourceId, None]:
        if provider not in self._dependents:
            self._dependents[provider] = dict.fromkeys(self._draft.dependents(provider))
        return self._dependents[provider]
