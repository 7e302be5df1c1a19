"""A service without a runtime: resources that tests put in, edges that tests make, verbs that are written down."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace

from bindings.edits import Edit, StoreRevisions
from bindings.store import StoreFolder
from probe.api.service import Follower
from probe.directory.changes import Done
from probe.directory.report import DirectoryReport
from probe.environment.clock import LoopClock
from probe.history.past import Past
from probe.lifecycle.foretell import PlanReport, PlanStep
from probe.lifecycle.report import (
    EventReport,
    GroupReport,
    LevelReport,
    MaintenanceReport,
    OperationReport,
    Refusal,
    ResourceReport,
)
from probe.monitor.transcript import Transcript
from probe.resources.changes import Change, Present
from probe.values import OpId, Outcome, Reason, ResourceId, State
from tests.sim.files import MemoryFiles as EnvironmentFiles

WALL = 1_700_000_000.0


def present_of(groups: object, keys: object, **more: object) -> Present:
    """Read a store that holds these groups and keys, at the revisions 7 and 3."""
    head = {"schema_version": 1}
    texts = [{**head, "revision": 7, "keys": keys}, {**head, "revision": 3, **more, "groups": groups}]
    files = EnvironmentFiles.holding(
        {f"/store/{name}.json": json.dumps(text) for name, text in zip(("metabase", "cluster"), texts, strict=True)}
    )
    folder = StoreFolder(files, "/store")
    return Present(folder.load(), *folder.documents())


def report(name: str, group: str = "evs1", **changes: object) -> ResourceReport:
    """Make the report of a healthy smtp resource, changed as told."""
    healthy = ResourceReport(
        id=ResourceId(group, name),
        type="smtp",
        controller="process",
        state=State.ONLINE,
        desired=State.ONLINE,
        alive=True,
        verdict=Outcome.ALIVE,
        stale=False,
        reason=Reason.MATCHED,
        evidence="220 mail.example.org ESMTP",
        age_s=0.25,
        root_cause=None,
        since=WALL,
        restarts=0,
        restarts_left=2,
        operation=None,
        depends_on=(),
        waiting_for=(),
    )
    return replace(healthy, **changes)  # type: ignore[arg-type] # the names are checked by replace itself


def failed(name: str, reason: Reason = Reason.BANNER_TIMEOUT, **changes: object) -> ResourceReport:
    """Make the report of a resource that failed by itself."""
    told = {"state": State.FAILED, "alive": False, "verdict": Outcome.FAILED, "reason": reason, "evidence": ""}
    return report(name, **{**told, **changes})  # type: ignore[arg-type] # one name for all of them, as above


class StaticService:
    """The Service that the API's tests (and its page's screenshots) run against."""

    def __init__(self, *reports: ResourceReport, node: str = "node1", history_max: int = 1000) -> None:
        self.by_id = {one.id: one for one in reports}
        self.node = node
        self.revision = 1
        self.serving = True
        self.not_ready = ""
        self.draining = False
        self.directory: DirectoryReport | None = None
        self.history: deque[EventReport] = deque(maxlen=history_max)
        self.followers: list[Follower] = []
        self.asked: list[tuple[str, str, str]] = []  # verb, target, by
        self.past: Past | None = None
        self.told: dict[ResourceId, tuple[Transcript, ...]] = {}
        self.staged: dict[ResourceId, tuple[tuple[str, float], ...]] = {}
        self.refusal: Refusal | None = None
        self.broken: Exception | None = None  # raised by `resource`: a fault of ours
        self.keys: dict[str, dict[str, object]] = {"/smtp/1": {"bindings": ["127.0.0.1:25"]}}
        self.walked = asyncio.Event()  # somebody has ended a walk over the resources, or has given it up
        self.polled = asyncio.Event()  # a long poll has begun
        self._moved = asyncio.Event()
        self.edits: list[Edit] = []
        self.present = present_of({}, {"/smtp/1": {"bindings": ["127.0.0.1:25"]}})
        self._seq = 0
        self._operations: dict[int, OperationReport] = {}

    # --- what a test does ---

    def edge(self, changed: ResourceReport, trigger: str = "probe", evidence: str | None = None) -> EventReport:
        """Put a changed resource in: a new revision, an event to every follower."""
        before = self.by_id.get(changed.id)
        self.by_id[changed.id] = changed
        self._seq += 1
        self.revision += 1
        event = EventReport(
            seq=self._seq,
            time=WALL + self._seq,
            id=str(changed.id),
            kind="state",
            from_=str(before.state if before else State.OFFLINE),
            to=str(changed.state),
            reason=str(changed.reason),
            evidence=changed.evidence if evidence is None else evidence,
            root_cause=str(changed.root_cause) if changed.root_cause else None,
            trigger=trigger,
            operation=None,
        )
        self.history.append(event)
        for follower in self.followers:
            follower.offer(event)
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        return event

    # --- what the API asks ---

    @property
    def storage_groups(self) -> tuple[int, int]:
        return 0, 4

    async def maintain(self, group: str, on: bool, owner: str, expires_s: float | None) -> GroupReport:
        self._ask("maintain", group, owner)
        kept = MaintenanceReport(owner, WALL, None if expires_s is None else WALL + expires_s) if on else None
        return replace(next(filter(None, self.groups(group))), maintenance=kept)

    async def move(self, group: str, to: str, by: str) -> OperationReport:
        del to
        return self._ask("move", group, by)

    def wall(self) -> float:
        return LoopClock().wall()

    def resource(self, id: ResourceId) -> ResourceReport | None:
        if self.broken is not None:
            raise self.broken
        return self.by_id.get(id)

    def resources(self) -> Iterator[ResourceReport]:
        try:
            for id in tuple(self.by_id):
                if (one := self.by_id.get(id)) is not None:
                    yield one
        finally:
            self.walked.set()

    def levels(self) -> Iterator[LevelReport]:
        for one in self.resources():
            yield LevelReport(one.id, one.state, one.alive, one.stale, one.type, one.controller, one.root_cause)

    def groups(self, name: str | None = None) -> Iterator[GroupReport | None]:
        names = dict.fromkeys(id.group for id in self.by_id if name in (None, id.group))
        for each in names:
            states = {one.state for one in self.by_id.values() if one.id.group == each}
            worst = "failed" if State.FAILED in states else "online" if states == {State.ONLINE} else "partial"
            yield None  # as in the midst of a large one
            yield GroupReport(each, self.node, worst, sum(id.group == each for id in self.by_id))

    def operation(self, id: int) -> OperationReport | None:
        return self._operations.get(id)

    def events_after(self, seq: int, limit: int) -> list[EventReport]:
        return [event for event in self.history if event.seq > seq][:limit]

    def transcripts(self, id: ResourceId) -> tuple[Transcript, ...]:
        return self.told.get(id, ())

    def stages(self, id: ResourceId) -> tuple[tuple[str, float], ...]:
        return self.staged.get(id, ())

    def follow(self, follower: Follower) -> None:
        self.followers.append(follower)

    async def wait_past(self, revision: int, timeout_s: float) -> int:
        self.polled.set()
        try:
            async with asyncio.timeout(timeout_s):
                while self.revision <= revision:
                    await self._moved.wait()
        except TimeoutError:
            pass
        return self.revision

    async def ask_resource(self, verb: str, id: ResourceId, by: str) -> OperationReport:
        if id not in self.by_id:
            raise Refusal(404, "no_such_resource", f"there is no resource {id}")
        return self._ask(verb, str(id), by)

    async def ask_group(self, verb: str, group: str, by: str) -> OperationReport:
        return self._ask(verb, group, by)

    async def drain(self, on: bool, by: str) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.draining = on
        self.asked.append(("drain", str(on), by))

    async def plan(self, event: str, target: str) -> PlanReport:
        if self.refusal is not None:
            raise self.refusal
        step = PlanStep(0, 0.0, "suppose", target, f"suppose {event} {target}")
        return PlanReport(event, target, (step,), (), (), "", "")

    async def change(self, plan: Callable[[Present], Change], by: str) -> tuple[Change, Done]:
        if self.refusal is not None:
            raise self.refusal
        change = plan(self.present)
        self.asked.append(("change", ", ".join(map(str, change.ids)) or ", ".join(change.edit.keys), by))
        self.edits.append(change.edit)
        return change, Done(StoreRevisions(8, 4), bool(change.edit))

    def metabase(self, path: str) -> tuple[int, dict[str, object]] | None:
        return (7, self.keys[path]) if path in self.keys else None

    def _ask(self, verb: str, target: str, by: str) -> OperationReport:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((verb, target, by))
        operation = OperationReport(OpId(len(self.asked)), verb, target, "pending", "", WALL, None)
        self._operations[operation.id] = operation
        return operation


class MemoryFiles:
    """Files in memory; the stamp counts the writes. `readable` false makes reading fail as a permission would."""

    def __init__(self, **content: bytes) -> None:
        self.readable = True
        self._content = dict(content)
        self._writes = dict.fromkeys(content, 1)

    def put(self, path: str, content: bytes) -> None:
        self._content[path] = content
        self._writes[path] = self._writes.get(path, 0) + 1

    def stamp(self, path: str) -> object | None:
        return self._writes.get(path)

    def read(self, path: str, bytes_max: int) -> bytes:
        if not self.readable:
            raise PermissionError(13, "Permission denied", path)
        if path not in self._content:
            raise FileNotFoundError(2, "No such file or directory", path)
        return self._content[path][: bytes_max + 1]
