"""What an edit of the store means for the world: resources come, change and go; the others are not touched."""

from __future__ import annotations

from dataclasses import replace

from probe.lifecycle import actions, capacity
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Configured, Owned
from probe.lifecycle.spec import Spec
from probe.lifecycle.world import GroupRecord, Record, Remains
from probe.values import ResourceId, State


def configure(draft: Draft, event: Configured) -> None:
    """Take the new and changed resources in, mark the removed ones to vanish when they are offline."""
    desired = dict(event.desired)
    if event.storage_groups_max is not None:
        draft.decision.storage_groups_max = event.storage_groups_max
        capacity.make_room_known(draft)
    edits = _Edits(draft)
    for spec in event.specs:
        wanted = desired.get(spec.id, spec.auto_start)
        record = draft.record(spec.id)
        if record is None:
            draft.put(Record(spec, since=draft.now, wanted=wanted))
            edits.relink(spec.id, (), spec.depends_on)
        else:
            changed = _change(draft, record, spec, wanted)
            edits.relink(spec.id, record.spec.depends_on, changed.spec.depends_on)
        if record is None or record.removing:
            edits.join(spec.id)
        edits.share(spec)
        group = draft.group(spec.id.group)
        if group is not None and group.here:
            _open(draft, spec.id)
    for id in event.removed:
        record = draft.record(id)
        if record is not None and not record.removing:
            edits.leave(id)
            draft.put(record, removing=True, wanted=False)
    edits.write()


def forget(draft: Draft, record: Record) -> None:
    """Let a removed resource vanish: only now do its providers stop waiting for it."""
    _unlink(draft, record)
    close(draft, record)
    draft.remove(record)


def take_over(draft: Draft, record: Record) -> Record:
    """Let the changed configuration of a resource that is offline take effect. Returns the new record."""
    assert record.next_spec is not None
    _unlink(draft, record)
    for provider in record.next_spec.depends_on:
        draft.decision.dependents[provider] = (*draft.dependents(provider), record.id)
    return draft.put(record, spec=record.next_spec, next_spec=None)


def reopen(draft: Draft, record: Record) -> Record:
    """Open a resource anew if what it was opened with has changed since (S74: at the next online)."""
    was = record.opened
    if was is None or (was.controller, was.shape) == (record.spec.controller, record.spec.shape):
        return record
    draft.act(actions.Close(record.id))
    draft.act(actions.Open(record.id))
    return draft.put(record, opened=record.spec)


def close(draft: Draft, record: Record) -> Record:
    """Close a resource that left this node, once for every time it was opened (S47). Returns the new record."""
    if record.opened is None:
        return record
    draft.act(actions.Close(record.id))
    return draft.put(record, opened=None)


def own(draft: Draft, event: Owned) -> None:
    """Open or close what came to this node or left it (S47)."""
    group = draft.group(event.group)
    if group is None:
        group = GroupRecord(event.group, ())
    draft.decision.groups[event.group] = replace(group, here=event.here)
    if event.here != group.here:
        for id in group.members:
            if event.here:
                _open(draft, id)
            record = draft.record(id)
            if record is not None:
                draft.put(record)


def _open(draft: Draft, id: ResourceId) -> None:
    record = draft.record(id)
    if record is not None and record.opened is None:
        draft.act(actions.Open(id))
        draft.put(record, opened=record.spec)


def _unlink(draft: Draft, record: Record) -> None:
    """Take a resource from those it depended on; they may have waited for it."""
    for provider in record.spec.depends_on:
        rest = tuple(each for each in draft.dependents(provider) if each != record.id)
        draft.decision.dependents[provider] = rest
        draft.touch(provider)


def _change(draft: Draft, record: Record, spec: Spec, wanted: bool) -> Record:
    """Apply what can be applied live; another controller takes over only when the resource is offline (S74)."""
    changes: dict[str, object] = {"removing": False}
    if record.removing:
        changes["wanted"] = wanted
    same_hands = spec.controller == record.spec.controller and spec.traits == record.spec.traits
    idle = record.state is State.OFFLINE and record.remains is Remains.NONE
    if same_hands or idle:
        changes |= {"spec": spec, "next_spec": None}
    else:
        changes["next_spec"] = spec
    return draft.put(record, **changes)


class _Edits:
    """Changes to members and dependents, gathered so that a large store costs one pass."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._sharers: dict[str, dict[ResourceId, None]] = {}
        self._stores = dict.fromkeys(draft.stores())
        self._joined: dict[str, list[ResourceId]] = {}
        self._left: dict[str, set[ResourceId]] = {}
        self._dependents: dict[ResourceId, dict[ResourceId, None]] = {}

    def join(self, id: ResourceId) -> None:
        self._joined.setdefault(id.group, []).append(id)

    def leave(self, id: ResourceId) -> None:
        self._left.setdefault(id.group, set()).add(id)

    def relink(self, id: ResourceId, before: tuple[ResourceId, ...], after: tuple[ResourceId, ...]) -> None:
        for provider in before:
            self._of(provider).pop(id, None)
            self._draft.touch(provider)  # it may have waited for this one
        for provider in after:
            self._of(provider).setdefault(id)

    def share(self, spec: Spec) -> None:
        """Note whose service it is, and who mounts storage groups; who no longer does is passed over by readers."""
        if spec.service and spec.acts:
            if spec.service not in self._sharers:
                self._sharers[spec.service] = dict.fromkeys(self._draft.sharers(spec.service))
            self._sharers[spec.service].setdefault(spec.id)
        if spec.storage_groups:
            self._stores.setdefault(spec.id)

    def write(self) -> None:
        decision = self._draft.decision
        for service, sharers in self._sharers.items():
            decision.sharers[service] = tuple(id for id in sharers if self._draft.record(id) is not None)
        decision.stores = tuple(id for id in self._stores if self._draft.record(id) is not None)
        for name, left in self._left.items():
            group = self._draft.group(name)
            if group is not None:
                members = tuple(id for id in group.members if id not in left)
                decision.groups[name] = replace(group, members=members) if members or name in self._joined else None
        for name, joined in self._joined.items():  # a large group comes in slices: none of them copies its members
            if self._draft.group(name) is None:
                decision.groups[name] = GroupRecord(name, ())
            decision.joined[name] = tuple(joined)
        for provider, dependents in self._dependents.items():
            decision.dependents[provider] = tuple(dependents)

    def _of(self, provider: ResourceId) -> dict[ResourceId, None]:
        if provider not in self._dependents:
            self._dependents[provider] = dict.fromkeys(self._draft.dependents(provider))
        return self._dependents[provider]
