"""The world as the core knows it: one immutable record a resource, and what a step decides about them.

Rules:
1. A record is never changed, only replaced; a step replaces the records it touches and no other.
2. `step` writes into a `Draft` (`draft.py`) over the world; the world itself changes only in `World.apply`, which the
   runtime calls. A draft that is thrown away is a plan.
3. `due` is one time per record; the heap may hold stale entries, which are dropped when they surface or grow many.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import TypeVar

import msgspec

from probe.lifecycle.actions import Action
from probe.lifecycle.events import Trigger, Verb
from probe.lifecycle.spec import Spec
from probe.lifecycle.transitions import Input
from probe.values import Incarnation, OpId, Reason, ResourceId, State, Verdict

REQUESTS_MAX = 256
STORAGE_GROUPS_MAX = 4  # S45: how many a node mounts unless the store says otherwise
DUE_STALE_MAX = 64  # stale entries of the heap kept beyond one a resource
NEVER_STARTED = Incarnation(0)


class Phase(Enum):
    """What the operation in flight is waiting for."""

    STARTING = auto()  # the controller's start
    CONFIRMING = auto()  # the first good check
    STOPPING = auto()  # the controller's stop
    CLEARING = auto()  # the controller's terminate, before a restart
    UPGRADING = auto()  # the controller's upgrade, of a resource that is offline (S53)


class Remains(Enum):
    """What may still run of a resource that is failed or offline."""

    NONE = auto()
    SOME = auto()  # must be cleared before a start
    STUCK = auto()  # clearing was tried and did not succeed; nobody waits for it any more


@dataclass(frozen=True, slots=True)
class Held:
    """A failure that waits for its providers' re-check, or (without a verdict) an old blame that waits for its own."""

    verdict: Verdict | None
    trigger: Trigger


@dataclass(frozen=True, slots=True)
class Felled:
    """The service that it shares was ended whole for another's sake, at that time: what follows is collateral (S37)."""

    by: ResourceId
    at: float


