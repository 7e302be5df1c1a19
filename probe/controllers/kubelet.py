"""The kubelet controller: it restarts nothing itself, lets `/livez` ask the kubelet for it, and watches it happen.

How it behaves:
1. Start returns at once: the container is the kubelet's to start. The first good check confirms the online, within
   `pending_timeout_s`; until then `/livez/{g}/{r}` answers well, the grace of a start.
2. Stop returns at once and leaves the container as it is: only Kubernetes stops pods. What is offline here is not
   checked, keeps nobody waiting and never asks for a restart; its dependents were stopped before it.
3. A failed resource is cleared before it is started again, by a terminate. That returns when the container was really
   restarted: it was there, ill, and is gone now, or it is well. Until then the resource stays `failed` and its `/livez`
   fails, so that the kubelet acts, and its dependents wait. A container that was gone at the first look is waited for
   until it is well, for a refused connection does not tell a dead process from a restart.
4. So give a slow container a `startupProbe` on `/readyz/{g}/{r}`: the kubelet alone knows when it really began anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from probe.controllers.contract import Controller, ControllerError, ServiceSpec
from probe.environment import Clock
from probe.resources.reading import Problem
from probe.values import Incarnation, Outcome, Reason, ResourceId, Verdict

LOOK_INTERVAL_S = 1.0

GONE = frozenset({Reason.CONNECT_REFUSED, Reason.CONNECT_UNREACHABLE, Reason.LISTENER_GONE, Reason.ADDRESS_MISSING})

Ask = Callable[[ResourceId], Awaitable[Verdict]]


async def cannot_tell(id: ResourceId) -> Verdict:
    """Know nothing: nobody is there to ask a resource."""
    return Verdict(Reason.PROBE_INTERNAL, f"nobody asks {id}")


class KubeletController:
    """Waits for what the kubelet does. `ask` checks a resource once, now."""

    acts = True
    ours_to_stop = False

    def __init__(self, clock: Clock, ask: Ask = cannot_tell) -> None:
        self._clock = clock
        self._ask = ask

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Return: the kubelet has it started, or will."""

    async def stop(self, service: ServiceSpec) -> None:
        """Return, and leave the container as it is."""

    async def terminate(self, service: ServiceSpec) -> None:
        """Return when the container was restarted, or is well; the core has the time-out."""
        answered = False
        while True:
            verdict = await self._ask(service.id)
            if verdict.outcome is Outcome.ALIVE or (answered and verdict.reason in GONE):
                return
            answered = answered or (verdict.outcome is Outcome.FAILED and verdict.reason not in GONE)
            await self._clock.sleep(LOOK_INTERVAL_S)

    async def upgrade(self, service: ServiceSpec) -> None:
        """Refuse."""
        text = f"{service.id} is the kubelet's: upgrade it by its image, as Kubernetes does"
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, text))

    def kill(self, id: ResourceId) -> None:
        """Do nothing: its processes are in another container."""

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: the start that follows is done at once."""
        return False

    def pid(self, id: ResourceId) -> int | None:  # noqa: ARG002 - the contract's
        """Know none."""
        return None

    def release(self) -> None:
        """Have nothing to forget."""


def kubelet_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List the parameters of the controller kubelet, which takes none."""
    return tuple(Problem(key, "controller kubelet takes no parameters") for key in parameters)


_CONTROLLER: type[Controller] = KubeletController
