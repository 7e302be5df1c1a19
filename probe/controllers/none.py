"""The controller that acts not: somebody else starts and stops the service, we only look."""

from __future__ import annotations

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.values import Incarnation, Reason, ResourceId, Verdict


class NoController:
    """Refuses every verb. The core never asks it (`acts` is false); a caller that does gets told."""

    acts = False
    ours_to_stop = False

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:  # noqa: ARG002 - the contract's
        """Refuse."""
        raise _refusal(service.id, "start")

    async def stop(self, service: ServiceSpec) -> None:
        """Refuse."""
        raise _refusal(service.id, "stop")

    async def terminate(self, service: ServiceSpec) -> None:
        """Refuse."""
        raise _refusal(service.id, "terminate")

    async def upgrade(self, service: ServiceSpec) -> None:
        """Refuse."""
        raise _refusal(service.id, "upgrade")

    def kill(self, id: ResourceId) -> None:
        """Do nothing: there is no process that we know of."""

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: nothing is ours."""
        return False

    def pid(self, id: ResourceId) -> int | None:  # noqa: ARG002 - the contract's
        """Know none."""
        return None

    def release(self) -> None:
        """Have nothing to forget."""


def _refusal(id: ResourceId, verb: str) -> ControllerError:
    return ControllerError(Verdict(Reason.PROBE_INTERNAL, f"{id} has controller none: nothing here can {verb} it"))