class Record(msgspec.Struct, frozen=True, gc=False):
    """Everything the core knows of one resource at one moment. Times are those of `step`'s `now`, in seconds.

    A struct of msgspec and no dataclass: a step replaces records, and copying this many fields in Python costs twenty
    times as much. `gc=False`: it holds nothing that could lead back to it.
    """

    spec: Spec
    since: float
    state: State = State.OFFLINE
    wanted: bool = False  # the desired state is online
    bounce: bool = False  # go offline once, then come back
    removing: bool = False  # gone from the store; vanishes when offline
    next_spec: Spec | None = None  # takes effect when offline
    opened: Spec | None = None  # as it was when the resource was opened here (S47); None: it is not
    incarnation: Incarnation = NEVER_STARTED
    op: OpId | None = None
    phase: Phase | None = None
    workers: frozenset[OpId] = frozenset()  # operations whose controller has not answered yet, earlier ones too
    due: float | None = None  # when the pending operation is overdue, or the next restart is to begin
    attempts: tuple[float, ...] = ()  # restarts that count
    restarts: int = 0  # all of them
    spent: bool = False  # gave up: the budget is used
    remains: Remains = Remains.NONE
    watched: bool = False
    reason: Reason = Reason.NOT_YET
    evidence: str = ""
    held: Held | None = None  # what is not said yet, until `due`
    failure: Verdict | None = None  # its own last failure, also while `reason` blames a provider
    root_cause: ResourceId | None = None
    request: OpId | None = None  # the operator's verb that waits for this resource
    felled: Felled | None = None
    whole: bool = False  # the end in progress is that of the whole service, whoever shares it
    upgrade: bool = False  # to be upgraded once it is offline, and then to be where it is wanted
    progress: str = ""  # of the operation in flight, for people (S22)

    @property
    def id(self) -> ResourceId:
        """Return the resource's id."""
        return self.spec.id

    def __str__(self) -> str:
        parts = [f"{self.id} is {self.state}"]
        if self.phase is not None:
            parts.append(f"({self.phase.name.lower()}, operation {self.op})")
        if not self.wanted:
            parts.append("and is to be offline")
        if self.state is State.FAILED:
            parts.append(f"because {self.reason}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Maintenance:
    """A group is let alone: by whom, since when and until when; times are those of `step`'s `now`."""

    owner: str
    since: float
    until: float | None = None


@dataclass(frozen=True, slots=True)
class GroupRecord:
    """A group: its members in the order of the store, whether it is this node's, and whether it is let alone."""

    name: str
    members: tuple[ResourceId, ...]
    here: bool = False
    maintenance: Maintenance | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A verb that an operator asked for, and how many resources it still waits for."""

    op: OpId
    verb: Verb
    target: str
    by: str
    asked_at: float
    remaining: int
    state: str = "pending"  # "pending", "done", "failed"
    reason: str = ""
    ended_at: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state, as it is told to everybody."""

    id: ResourceId
    from_: State
    to: State
    occurrence: Input
    trigger: Trigger
    reason: Reason
    evidence: str
    root_cause: ResourceId | None
    operation: OpId | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A verb that cannot be: a stable code and a sentence."""

    code: str
    message: str


@dataclass(slots=True)
class Decision:
    """What a step decided: the records to replace (None: removed) and what is to be done, in order."""

    records: dict[ResourceId, Record | None] = field(default_factory=dict)
    groups: dict[str, GroupRecord | None] = field(default_factory=dict)
    joined: dict[str, tuple[ResourceId, ...]] = field(default_factory=dict)  # by group: members to come behind the rest
    dependents: dict[ResourceId, tuple[ResourceId, ...]] = field(default_factory=dict)
    requests: dict[OpId, Request] = field(default_factory=dict)
    sharers: dict[str, tuple[ResourceId, ...]] = field(default_factory=dict)
    stores: tuple[ResourceId, ...] | None = None  # who mounts storage groups; None: as before
    storage_groups_max: int = STORAGE_GROUPS_MAX
    next_op: int = 0
    draining: bool = False
    planned: bool = False
    actions: list[Action] = field(default_factory=list)
    transitions: list[Transition] = field(default_factory=list)
    restarted: list[ResourceId] = field(default_factory=list)
    answer: OpId | Refused | None = None
    wishes: dict[ResourceId, bool] = field(default_factory=dict)  # what an operator wants from now on: online or not


class World:
    """The tables. Readers see a consistent state between two applications."""

    def __init__(self) -> None:
        self.records: dict[ResourceId, Record] = {}
        self.groups: dict[str, GroupRecord] = {}
        self.dependents: dict[ResourceId, tuple[ResourceId, ...]] = {}
        self.requests: dict[OpId, Request] = {}
        self.sharers: dict[str, tuple[ResourceId, ...]] = {}  # by service
        self.stores: tuple[ResourceId, ...] = ()  # who mounts storage groups
        self.storage_groups_max = STORAGE_GROUPS_MAX
        self.maintained: dict[str, float | None] = {}  # the groups that are let alone, and until when
        self.next_op = 1
        self.draining = False  # we are ending
        self.planned = False  # the stops to come are planned: nothing is started
        self._due: list[tuple[float, ResourceId]] = []

    def apply(self, decision: Decision) -> None:
        """Make the decision true."""
        for id, record in decision.records.items():
            if record is None:
                self.records.pop(id, None)
                continue
            before = self.records.get(id)
            self.records[id] = record
            if record.due is not None and (before is None or before.due != record.due):
                heapq.heappush(self._due, (record.due, id))
        if len(self._due) > 2 * len(self.records) + DUE_STALE_MAX:
            self._due = [(record.due, id) for id, record in self.records.items() if record.due is not None]
            heapq.heapify(self._due)
        for name, group in decision.groups.items():
            _replace(self.groups, name, group)
            self.maintained.pop(name, None)
            if group is not None and group.maintenance is not None:
                self.maintained[name] = group.maintenance.until
        for name, ids in decision.joined.items():
            self.groups[name] = replace(self.groups[name], members=(*self.groups[name].members, *ids))
        for id, dependents in decision.dependents.items():
            _replace(self.dependents, id, dependents or None)
        for service, sharers in decision.sharers.items():
            _replace(self.sharers, service, sharers or None)
        if decision.stores is not None:
            self.stores = decision.stores
        self.storage_groups_max = decision.storage_groups_max
        for op, request in decision.requests.items():
            self.requests.pop(op, None)
            self.requests[op] = request
        while len(self.requests) > REQUESTS_MAX:
            del self.requests[next(iter(self.requests))]
        self.next_op = decision.next_op
        self.draining = decision.draining
        self.planned = decision.planned

    def next_due(self) -> float | None:
        """Return when `Tick` is next worth stepping, or None."""
        times = [until for until in self.maintained.values() if until is not None] if self.maintained else []
        while self._due:
            at, id = self._due[0]
            record = self.records.get(id)
            if record is not None and record.due == at:
                return min([at, *times])
            heapq.heappop(self._due)
        return min(times, default=None)

    def forget_due(self, id: ResourceId) -> None:
        """Take no notice of a resource's due time until it gets another one: a step over it does not succeed."""
        self._due = [entry for entry in self._due if entry[1] != id]
        heapq.heapify(self._due)

    def due_before(self, now: float) -> list[ResourceId]:
        """List whose time has come, each once, earliest first, without forgetting them."""
        self.next_due()
        found: dict[ResourceId, None] = {}
        index = [0] if self._due else []
        while index:
            at = index.pop()
            when, id = self._due[at]
            if when > now:
                continue
            record = self.records.get(id)
            if record is not None and record.due == when:
                found[id] = None
            index += [child for child in (2 * at + 1, 2 * at + 2) if child < len(self._due)]
        return sorted(found, key=lambda id: (self.records[id].due or 0.0, id))


K = TypeVar("K")
V = TypeVar("V")


def _replace(table: dict[K, V], key: K, value: V | None) -> None:
    if value is None:
        table.pop(key, None)
    else:
        table[key] = value
