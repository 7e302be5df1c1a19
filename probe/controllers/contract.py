"""What every controller is: it makes it so, and tells when a service ended that nobody asked to end.

Rules of a controller:
1. It decides nothing: no retry, no restart, no time-out of an operation (the core has those). One call, one answer.
2. `start` of a service that is running already succeeds at once (S57); `stop` of one that is not, too.
3. An operation may be cancelled at any await; what it had begun is finished by the next operation on the same service.
4. A service that ended by itself is told once, with the incarnation of its last `start`; an end asked for, never.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from probe.resources.parameters import StorageGroup
from probe.resources.reading import ParametersError
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

__all__ = [
    "Background",
    "Controller",
    "ControllerError",
    "OnExit",
    "ParametersError",
    "ServiceSpec",
    "Spawn",
    "verdict_of",
]

OnExit = Callable[[ResourceId, Incarnation, Verdict], None]
Background = Coroutine[object, object, None]
Spawn = Callable[[Background], asyncio.Task[None]]  # its tasks catch what they raise, and are cancelled when we end

_OURS = {errno.EMFILE: Reason.PROBER_DESCRIPTORS, errno.ENFILE: Reason.PROBER_DESCRIPTORS}
_CAPACITY = (errno.EAGAIN, errno.ENOMEM)


class ControllerError(Exception):
    """An operation that did not succeed; `verdict` says why, its evidence as a sentence for people."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.evidence or str(verdict.reason))
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class Instance:
    """A resource's own part in a service that may be others', too (S57): how it comes into it and leaves it."""

    start: tuple[str, ...] | None = None
    stop: tuple[str, ...] | None = None
    storage_groups: tuple[StorageGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """A service as its controller sees it: whose it is, and the parameters of that controller's kind, raw."""

    id: ResourceId
    parameters: Mapping[str, object]
    service: str = ""  # which service it is: equal texts are one service that is shared (S36); "" is its own
    whole: bool = False  # its stop ends the service for everybody (S36, S59)
    instance: Instance | None = None
    virtual_server: str = ""  # the key of the metabase that the resource names
    resource: Mapping[str, object] = field(default_factory=dict)  # its own parameters (`observed_parameters`)


class Acting(Protocol):
    """What starts and stops services of one kind, each known by one resource: what `Sharing` puts the users before."""

    @property
    def acts(self) -> bool:
        """Whether it can start and stop anything (false for `none`)."""

    @property
    def ours_to_stop(self) -> bool:
        """Whether its services are our children in spirit: they end with us unless told to be left running."""

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the service, or go on with the running one (S57). Raises ControllerError."""

    async def stop(self, service: ServiceSpec) -> None:
        """Stop the service; return when nothing of it is left. Raises ControllerError."""

    async def terminate(self, service: ServiceSpec) -> None:
        """End the service whatever state it is in (S68), sooner than `stop` would. Raises ControllerError."""

    def kill(self, id: ResourceId) -> None:
        """Kill the service's processes at once, those and no others (S56). Never raises for a service that is gone."""

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Take over the service if an earlier run of ours left it running; say whether it runs."""

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of the running service, if it has one."""

    def release(self) -> None:
        """Forget every service and leave it running: we end, they don't."""


class Controller(Acting, Protocol):
    """One kind of controller, serving all resources of that kind."""

    async def upgrade(self, service: ServiceSpec) -> None:
        """Run `upgrade`, for as long as it takes, while the resource is offline (S53). Raises ControllerError."""


class Observer(Protocol):
    """One kind of look at what is no conversation, serving all resources that are looked at that way."""

    @property
    def overdue(self) -> Reason:
        """What it means that a look does not return in time."""

    @property
    def calls_off(self) -> bool:
        """Whether a cancel ends what a look has begun; else that may hang, and the next look waits for it (S65)."""

    async def look(self, id: ResourceId, parameters: Mapping[str, object]) -> Verdict:
        """Look at a resource whose parameters these are (`observed_parameters`); never block, never raise."""


def verdict_of(error: OSError, what: str, otherwise: Reason = Reason.PROCESS_GONE) -> Verdict:
    """Say what could not be done and why; descriptors that we lack are our fault, never the service's."""
    reason = _OURS.get(error.errno or 0, Reason.CAPACITY if error.errno in _CAPACITY else otherwise)
    where = f" ({error.filename})" if error.filename and str(error.filename) not in what else ""
    return Verdict(reason, evidence_of(f"{what}: {error.strerror or error}{where}"))
