"""The plan of a resource's probes: what is asked, how often, and how many answers it takes to believe one."""

from __future__ import annotations

from dataclasses import dataclass

from bindings.model import BindingPolicy, Resource, VirtualServer
from probe.environment import Environment
from probe.monitor.target import Target
from probe.monitor.targets import Targets
from probe.values import ResourceId

STALE_PERIODS = 3  # S66


@dataclass(frozen=True, slots=True, eq=False)
class ProbePlan:
    """How one resource is probed. Immutable; a reload replaces it."""

    id: ResourceId
    protocol: str
    targets: tuple[Target, ...]
    policy: BindingPolicy
    timeout_s: float
    period_s: float
    fast_s: float
    rise: int
    fall: int

    @property
    def fresh_s(self) -> float:
        """How old a reading may become before it is stale (S66)."""
        return STALE_PERIODS * self.period_s + self.timeout_s


class Plans:
    """Make plans; those that judge TLS alike share a context."""

    __slots__ = ("_targets",)

    def __init__(self, environment: Environment) -> None:
        self._targets = Targets(environment)

    def plan_for(self, resource: Resource, server: VirtualServer, group_address: str | None = None) -> ProbePlan:
        """Plan the probes of a resource that asks `server`; its own timings come before the server's.

        Reads secrets and certificates, so it blocks for as long as files do. It never raises for what they hold: a
        binding that cannot be asked says so in its probes.
        """
        return ProbePlan(
            id=ResourceId(resource.group, resource.name),
            protocol=server.protocol,
            targets=self._targets.targets_for(server, group_address),
            policy=server.binding_policy,
            timeout_s=server.probe_timeout_s,
            period_s=_own(resource.poll_interval_s, server.poll_interval_s),
            fast_s=_own(resource.fast_interval_s, server.fast_interval_s),
            rise=resource.rise if resource.rise is not None else server.rise,
            fall=resource.fall if resource.fall is not None else server.fall,
        )

    def forget_files(self) -> None:
        """Read certificates anew for the plans made from now on."""
        self._targets.forget_files()


def _own(value: float | None, inherited: float) -> float:
    return inherited if value is None else value
