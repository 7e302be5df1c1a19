"""What a reader may see of a resource, a group, an operation or an event: flat, immutable, made on demand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from probe.values import OpId, Outcome, Reason, ResourceId, State


@dataclass(frozen=True, slots=True)
class ResourceReport:
    """One resource as `/isalive` and `/api/v1/status` tell it."""

    id: ResourceId
    type: str
    controller: str
    state: State
    desired: State  # ONLINE or OFFLINE
    alive: bool  # the level after rise/fall; only `online` can be alive
    verdict: Outcome  # the last raw result
    stale: bool
    reason: Reason
    evidence: str
    age_s: float | None  # of the last raw result; None before the first
    root_cause: ResourceId | None
    since: float  # wall clock of the last change of state
    restarts: int  # since start
    restarts_left: int  # of the budget, now
    operation: OpId | None  # in flight
    depends_on: tuple[ResourceId, ...]
    waiting_for: tuple[ResourceId, ...]  # what keeps it from starting or stopping
    pid: int | None = None
    progress: str = ""  # of the operation in flight: "2 of 3: ..." (S22)


class LevelReport(NamedTuple):
    """What a scrape reads of one resource: the fields of its ResourceReport of the same names."""

    id: ResourceId
    state: State
    alive: bool
    stale: bool
    type: str
    controller: str
    root_cause: ResourceId | None


@dataclass(frozen=True, slots=True)
class MaintenanceReport:
    """A group is let alone: by whom, since when and until when (wall clock seconds; None: until it is ended)."""

    owner: str
    since: float
    until: float | None


@dataclass(frozen=True, slots=True)
class GroupReport:
    """One group: who owns it and the worst that is in it."""

    name: str
    owner: str
    state: str  # "online", "offline", "partial", "pending" or "failed"
    resources: int
    maintenance: MaintenanceReport | None = None
    storage_groups: int = 0  # that it has mounted here, or may have (S45)


@dataclass(frozen=True, slots=True)
class OperationReport:
    """A verb somebody asked for and how far it is."""

    id: OpId
    verb: str
    target: str
    state: str  # "pending", "done" or "failed"
    reason: str
    asked_at: float  # wall clock
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class EventReport:
    """One edge, in the order in which it happened."""

    seq: int
    time: float  # wall clock
    id: str
    kind: str  # "state", "operation" or "maintenance"
    from_: str
    to: str
    reason: str
    evidence: str
    root_cause: str | None
    trigger: str  # "probe", "kernel", "process", "operator", "timer", "store", "dependency", "controller"
    operation: OpId | None


class Refusal(Exception):
    """A verb that was understood and not carried out. `status` is 404, 409 or 503; `code` a stable word."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
