"""What goes over the wire, field by field; the OpenAPI document is made from these."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from probe.directory.drift import as_object
from probe.directory.report import DIFFERENCES_SHOWN_MAX, DirectoryReport
from probe.history.minutes import MINUTE_S, Bucket
from probe.lifecycle.report import EventReport, GroupReport, OperationReport, ResourceReport
from probe.monitor.transcript import Transcript
from probe.values import Outcome, Reason, State

AGE_DIGITS = 3  # milliseconds are as fine as an age means anything


class ErrorDetail(msgspec.Struct, frozen=True):
    """A stable word for programs and a sentence for people."""

    code: str
    message: str


class ErrorBody(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: ErrorDetail


class Liveness(msgspec.Struct, frozen=True):
    """Whether one resource is alive, from the cache: asking costs no probe (S7)."""

    id: str
    alive: bool
    verdict: Outcome
    stale: bool
    state: State
    reason: Reason
    evidence: str
    age_s: float | None
    root_cause: str | None


class Resource(Liveness, frozen=True):
    """One resource with all that is known of it."""

    type: str
    controller: str
    desired: State
    since: float
    restarts: int
    restarts_left: int
    operation: int | None
    depends_on: tuple[str, ...]
    waiting_for: tuple[str, ...]
    pid: int | None
    progress: str


class Maintenance(msgspec.Struct, frozen=True):
    """A group is let alone: by whom, since when and until when; `until` null: until it is ended."""

    owner: str
    since: float
    until: float | None


class Group(msgspec.Struct, frozen=True):
    """One group: who owns it, the worst that is in it, how many resources it has."""

    name: str
    owner: str
    state: str  # "online", "offline", "partial", "pending" or "failed"
    resources: int
    maintenance: Maintenance | None
    storage_groups: int


class StorageGroups(msgspec.Struct, frozen=True):
    """How many storage groups are mounted on this node, and how many may be (S45)."""

    used: int
    max: int


class Drift(msgspec.Struct, frozen=True):
    """One thing that differs between store and directory; a value that is not there is left out (S73)."""

    id: str
    kind: str  # "property", "type", "missing-object" or "extra-object"
    property: str
    since: float  # when it was first seen
    store: Any | msgspec.UnsetType = msgspec.UNSET
    directory: Any | msgspec.UnsetType = msgspec.UNSET


class DirectoryState(msgspec.Struct, frozen=True):
    """The directory that other tools share: whether it was told everything, and what differs (the first hundred)."""

    place: str
    pending: bool
    differences: int
    drift: tuple[Drift, ...]
    error: str  # why the last look failed


class Status(msgspec.Struct, frozen=True):
    """Everything, or the page of it that was asked for; `next` is the `after` of the following page."""

    revision: int
    node: str
    groups: tuple[Group, ...]
    resources: tuple[Resource, ...]
    next: str | None
    storage_groups: StorageGroups
    directory: DirectoryState | None


class Event(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One edge, in the order in which it happened."""

    seq: int
    time: float
    id: str
    kind: str
    from_: str
    to: str
    reason: str
    evidence: str
    root_cause: str | None
    trigger: str
    operation: int | None


class Events(msgspec.Struct, frozen=True):
    """A page of events; `next` is the `after` of the following page, 0 when the one asked with is of an earlier run.

    Asked for backwards (`before`, `since`), `next` is the `after` of what happens from now on, and `previous` the
    `before` of the page before this one; null: there is none.
    """

    events: tuple[Event, ...]
    next: int
    previous: str | msgspec.UnsetType | None = msgspec.UNSET


class Overrun(msgspec.Struct, frozen=True):
    """Told on the stream when events were lost for this reader: read the status again."""

    revision: int


class Transcripts(msgspec.Struct, frozen=True):
    """The dialogues of a resource's last failures, the newest first."""

    id: str
    transcripts: tuple[Transcript, ...]


class HistoryBucket(msgspec.Struct, frozen=True):
    """What the probes of one minute said; all counts 0: nothing is known of it (nobody asked, or we did not run)."""

    time: int  # when it began, seconds since the epoch, a multiple of `bucket_s`
    ok: int
    failed: int
    unknown: int
    mean_s: float | None  # of the good answers, from the dial on; null when there was none
    max_s: float | None


