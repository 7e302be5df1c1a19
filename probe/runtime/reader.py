"""The runtime as the API sees it: reading costs no probe and no I/O (S7), asking only posts events."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

from probe.cluster import Kept
from probe.directory.changes import Done
from probe.directory.report import DirectoryReport
from probe.history.past import Past
from probe.history.recent import Follower
from probe.lifecycle import capacity
from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Asked, Maintained, Planned, Verb
from probe.lifecycle.foresee import Unforeseeable
from probe.lifecycle.foretell import PlanReport, plan
from probe.lifecycle.report import EventReport, GroupReport, LevelReport, OperationReport, Refusal, ResourceReport
from probe.lifecycle.world import Decision, Record, Refused
from probe.monitor.transcript import Transcript
from probe.resources.changes import Change
from probe.runtime.changing import Plan, StoreChanges
from probe.runtime.directory import DirectoryWatch
from probe.runtime.inbox import Ended
from probe.runtime.inventory import Inventory
from probe.runtime.loop import Runtime
from probe.runtime.reports import in_order, in_turns, report_group, report_level, report_operation, report_resource
from probe.values import OpId, ResourceId

WAIT_S_MAX = 300.0

_log = logging.getLogger(__name__)


class Reader:
    """Reads the world and the cache; turns verbs into events."""

    def __init__(self, runtime: Runtime, inventory: Inventory, node: str) -> None:
        self.node = node
        self.wall = runtime.clock.wall
        self._runtime = runtime
        self._inventory = inventory
        self._saving = asyncio.Lock()
        self.changing: StoreChanges | None = None
        self.directory_watch: DirectoryWatch | None = None
        self.past: Past | None = None  # when no history is kept

    @property
    def revision(self) -> int:
        """Return what rises on edges, never on a probe."""
        return self._runtime.feed.revision

    @property
    def serving(self) -> bool:
        """Say that we serve: who asks over HTTP has the answer by being answered."""
        return True

    @property
    def not_ready(self) -> str:
        """Name what is missing before the first round is done, or what we lost since; empty when nothing is."""
        if self._runtime.fault:
            return self._runtime.fault
        if self._runtime.monitors.fault:
            return self._runtime.monitors.fault
        if self.draining:
            return "draining: the stops to come are planned"
        if not self._inventory.told:
            return "the store is not loaded yet"
        if not self._runtime.monitors.first_round_done:
            return "the first round of checks is not done yet"
        return ""

    @property
    def draining(self) -> bool:
        """Say whether the stops to come are planned."""
        return self._runtime.world.planned

    def resource(self, id: ResourceId) -> ResourceReport | None:
        """Describe one resource, or None."""
        record = self._runtime.world.records.get(id)
        return None if record is None else self._report(record)

    def resources(self) -> Iterator[ResourceReport]:
        """Describe every resource, group by group in the order of the store."""
        return map(self._report, in_order(self._runtime.world))

    def levels(self) -> Iterator[LevelReport]:
        """Describe the little of every resource that a scrape tells, in the order of the store."""
        now, level = self._runtime.clock.now, self._runtime.monitors.level
        return (report_level(record, level(record.id), now()) for record in in_order(self._runtime.world))

    def groups(self, name: str | None = None) -> Iterator[GroupReport | None]:
        """Describe every group, or the one of that name; None in the midst of a large one, for a turn of others."""
        world = self._runtime.world
        for group in list(world.groups.values()) if name is None else filter(None, (world.groups.get(name),)):
            yield from report_group(world, group, self.node, self._wall_of)

    def operation(self, id: int) -> OperationReport | None:
        """Describe an operator's request, or None when it is unknown or long past."""
        request = self._runtime.world.requests.get(OpId(id))
        return None if request is None else report_operation(request, self._wall_of)

    def events_after(self, seq: int, limit: int) -> list[EventReport]:
        """List the edges behind `seq`, at most `limit`."""
        return self._runtime.feed.recent.after(seq, limit)

    def transcripts(self, id: ResourceId) -> tuple[Transcript, ...]:
        """Write down the dialogues of a resource's last failures, the newest first."""
        return self._runtime.monitors.evidence.transcripts(id)

    def stages(self, id: ResourceId) -> tuple[tuple[str, float], ...]:
        """List the stages of a resource's last probe with their seconds."""
        reading = self._runtime.monitors.reading(id)
        return () if reading is None else tuple((str(stage), seconds) for stage, seconds in reading.stages)

    def follow(self, follower: Follower) -> None:
        """Tell somebody of every edge from now on."""
        self._runtime.feed.recent.follow(follower)

    async def wait_past(self, revision: int, timeout_s: float) -> int:
        """Return the revision once it is above `revision`, or what it is after `timeout_s`."""
        return await self._runtime.feed.wait_past(revision, min(timeout_s, WAIT_S_MAX))

    async def ask_resource(self, verb: str, id: ResourceId, by: str) -> OperationReport:
        """Ask something of a resource. Raises Refusal."""
        return await self._ask(Asked(Verb(verb), id, by))

    async def ask_group(self, verb: str, group: str, by: str) -> OperationReport:
        """Ask something of a whole group. Raises Refusal."""
        return await self._ask(Asked(Verb(verb), group, by))

    async def drain(self, on: bool, by: str) -> None:
        """Begin or end a time of planned stops, and say so once. Raises Refusal."""
        if on is self.draining:
            return
        try:
            await self._runtime.ask(Planned(on, by))
        except Ended:
            raise Refusal(503, "draining", "looksalive is ending; its stops are planned anyway") from None
        self._runtime.metrics.drained(on)
        _log.info("the stops to come are %s planned (by %s)", "from now on" if on else "no longer", by or "nobody")

    @property
    def directory(self) -> DirectoryReport | None:
        """Say what is known of the directory, None when there is none."""
        return None if self.directory_watch is None else self.directory_watch.report

    @property
    def storage_groups(self) -> tuple[int, int]:
        """Return how many storage groups are mounted here, and how many may be (S45)."""
        world = self._runtime.world
        return capacity.mounted(world), world.storage_groups_max

    async def maintain(self, group: str, on: bool, owner: str, expires_s: float | None) -> GroupReport:
        """Begin or end a group's maintenance, and keep it for the next start. Raises Refusal."""
        runtime = self._runtime
        until = None if expires_s is None else runtime.clock.now() + expires_s
        await self._decided(Maintained(group, on, owner, until))
        async with self._saving:
            try:
                await asyncio.to_thread(self._inventory.maintained.save, dict(self._maintained()))
            except OSError as error:
                _log.error("the maintenance of %s will be forgotten at the next start: %s", group, error)
        return await in_turns(self.groups(group), runtime.clock)

    def _maintained(self) -> Iterator[tuple[str, Kept]]:
        for group in self._runtime.world.groups.values():
            if (kept := group.maintenance) is not None:
                yield group.name, Kept(kept.owner, None if kept.until is None else self._wall_of(kept.until))

    async def move(self, group: str, to: str, by: str) -> OperationReport:
        """Refuse: there is one node (S46: before anything is taken offline)."""
        del by
        if group not in self._runtime.world.groups:
            raise Refusal(404, "not_found", f"there is no group {group}; `looksalive status` lists what there is")
        if to == self.node:
            raise Refusal(409, "already_here", f"{group} is on {to} already; `looksalive restart` restarts a resource")
        raise Refusal(
            409,
            "no_such_node",
            f"there is no other node than {self.node}: looksalive runs alone here, so {group} cannot move to {to}; "
            f"take it offline here (looksalive offline {group}) and online where it is to be",
        )

    async def plan(self, event: str, target: str) -> PlanReport:
        """Say what an event would lead to, with nothing done; worked out in a thread, on a fork. Raises Refusal."""
        taken, now = snapshot(self._runtime.world), self._runtime.clock.now()
        try:
            return await asyncio.to_thread(plan, taken, event, target, now)
        except Unforeseeable as error:
            raise Refusal(409, "cannot_happen", str(error)) from None

    async def change(self, plan: Plan, by: str) -> tuple[Change, Done]:
        """Plan a change of the store and carry it out. Raises Refusal."""
        if self.changing is None:
            raise Refusal(503, "not_changeable", "this service does not change its store; use the command line on it")
        return await self.changing.carry_out(plan, by)

    def metabase(self, path: str) -> tuple[int, dict[str, object]] | None:
        """Return (revision, the key's own properties), or None."""
        return self._inventory.folder.metabase_key(path)

    async def _ask(self, event: Asked) -> OperationReport:
        decision = await self._decided(event)
        assert isinstance(decision.answer, int)
        report = self.operation(decision.answer)
        assert report is not None
        if decision.wishes:
            await self._keep(decision.wishes)
        return report

    async def _decided(self, event: Asked | Maintained) -> Decision:
        try:
            decision = await self._runtime.ask(event)
        except Ended:
            raise Refusal(503, "draining", "looksalive is ending and begins nothing new") from None
        if isinstance(decision.answer, Refused):
            raise Refusal(_STATUS.get(decision.answer.code, 409), decision.answer.code, decision.answer.message)
        return decision

    async def _keep(self, wishes: dict[ResourceId, bool]) -> None:
        """Make durable what is wanted; a disk that cannot is said, for the verb itself is being carried out."""
        desired = self._inventory.desired
        for id, wanted in wishes.items():
            desired.want(id, wanted)
        async with self._saving:
            try:
                await asyncio.to_thread(desired.save)
            except OSError as error:
                _log.error("a verb is carried out but will be forgotten at the next start: %s", error)

    def _report(self, record: Record) -> ResourceReport:
        runtime = self._runtime
        service = runtime.services.get(record.id)
        return report_resource(
            runtime.world,
            record,
            runtime.monitors.level(record.id),
            now=runtime.clock.now(),
            wall=runtime.clock.wall(),
            pid=None if service is None else service.controller.pid(record.id),
        )

    def _wall_of(self, at: float) -> float:
        clock = self._runtime.clock
        return clock.wall() - (clock.now() - at)


_STATUS = {"not_found": 404, "draining": 503}
