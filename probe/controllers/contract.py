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
from dataclasses import dataclass
from typing import Protocol

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
class ServiceSpec:
    """A service as its controller sees it: whose it is, and the parameters of that controller's kind, raw."""

    id: ResourceId
    parameters: Mapping[str, object]


class Controller(Protocol):
    """One kind of controller, serving all resources of that kind."""

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


def verdict_of(error: OSError, what: str, otherwise: Reason = Reason.PROCESS_GONE) -> Verdict:
    """Say what could not be done and why; descriptors that we lack are our fault, never the service's."""
    reason = _OURS.get(error.errno or 0, Reason.CAPACITY if error.errno in _CAPACITY else otherwise)
    where = f" ({error.filename})" if error.filename and str(error.filename) not in what else ""
    return Verdict(reason, evidence_of(f"{what}: {error.strerror or error}{where}"))
