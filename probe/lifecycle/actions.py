"""Everything `step` may ask of the shell. Immutable; the runtime performs them in order and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

from probe.values import Incarnation, OpId, ResourceId


@dataclass(frozen=True, slots=True)
class Start:
    """Have the controller start the service; answer with `Started` or `OperationFailed`, once, carrying `op`."""

    id: ResourceId
    op: OpId
    incarnation: Incarnation


@dataclass(frozen=True, slots=True)
class Stop:
    """Have the controller stop the service; answer with `Stopped` or `OperationFailed`, once, carrying `op`."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Terminate:
    """Have the controller end the service, whatever state it is in; answered like `Stop`."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Upgrade:
    """Have the controller upgrade the service, which is offline; answer with `Upgraded` or `OperationFailed` (S53)."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill the service's process at once, it and no other (S56); not answered."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class Cancel:
    """Ask the worker of `op` to give up; its answer still comes, late."""

    id: ResourceId
    op: OpId


@dataclass(frozen=True, slots=True)
class Watch:
    """Begin or go on checking: post `Probed` on every edge of the level. `alive` is the level known so far.

    `confirming`: an online is in progress; only the edge to alive counts, and the checks come quickly.
    """

    id: ResourceId
    incarnation: Incarnation
    alive: bool | None
    confirming: bool = False


@dataclass(frozen=True, slots=True)
class Unwatch:
    """Stop checking: no check after this (S68)."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class Verify:
    """Check now, ahead of the schedule (S67): whoever is asked for this is suspected, which is the first of `fall`.

    `anew`: a check under way is begun again, so that the answer says how things are from now on.
    """

    id: ResourceId
    anew: bool = False


@dataclass(frozen=True, slots=True)
class Open:
    """The resource came to this node (S47)."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class Close:
    """The resource left this node (S47)."""

    id: ResourceId


@dataclass(frozen=True, slots=True)
class FailOver:
    """Another node should take the group: a resource of it used its budget up (S54). With one node, nobody can."""

    group: str
    because: ResourceId


Action = Start | Stop | Terminate | Upgrade | FailOver | Kill | Cancel | Watch | Unwatch | Verify | Open | Close
