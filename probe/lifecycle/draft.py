"""A step's view of the world: reads fall through to the tables, writes stay in the draft until they are applied."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from probe.lifecycle.actions import Action
from probe.lifecycle.events import Trigger
from probe.lifecycle.transitions import Input, move
from probe.lifecycle.world import Decision, GroupRecord, Record, Request, Transition, World
from probe.values import OpId, ResourceId, State


class Draft:
    """A step's view of the world: reads fall through, writes stay here."""

    __slots__ = ("_world", "decision", "now", "touched", "trigger")

    def __init__(self, world: World, now: float, trigger: Trigger) -> None:
        self._world = world
        self.now = now
        self.trigger = trigger
        self.decision = Decision(
            next_op=world.next_op,
            draining=world.draining,
            planned=world.planned,
            storage_groups_max=world.storage_groups_max,
        )
        self.touched: dict[ResourceId, bool] = {}  # who is to be considered; true: what stands on it, however high, too

    def record(self, id: ResourceId) -> Record | None:
        """Return the record as this step sees it."""
        if id in self.decision.records:
            return self.decision.records[id]
        return self._world.records.get(id)

    def group(self, name: str) -> GroupRecord | None:
        """Return the group as this step sees it, without the members who join in it."""
        if name in self.decision.groups:
            return self.decision.groups[name]
        return self._world.groups.get(name)

    def dependents(self, id: ResourceId) -> tuple[ResourceId, ...]:
        """Return who depends on the resource directly."""
        if id in self.decision.dependents:
            return self.decision.dependents[id]
        return self._world.dependents.get(id, ())

    def sharers(self, service: str) -> tuple[ResourceId, ...]:
        """Return whose service it is; nobody's when they do not share any."""
        if service in self.decision.sharers:
            return self.decision.sharers[service]
        return self._world.sharers.get(service, ())

    def stores(self) -> tuple[ResourceId, ...]:
        """Return who mounts storage groups."""
        return self._world.stores if self.decision.stores is None else self.decision.stores

    def maintained(self) -> list[str]:
        """List the groups whose maintenance has ended by itself at `now`, in the order of their ends."""
        ends = ((until, name) for name, until in self._world.maintained.items() if until is not None)
        return [name for until, name in sorted(ends) if until <= self.now]

    def request(self, op: OpId) -> Request | None:
        """Return an operator's request."""
        return self.decision.requests.get(op) or self._world.requests.get(op)

    def due(self, only: ResourceId | None = None) -> list[ResourceId]:
        """List whose time has come; `only` looks at one."""
        due = self._world.due_before(self.now)
        return due if only is None else [id for id in due if id == only]

    def all_ids(self) -> list[ResourceId]:
        """List every resource (only for events about all of them)."""
        return list(self._world.records)

    def put(self, record: Record, **changes: Any) -> Record:
        """Replace a record and remember that its neighbours are to be considered. Returns the new one."""
        changed = replace(record, **changes) if changes else record
        before = self.record(changed.id)
        self.decision.records[changed.id] = changed
        self.touch(changed.id, shaken=before is not None and _shakes(before, changed))
        return changed

    def touch(self, id: ResourceId, *, shaken: bool = False) -> None:
        """Have a resource and its neighbours considered; `shaken`: everything that stands on it."""
        self.touched[id] = self.touched.get(id, False) or shaken

    def remove(self, record: Record) -> None:
        """Forget a resource."""
        self.decision.records[record.id] = None

    def act(self, action: Action) -> None:
        """Ask the shell for something."""
        self.decision.actions.append(action)

    def new_op(self) -> OpId:
        """Draw the next operation id."""
        op = OpId(self.decision.next_op)
        self.decision.next_op += 1
        return op

    def move(self, record: Record, occurrence: Input, trigger: Trigger, **changes: Any) -> Record:
        """Change the state as the table says, and say so. Returns the new record."""
        to = move(record.state, occurrence)
        changed = self.put(record, state=to, since=self.now, **changes)
        self.decision.transitions.append(
            Transition(
                record.id,
                record.state,
                to,
                occurrence,
                trigger,
                changed.reason,
                changed.evidence,
                changed.root_cause,
                changed.op or record.op,
            )
        )
        return changed


def _shakes(before: Record, after: Record) -> bool:
    """Whether a change can decide on a resource that stands on this one by way of others, which may not change."""
    return (
        (before.state is State.ONLINE and after.state is not State.ONLINE)
        or (before.state is not State.FAILED and after.state is State.FAILED)
        or (before.wanted, before.bounce, before.upgrade, before.removing, before.next_spec is None)
        != (after.wanted, after.bounce, after.upgrade, after.removing, after.next_spec is None)
    )
