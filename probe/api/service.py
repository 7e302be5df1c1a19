"""What the API needs of the running service; the runtime is one, the API's tests have another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

from probe.directory.changes import Done
from probe.directory.report import DirectoryReport
from probe.history.past import Past
from probe.lifecycle.foretell import PlanReport
from probe.lifecycle.report import EventReport, GroupReport, LevelReport, OperationReport, Refusal, ResourceReport
from probe.monitor.transcript import Transcript
from probe.resources.changes import Change, Present
from probe.values import ResourceId

__all__ = ["Follower", "Refusal", "Service"]


class Follower(Protocol):
    """Who is told of every event as it happens, and must not hold anybody up."""

    def offer(self, event: EventReport) -> None: ...


class Service(Protocol):
    """The read side costs no probe and no I/O; the write side only posts events."""

    @property
    def node(self) -> str: ...
    @property
    def revision(self) -> int:
        """Rises on edges, never on a probe."""

    @property
    def serving(self) -> bool:
        """We serve, whatever the services do (`/livez`)."""

    @property
    def not_ready(self) -> str:
        """Empty when the store is loaded and the first round is done (`/readyz`), else what is missing."""

    @property
    def draining(self) -> bool:
        """Whether the stops to come are planned."""

    @property
    def storage_groups(self) -> tuple[int, int]:
        """How many storage groups are mounted here, and how many may be (S45)."""

    @property
    def directory(self) -> DirectoryReport | None:
        """What is known of the directory that other tools share; None when there is none."""

    def wall(self) -> float:
        """What the clock on the wall says, in seconds since the epoch."""

    @property
    def past(self) -> Past | None:
        """What was: the minutes of probes and the recorded edges; None when no history is kept."""

    def resource(self, id: ResourceId) -> ResourceReport | None: ...
    def resources(self) -> Iterator[ResourceReport]:
        """Every resource, in the order of the store. The world may change between two steps of the iterator."""

    def levels(self) -> Iterator[LevelReport]:
        """The little of every resource that a scrape tells; as `resources` otherwise."""

    def groups(self, name: str | None = None) -> Iterator[GroupReport | None]:
        """Every group, or the one of that name; None in the midst of a large one, where others may have a turn."""

    def operation(self, id: int) -> OperationReport | None: ...
    def events_after(self, seq: int, limit: int) -> list[EventReport]:
        """What is kept of the events behind `seq`, oldest first; a seq is one more than the one before."""

    def transcripts(self, id: ResourceId) -> tuple[Transcript, ...]:
        """The dialogues of the last failures, the newest first; empty when there was none, or no such resource."""

    def stages(self, id: ResourceId) -> tuple[tuple[str, float], ...]:
        """The seconds of each stage of the last probe; empty when there was none, or no such resource."""

    def follow(self, follower: Follower) -> None:
        """Tell somebody of every event from now on."""

    async def wait_past(self, revision: int, timeout_s: float) -> int:
        """Return the revision as soon as it is above `revision`, or the current one after `timeout_s`."""

    async def ask_resource(self, verb: str, id: ResourceId, by: str) -> OperationReport:
        """Ask for online, offline, restart or terminate. Returns at once with the pending operation. Raises Refusal."""

    async def ask_group(self, verb: str, group: str, by: str) -> OperationReport:
        """Ask for online or offline of a whole group. Raises Refusal."""

    async def maintain(self, group: str, on: bool, owner: str, expires_s: float | None) -> GroupReport:
        """Begin or end a group's maintenance: no action at all, while watching goes on. Raises Refusal."""

    async def move(self, group: str, to: str, by: str) -> OperationReport:
        """Have another node take a group. Raises Refusal: with one node, always."""

    async def drain(self, on: bool, by: str) -> None:
        """Begin or end a time of planned stops; what is so already stays so. Raises Refusal."""

    async def plan(self, event: str, target: str) -> PlanReport:
        """Say what an event would lead to, with nothing done. Raises Refusal (409) where it cannot happen."""

    async def change(self, plan: Callable[[Present], Change], by: str) -> tuple[Change, Done]:
        """Plan a change of the store in a thread and carry it out, where what goes is offline. Raises Refusal."""

    def metabase(self, path: str) -> tuple[int, dict[str, object]] | None:
        """Return (revision, raw key) of a metabase key, or None."""
