"""The ocf controller: services run by OCF resource agents, the same that Pacemaker runs.

How it behaves:
1. A start first asks the agent's `monitor`: what runs already is left alone (S57). A stop is the agent's alone: by the
   standard it succeeds when there is nothing to stop, and it is the only way to end a service, so a kill is a stop.
2. While started, `monitor` is asked each `monitor_interval_s`. 7 (not running) is `external_stop` (S6), 1 and 9
   (failed) are `not_serving`; a code that speaks of the agent and not of the service is unknown and changes nothing.
3. There is no time-out of operations here: the core cancels, and a cancelled agent is killed with its process group.
4. The store's checker asks the agent for its meta-data, where the agent is there, and names unknown and missing
   parameters. Where the agents are not installed nothing is said: a store may be checked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from probe.controllers.agents import EXIT_CODES, UNKNOWN_CODE, AgentName, Agents, ExitCode
from probe.controllers.contract import ControllerError, OnExit, ParametersError, ServiceSpec, Spawn
from probe.controllers.hooked import HookedController
from probe.controllers.hooks import complaint_of
from probe.controllers.polling import LOOK_TIMEOUT_S
from probe.controllers.reading import Parameter, Reading, did_you_mean
from probe.environment import Environment, Finished
from probe.resources.checking import Problem
from probe.values import Incarnation, Reason, Verdict, evidence_of

MONITOR_INTERVAL_S = 10.0
MONITOR_INTERVAL_S_MIN = 0.1
MONITOR_INTERVAL_S_MAX = 86_400.0
OPERATION_TIMEOUT_S = 180.0  # what agents are told that start and stop may take: the core's default
PARAMETERS_MAX = 256
VALUE_CHARS_MAX = 65_536

EXAMPLE = '"ocf:heartbeat:IPaddr2"'
_PARAMETER_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,126}")
_EXIT_REASON = b"ocf-exit-reason:"  # how an agent marks the line that is meant for people

OCF_PARAMETERS = (
    Parameter("agent", "`ocf:PROVIDER:AGENT`", "the resource agent, below /usr/lib/ocf/resource.d", required=True),
    Parameter(
        "parameters", "names and values", "the agent's own, given to it as OCF_RESKEY_…; checked by its meta-data"
    ),
    Parameter("monitor_interval_s", "seconds", "how often its `monitor` is asked while started", "10"),
)


@dataclass(frozen=True, slots=True)
class OcfParameters:
    """An agent and what it is told."""

    agent: AgentName
    parameters: Mapping[str, str] = field(default_factory=dict)
    monitor_interval_s: float = MONITOR_INTERVAL_S


class OcfController(HookedController):
    """Runs resource agents."""

    def __init__(
        self, environment: Environment, state_dir: str, on_exit: OnExit, spawn: Spawn, agents: Agents | None = None
    ) -> None:
        super().__init__(environment, state_dir, on_exit, spawn)
        self._agents = agents or AGENTS

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the service unless its monitor says that it runs (S57). Raises ControllerError."""
        parameters = _parameters(service)
        self._begin(service)
        if (await self._monitor(service, parameters, interval_s=0)).reason is not Reason.MATCHED:
            await self._do(service, parameters, "start")
        interval_s = parameters.monitor_interval_s
        look = partial(self._monitor, service, parameters, interval_s)
        self._polls.begin(service.id, incarnation, interval_s, look)

    async def stop(self, service: ServiceSpec) -> None:
        """Stop the service. Raises ControllerError."""
        parameters = _parameters(service)
        self._begin(service)
        await self._do(service, parameters, "stop")
        self._ended(service.id)

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop the service: agents know no harder way, and a stop that needs it kills by itself (S68)."""
        await self.stop(service)

    async def _do(self, service: ServiceSpec, parameters: OcfParameters, action: str) -> None:
        variables = self._variables(service, parameters, OPERATION_TIMEOUT_S)
        finished = await self._hooks.run(service.id, self._argv(parameters, action), variables)
        reason = _code_of(finished).operation
        if reason is not Reason.MATCHED:
            raise ControllerError(Verdict(reason, _evidence(parameters, action, finished)))

    async def _monitor(self, service: ServiceSpec, parameters: OcfParameters, interval_s: float) -> Verdict:
        variables = self._variables(service, parameters, LOOK_TIMEOUT_S)
        variables["OCF_RESKEY_CRM_meta_interval"] = f"{interval_s * 1000:.0f}"  # 0: a probe, nothing is expected
        finished = await self._hooks.ask(self._argv(parameters, "monitor"), variables)
        return Verdict(_code_of(finished).monitor, _evidence(parameters, "monitor", finished))

    async def _end_at_once(self, service: ServiceSpec) -> None:
        """Stop the service: that is all that agents know."""
        await self._do(service, _parameters(service), "stop")

    def _argv(self, parameters: OcfParameters, action: str) -> tuple[str, str]:
        return (parameters.agent.path(self._agents.root), action)

    def _variables(self, service: ServiceSpec, parameters: OcfParameters, timeout_s: float) -> dict[str, str]:
        """Name the agent's surroundings, as the API ("Parameter passing") and Pacemaker's practice have them."""
        return {
            "OCF_ROOT": self._agents.root,
            "OCF_RA_VERSION_MAJOR": "1",
            "OCF_RA_VERSION_MINOR": "0",
            "OCF_RESOURCE_PROVIDER": parameters.agent.provider,
            "OCF_RESOURCE_TYPE": parameters.agent.type,
            "OCF_RESOURCE_INSTANCE": f"{service.id.group}@{service.id.name}",  # agents make file names of it
            "OCF_RESKEY_CRM_meta_timeout": f"{timeout_s * 1000:.0f}",
            **{f"OCF_RESKEY_{name}": value for name, value in parameters.parameters.items()},
        }


AGENTS = Agents()


def ocf_parameters(parameters: Mapping[str, object]) -> OcfParameters:
    """Read the parameters of the ocf controller, not asking the agent. Raises ParametersError with all problems."""
    reading = Reading(parameters)
    agent, own, interval_s = _read(reading)
    reading.finish()
    assert agent is not None
    return OcfParameters(agent, own, interval_s)


def ocf_problems(parameters: Mapping[str, object], agents: Agents = AGENTS) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the ocf controller, asking the agent if it is there. Blocks."""
    reading = Reading(parameters)
    agent, own, _ = _read(reading)
    if agent is not None:
        _check_with_agent(reading, agent, own, agents)
    return tuple(reading.problems)


