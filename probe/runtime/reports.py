"""What readers see, put together from the core's record and the monitor's last reading. No I/O, no probe (S7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from probe.environment import Clock
from probe.lifecycle import capacity, restarts
from probe.lifecycle.report import (
    GroupReport,
    LevelReport,
    MaintenanceReport,
    OperationReport,
    Refusal,
    ResourceReport,
)
from probe.lifecycle.world import GroupRecord, Record, Request, World
from probe.monitor.cache import Level
from probe.values import Outcome, Reason, ResourceId, State

MEMBERS_PER_SLICE = 4000  # of a group that is described: a millisecond or so


def in_order(world: World) -> Iterator[Record]:
    """Yield what is known of each resource, in the order of the store; the world may change between two steps."""
    for group in list(world.groups.values()):
        for id in group.members:
            record = world.records.get(id)
            if record is not None:
                yield record


def report_resource(
    world: World, record: Record, reading: Level | None, *, now: float, wall: float, pid: int | None
) -> ResourceReport:
    """Describe one resource at `now`; `reading` is what the cache holds of it."""
    stale = _stale(record, reading, now)
    verdict, reason, evidence = _last_word(record, reading, stale=stale)
    return ResourceReport(
        id=record.id,
        type=record.spec.traits.type,
        controller=record.spec.controller,
        state=record.state,
        desired=State.ONLINE if record.wanted else State.OFFLINE,
        alive=_alive(record, reading),
        verdict=verdict,
        stale=stale,
        reason=reason,
        evidence=evidence,
        age_s=None if reading is None else max(0.0, now - reading.at),
        root_cause=record.root_cause,
        since=wall - (now - record.since),
        restarts=record.restarts,
        restarts_left=restarts.left(record.attempts, record.spec, now),
        operation=record.op,
        depends_on=record.spec.depends_on,
        waiting_for=tuple(_waiting_for(world, record)),
        pid=pid,
        progress=record.progress if record.op is not None else "",
    )


def report_level(record: Record, reading: Level | None, now: float) -> LevelReport:
    """Describe the little of a resource that a scrape tells, at a fraction of the cost."""
    spec = record.spec
    return LevelReport(
        spec.id,
        record.state,
        _alive(record, reading),
        _stale(record, reading, now),
        spec.traits.type,
        spec.controller,
        record.root_cause,
    )


def _stale(record: Record, reading: Level | None, now: float) -> bool:
    return reading is not None and record.watched and reading.stale(now)


def _alive(record: Record, reading: Level | None) -> bool:
    """Return the level: only `online` can be alive; a failure that is held is not published yet."""
    if record.state is not State.ONLINE:
        return False
    level = None if reading is None else reading.alive
    return level is None or level or record.held is not None  # held: its providers are being asked


def _last_word(record: Record, reading: Level | None, *, stale: bool) -> tuple[Outcome, Reason, str]:
    """Choose what to say: of a failed resource why it failed, else the last raw result."""
    raw = reading.verdict if reading is not None and record.watched else None
    if raw is None:
        outcome = {State.ONLINE: Outcome.ALIVE, State.FAILED: Outcome.FAILED}.get(record.state, Outcome.UNKNOWN)
        return outcome, record.reason, record.evidence
    if stale:
        return Outcome.UNKNOWN, Reason.STALE, raw.evidence
    if record.state is State.FAILED:
        return raw.outcome, record.reason, record.evidence
    return raw.outcome, raw.reason, raw.evidence


def _waiting_for(world: World, record: Record) -> Iterator[ResourceId]:
    if record.wanted and record.spec.acts and record.state in (State.OFFLINE, State.FAILED):
        for id in record.spec.depends_on:
            provider = world.records.get(id)
            if provider is not None and provider.state is not State.ONLINE:
                yield id


def report_group(
    world: World, group: GroupRecord, node: str, wall_of: Callable[[float], float] = lambda at: at
) -> Iterator[GroupReport | None]:
    """Describe one group by the worst that is in it: at the end, and None after so many of its members each time."""
    states: set[State] = set()
    count = storage_groups = 0
    for number, id in enumerate(group.members, 1):
        record = world.records.get(id)
        if record is not None:
            count += 1
            states.add(record.state)
            if record.spec.storage_groups and capacity.is_mounted(record):
                storage_groups += record.spec.storage_groups
        if not number % MEMBERS_PER_SLICE:
            yield None
    maintenance = None
    if (kept := group.maintenance) is not None:
        until = None if kept.until is None else wall_of(kept.until)
        maintenance = MaintenanceReport(kept.owner, wall_of(kept.since), until)
    yield GroupReport(group.name, node if group.here else "", _worst(states), count, maintenance, storage_groups)


async def in_turns(walk: Iterator[GroupReport | None], clock: Clock) -> GroupReport:
    """Return the first group of a walk, with turns of others in it. Raises Refusal when it is gone."""
    for report in walk:
        if report is not None:
            return report
        await clock.sleep(0)
    raise Refusal(404, "not_found", "the group is gone")


def _worst(states: set[State]) -> str:
    if State.FAILED in states:
        return "failed"
    if State.ONLINE_PENDING in states or State.OFFLINE_PENDING in states:
        return "pending"
    if states <= {State.ONLINE}:
        return "online"
    return "offline" if states == {State.OFFLINE} else "partial"


def report_operation(request: Request, wall_of: Callable[[float], float]) -> OperationReport:
    """Describe an operator's request."""
    return OperationReport(
        id=request.op,
        verb=request.verb,
        target=request.target,
        state=request.state,
        reason=request.reason,
        asked_at=wall_of(request.asked_at),
        ended_at=None if request.ended_at is None else wall_of(request.ended_at),
    )
