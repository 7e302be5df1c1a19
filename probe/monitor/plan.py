"""The plan of a resource's probes: what is asked, how often, and how many answers it takes to believe one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bindings.model import BindingPolicy, Resource, VirtualServer
from probe.environment import Environment
from probe.monitor.target import Target
from probe.monitor.targets import Targets
from probe.values import Reason, ResourceId, Verdict

STALE_PERIODS = 3  # S66
LOOK_TIMEOUT_S = 5.0  # of what is looked at; these are the protocols' defaults
LOOK_PERIOD_S = 10.0
LOOK_FAST_S = 1.0
LOOK_RISE = 1
LOOK_FALL = 2


@dataclass(frozen=True, slots=True, eq=False)
class ProbePlan:
    """How one resource is probed, by conversation or by a look. Immutable; a reload replaces it."""

    id: ResourceId
    protocol: str
    targets: tuple[Target, ...]
    policy: BindingPolicy
    timeout_s: float
    period_s: float
    fast_s: float
    rise: int
    fall: int
    observe: Callable[[], Awaitable[Verdict]] | None = None  # looks, where there is no target to converse with
    overdue: Reason = Reason.STEP_TIMEOUT  # what it means that a look does not return in time
    calls_off: bool = True  # a cancel ends the look; else an overdue one is left to hang and is not repeated (S65)
    group_address: str | None = None  # what a wildcard binding meant when the plan was made
    edition: int = 0  # of the files that it was made from: `forget_files` begins the next

    @property
    def single(self) -> Target | None:
        """The target that can be dialled without a round: the plan has just one and knows its address."""
        return self.targets[0] if len(self.targets) == 1 and self.targets[0].name is None else None

    @property
    def fresh_s(self) -> float:
        """How old a reading may become before it is stale (S66)."""
        return STALE_PERIODS * self.period_s + self.timeout_s


class Plans:
    """Make plans; those that judge TLS alike share a context."""

    __slots__ = ("_edition", "_targets")

    def __init__(self, environment: Environment) -> None:
        self._targets = Targets(environment)
        self._edition = 0

    def plan_for(
        self,
        resource: Resource,
        server: VirtualServer,
        group_address: str | None = None,
        id: ResourceId | None = None,
    ) -> ProbePlan:
        """Plan the probes of a resource that asks `server`; its own timings come before the server's.

        `id` is the resource's where the caller has it: the same object for all that keep it.
        Reads secrets and certificates, so it blocks for as long as files do. It never raises for what they hold: a
        binding that cannot be asked says so in its probes.
        """
        return ProbePlan(
            id=ResourceId(resource.group, resource.name) if id is None else id,
            protocol=server.protocol,
            targets=self._targets.targets_for(server, group_address),
            policy=server.binding_policy,
            timeout_s=server.probe_timeout_s,
            period_s=_own(resource.poll_interval_s, server.poll_interval_s),
            fast_s=_own(resource.fast_interval_s, server.fast_interval_s),
            rise=resource.rise if resource.rise is not None else server.rise,
            fall=resource.fall if resource.fall is not None else server.fall,
            group_address=group_address,
            edition=self._edition,
        )

    def plan_look(
        self,
        resource: Resource,
        observe: Callable[[], Awaitable[Verdict]],
        overdue: Reason = Reason.STEP_TIMEOUT,
        *,
        calls_off: bool = True,
    ) -> ProbePlan:
        """Plan the looks at a resource that is no conversation."""
        return ProbePlan(
            id=ResourceId(resource.group, resource.name),
            protocol=resource.type,
            targets=(),
            policy="all",
            timeout_s=LOOK_TIMEOUT_S,
            period_s=_own(resource.poll_interval_s, LOOK_PERIOD_S),
            fast_s=_own(resource.fast_interval_s, LOOK_FAST_S),
            rise=resource.rise if resource.rise is not None else LOOK_RISE,
            fall=resource.fall if resource.fall is not None else LOOK_FALL,
            observe=observe,
            overdue=overdue,
            calls_off=calls_off,
        )

    def forget_files(self) -> None:
        """Read certificates anew for the plans made from now on."""
        self._targets.forget_files()
        self._edition += 1


def _own(value: float | None, inherited: float) -> float:
    return inherited if value is None else value