def _read(reading: Reading) -> tuple[AgentName | None, dict[str, str], float]:
    reading.unknown_keys(each.name for each in OCF_PARAMETERS)
    agent, own = _agent(reading), _own(reading)
    interval_s = reading.seconds(
        "monitor_interval_s", MONITOR_INTERVAL_S, MONITOR_INTERVAL_S_MIN, MONITOR_INTERVAL_S_MAX
    )
    return agent, own, interval_s


def _check_with_agent(reading: Reading, agent: AgentName, own: Mapping[str, str], agents: Agents) -> None:
    providers = agents.providers
    if not providers:
        return
    if agent.provider not in providers:
        reading.wrong(
            "agent", f'there is no provider "{agent.provider}" on this node', did_you_mean(agent.provider, providers)
        )
    elif agent.type not in (names := agents.names(agent.provider)):
        reading.wrong("agent", f'{agent.provider} has no agent "{agent.type}"', did_you_mean(agent.type, names))
    elif (meta_data := agents.meta_data(agent)) is not None:
        for name in own:
            if name not in meta_data.parameters:
                hint = did_you_mean(name, meta_data.parameters)
                reading.wrong("parameters", f'{agent.type} has no parameter "{name}"', hint)
        for name in meta_data.required:
            if name not in own:
                reading.wrong("parameters", f'{agent.type} needs "{name}"')


def _agent(reading: Reading) -> AgentName | None:
    text = reading.text("agent", EXAMPLE)
    if not text:
        return None
    try:
        return AgentName.parse(text)
    except ValueError as error:
        reading.wrong("agent", str(error), f"for example {EXAMPLE}")
        return None


def _own(reading: Reading) -> dict[str, str]:
    value = reading.parameters.get("parameters")
    if value is None:
        return {}
    if not isinstance(value, Mapping) or len(value) > PARAMETERS_MAX:
        reading.wrong("parameters", f"must be an object of at most {PARAMETERS_MAX} names and values")
        return {}
    own: dict[str, str] = {}
    for name, content in value.items():
        if not isinstance(name, str) or _PARAMETER_NAME.fullmatch(name) is None:
            reading.wrong("parameters", f"{name!r} cannot be the name of a parameter")
            continue
        match content:
            case bool():
                own[name] = "true" if content else "false"
            case str() | int() | float() if "\0" not in str(content) and len(str(content)) <= VALUE_CHARS_MAX:
                own[name] = str(content)
            case _:
                reading.wrong("parameters", f'the value of "{name}" must be a text, a number, true or false')
    return own


def _parameters(service: ServiceSpec) -> OcfParameters:
    try:
        return ocf_parameters(service.parameters)
    except ParametersError as error:
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error


def _code_of(finished: Finished) -> ExitCode:
    return EXIT_CODES.get(finished.status, UNKNOWN_CODE)


def _evidence(parameters: OcfParameters, action: str, finished: Finished) -> str:
    complaint = f": {reason}" if (reason := _exit_reason(finished.output)) else complaint_of(finished)
    return evidence_of(f"{action} of {parameters.agent.type}: {finished.text} ({_code_of(finished).name}){complaint}")


def _exit_reason(output: bytes) -> str:
    """Find what the agent says for people; "" where it says nothing of the kind."""
    reasons = [line for line in output.splitlines() if line.startswith(_EXIT_REASON)]
    return reasons[-1].removeprefix(_EXIT_REASON).decode("utf-8", "backslashreplace").strip() if reasons else ""
