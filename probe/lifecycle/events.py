"""Everything that can happen to the world: the inputs of `step`. Immutable; each says who caused it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from probe.lifecycle.spec import Spec
from probe.values import Incarnation, OpId, ResourceId, Verdict


class Trigger(StrEnum):
    """Who made it happen; the label of events and of the transition counter."""

    PROBE = "probe"
    KERNEL = "kernel"
    PROCESS = "process"
    CONTROLLER = "controller"
    DEPENDENCY = "dependency"
    OPERATOR = "operator"
    TIMER = "timer"
    STORE = "store"


class Verb(StrEnum):
    """What an operator may ask of a resource or a group."""

    ONLINE = "online"
    OFFLINE = "offline"
    RESTART = "restart"
    TERMINATE = "terminate"
    UPGRADE = "upgrade"


@dataclass(frozen=True, slots=True)
class Configured:
    """The store was loaded or edited: these resources are new or changed, those are gone.

    `desired` is what an operator last asked of a new resource (true: online); without a word `auto_start` decides.
    `storage_groups_max` is how many storage groups a node mounts (S45); None leaves that as it is.
    """

    specs: tuple[Spec, ...]
    removed: tuple[ResourceId, ...] = ()
    desired: tuple[tuple[ResourceId, bool], ...] = ()
    storage_groups_max: int | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """An operator asks; `target` is a resource or a whole group. The decision's `answer` says whether it is granted."""

    verb: Verb
    target: ResourceId | str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """The controller's start of operation `op` succeeded."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Stopped:
    """The controller's stop or terminate of operation `op` succeeded."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Upgraded:
    """The controller's upgrade of operation `op` succeeded (S53)."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Progressed:
    """The operation under way is so far: `done` of `total`, and what it waits for (S22)."""

    id: ResourceId
    done: int
    total: int
    text: str = ""


@dataclass(frozen=True, slots=True)
class OperationFailed:
    """The controller's part of operation `op` ended without success (also: was cancelled)."""

    id: ResourceId
    op: OpId
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Found:
    """The service of an earlier run of ours still runs: going online will only have to take it over."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class Exited:
    """The service of that incarnation ended by itself, or by a hand that is not ours."""

    id: ResourceId
    incarnation: Incarnation
    verdict: Verdict
    trigger: Trigger = Trigger.PROCESS
    seen_at: float | None = None  # as of Probed


@dataclass(frozen=True, slots=True)
class Probed:
    """An edge of the monitored level (after rise/fall): only changes arrive here, never a steady round."""

    id: ResourceId
    incarnation: Incarnation
    alive: bool
    verdict: Verdict
    trigger: Trigger = Trigger.PROBE
    seen_at: float | None = None  # clock seconds of its first sign, for measuring alone: nothing is decided by it


@dataclass(frozen=True, slots=True)
class Suspected:
    """An online resource's check failed, the first of a run that is no edge yet: once a run (DESIGN section 5.2)."""

    id: ResourceId
    incarnation: Incarnation


@dataclass(frozen=True, slots=True)
class Owned:
    """The ownership of a group came to this node or left it."""

    group: str
    here: bool


@dataclass(frozen=True, slots=True)
class Maintained:
    """An operator begins or ends the maintenance of a group: no action at all, while watching goes on."""

    group: str
    on: bool
    owner: str = ""
    until: float | None = None  # of `step`'s clock; None: until it is ended


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: whatever is due is done; `only` names the one to look at."""

    only: ResourceId | None = None


@dataclass(frozen=True, slots=True)
class Drained:
    """We are asked to end: what the process controller runs is taken offline in reverse order, nothing else starts."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The stops to come are planned (`on`), or no longer: while they are, nothing is started and nobody is to blame."""

    on: bool
    by: str = ""


Event = (
    Configured
    | Asked
    | Started
    | Stopped
    | Upgraded
    | Progressed
    | OperationFailed
    | Found
    | Exited
    | Probed
    | Suspected
    | Owned
    | Maintained
    | Tick
    | Drained
    | Planned
)