class History(msgspec.Struct, frozen=True):
    """The minutes that were asked for, oldest first and without a hole; the last is the running one.

    `buckets` is empty when we keep no history (`--history off`).
    """

    id: str
    bucket_s: int
    buckets: tuple[HistoryBucket, ...]


class Operation(msgspec.Struct, frozen=True):
    """A verb that was asked for and how far it is; `operation` is its id."""

    operation: int
    verb: str
    target: str
    state: str  # "pending", "done" or "failed"
    reason: str
    asked_at: float
    ended_at: float | None


class MetabaseKey(msgspec.Struct, frozen=True):
    """One key of the metabase as written, before inheritance."""

    revision: int
    key: str
    properties: dict[str, Any]


class Healthy(msgspec.Struct, frozen=True):
    """Said by /livez and /readyz when all is well; otherwise they answer an error."""

    ok: bool


class NoBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of a verb without parameters: `{}`, or nothing."""


class Maintained(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Begin (or end) a group's maintenance; `owner` defaults to the token's name, without `expires_s` it has no end."""

    on: bool
    owner: str = ""
    expires_s: float | None = None


class Move(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The node that is to own the group."""

    to: str


class Drain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether the stops to come are planned: asked with it, and answered."""

    on: bool


class Supposed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is supposed to happen: `fail` or `kill` of a resource, a verb on one or on a group, `drain`, `node-down`."""

    event: str
    target: str = ""


def liveness_of(report: ResourceReport) -> Liveness:
    """Write the /isalive view of a resource."""
    return Liveness(
        id=str(report.id),
        alive=report.alive,
        verdict=report.verdict,
        stale=report.stale,
        state=report.state,
        reason=report.reason,
        evidence=report.evidence,
        age_s=None if report.age_s is None else round(report.age_s, AGE_DIGITS),
        root_cause=str(report.root_cause) if report.root_cause else None,
    )


def directory_of(report: DirectoryReport) -> DirectoryState:
    """Write what is known of the directory."""
    return DirectoryState(
        place=report.place,
        pending=report.pending,
        differences=len(report.differences),
        drift=tuple(msgspec.convert(as_object(one), Drift) for one in report.differences[:DIFFERENCES_SHOWN_MAX]),
        error=report.error,
    )


def resource_of(report: ResourceReport) -> Resource:
    """Write the whole of a resource."""
    return Resource(
        id=str(report.id),
        alive=report.alive,
        verdict=report.verdict,
        stale=report.stale,
        state=report.state,
        reason=report.reason,
        evidence=report.evidence,
        age_s=None if report.age_s is None else round(report.age_s, AGE_DIGITS),
        root_cause=str(report.root_cause) if report.root_cause else None,
        type=report.type,
        controller=report.controller,
        desired=report.desired,
        since=report.since,
        restarts=report.restarts,
        restarts_left=report.restarts_left,
        operation=report.operation,
        depends_on=tuple(map(str, report.depends_on)),
        waiting_for=tuple(map(str, report.waiting_for)),
        pid=report.pid,
        progress=report.progress,
    )


def group_of(report: GroupReport) -> Group:
    """Write a group."""
    kept = report.maintenance
    return Group(
        name=report.name,
        owner=report.owner,
        state=report.state,
        resources=report.resources,
        maintenance=None if kept is None else Maintenance(kept.owner, kept.since, kept.until),
        storage_groups=report.storage_groups,
    )


def event_of(report: EventReport) -> Event:
    """Write an event."""
    return Event(
        seq=report.seq,
        time=report.time,
        id=report.id,
        kind=report.kind,
        from_=report.from_,
        to=report.to,
        reason=report.reason,
        evidence=report.evidence,
        root_cause=report.root_cause,
        trigger=report.trigger,
        operation=report.operation,
    )


def history_of(id: str, buckets: Iterable[Bucket]) -> History:
    """Write the minutes of a resource."""
    return History(id, MINUTE_S, tuple(HistoryBucket(*bucket) for bucket in buckets))


def operation_of(report: OperationReport) -> Operation:
    """Write an operation."""
    return Operation(
        operation=report.id,
        verb=report.verb,
        target=report.target,
        state=report.state,
        reason=report.reason,
        asked_at=report.asked_at,
        ended_at=report.ended_at,
    )
