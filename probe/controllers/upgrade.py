"""The `upgrade` that every kind of controller that acts takes beside its own parameters (S53)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from probe.controllers.contract import ControllerError, ServiceSpec
from probe.controllers.hooks import Hooks, complaint_of
from probe.controllers.reading import Parameter, Reading
from probe.resources.reading import Problem
from probe.values import Reason, Verdict, evidence_of

KEY = "upgrade"
UPGRADE = Parameter(KEY, "argv", "upgrades the service while it is offline, without a time-out (S53)")
EXAMPLE = '["/usr/sbin/postfix", "upgrade-configuration"]'

Problems = Callable[[Mapping[str, object]], Iterable[Problem]]


def can_upgrade(parameters: Mapping[str, object]) -> bool:
    """Say whether there is an `upgrade`."""
    return parameters.get(KEY) is not None


def without_upgrade(parameters: Mapping[str, object]) -> dict[str, object]:
    """Leave the kind's own parameters."""
    return {name: value for name, value in parameters.items() if name != KEY}


def upgradable(problems: Problems) -> Problems:
    """Check an `upgrade` beside what a kind checks of its own."""

    def all_problems(parameters: Mapping[str, object]) -> Iterable[Problem]:
        reading = Reading(parameters)
        reading.argv_if_any(KEY, EXAMPLE)
        return (*problems(without_upgrade(parameters)), *reading.problems)

    return all_problems


async def run_upgrade(hooks: Hooks, service: ServiceSpec) -> None:
    """Run the service's `upgrade` to its end, its output in the resource's file. Raises ControllerError."""
    reading = Reading(service.parameters)
    argv = reading.argv_if_any(KEY, EXAMPLE)
    if reading.problems or argv is None:
        text = f"{service.id} has no upgrade: give its controller {KEY}, for example {EXAMPLE}"
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(text)))
    variables = {"LOOKSALIVE_RESOURCE": str(service.id), "LOOKSALIVE_HOOK": KEY}
    try:
        finished = await hooks.run(service.id, argv, variables)
    finally:
        hooks.rest(service.id)
    if finished.status != 0:
        text = f"the upgrade ended with {finished.text}{complaint_of(finished)}"
        raise ControllerError(Verdict(Reason.REFUSED_BY_SERVER, evidence_of(text)))
