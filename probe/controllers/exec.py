"""The exec controller: the user's own programs start and stop the service; never a shell, always an argv.

How it behaves:
1. `start` and `stop` end with 0 when the service runs, or is stopped; anything else is a failure, its last line the
   evidence. Both may be called when there is nothing to do (S57); where `status` is given they then are not called.
2. `status` speaks as an init script does (LSB): 0 runs, 3 is stopped, 1 and 2 it died and left a pid file or a lock.
   Any other end is unknown, which changes nothing. It is looked at each `status_interval_s` while started; a service
   found stopped is `external_stop` (S6), one found dead `process_gone`. Without `status` nobody tells.
3. There is no time-out here: the core cancels, and a cancelled hook is killed with its process group.
4. Each hook sees LOOKSALIVE_RESOURCE (`group/name`) and LOOKSALIVE_HOOK (`start`, `stop` ...).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from probe.controllers.contract import ControllerError, ParametersError, ServiceSpec
from probe.controllers.hooked import HookedController
from probe.controllers.hooks import complaint_of
from probe.controllers.reading import Parameter, Reading
from probe.environment import Finished
from probe.resources.checking import Problem
from probe.values import Incarnation, Reason, Verdict, evidence_of

STATUS_INTERVAL_S = 10.0
STATUS_INTERVAL_S_MIN = 0.1
STATUS_INTERVAL_S_MAX = 86_400.0
STOPPED_LOOK_S = 0.5  # between two looks whether a stopped service is gone

STATUS_REASONS = {  # Linux Standard Base, init script actions, `status`; any other end says nothing
    0: Reason.MATCHED,
    1: Reason.PROCESS_GONE,  # and its pid file is left
    2: Reason.PROCESS_GONE,  # and its lock is left
    3: Reason.EXTERNAL_STOP,
}
_NOT_RUNNING = (Reason.PROCESS_GONE, Reason.EXTERNAL_STOP)

EXEC_PARAMETERS = (
    Parameter("start", "argv", "starts the service and ends; 0 when it runs", required=True),
    Parameter("stop", "argv", "stops the service and ends; 0 when it is stopped", required=True),
    Parameter("terminate", "argv", "ends the service whatever state it is in; else `stop` does"),
    Parameter("status", "argv", "0 runs, 3 stopped, 1 and 2 died (LSB), anything else unknown"),
    Parameter("status_interval_s", "seconds", "how often `status` is asked while started", "10"),
)


@dataclass(frozen=True, slots=True)
class ExecParameters:
    """The hooks of a service."""

    start: tuple[str, ...]
    stop: tuple[str, ...]
    terminate: tuple[str, ...] | None = None
    status: tuple[str, ...] | None = None
    status_interval_s: float = STATUS_INTERVAL_S


class ExecController(HookedController):
    """Runs the hooks of services."""

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Run `start` unless `status` says that it runs (S57). Raises ControllerError."""
        parameters = _parameters(service)
        self._begin(service)
        if not await self._runs(service, parameters):
            await self._do(service, "start", parameters.start, Reason.SERVICE_STOPPED)
        if parameters.status is not None:
            look = partial(self._status, service, parameters)
            self._polls.begin(service.id, incarnation, parameters.status_interval_s, look)

    async def stop(self, service: ServiceSpec) -> None:
        """Run `stop` unless `status` says that it is stopped, and wait for that. Raises ControllerError."""
        parameters = _parameters(service)
        await self._end(service, parameters, "stop", parameters.stop)

    async def terminate(self, service: ServiceSpec) -> None:
        """Run `terminate`, or `stop` where there is none (S68). Raises ControllerError."""
        parameters = _parameters(service)
        if parameters.terminate is None:
            await self._end(service, parameters, "stop", parameters.stop)
        else:
            await self._end(service, parameters, "terminate", parameters.terminate)

    async def _runs(self, service: ServiceSpec, parameters: ExecParameters) -> bool:
        verdict = await self._status(service, parameters)
        return verdict.reason is Reason.MATCHED

    async def _end(self, service: ServiceSpec, parameters: ExecParameters, hook: str, argv: tuple[str, ...]) -> None:
        self._begin(service)
        if (await self._status(service, parameters)).reason is not Reason.EXTERNAL_STOP:
            try:
                await self._do(service, hook, argv, Reason.REFUSED_BY_SERVER)
            except ControllerError:  # as `kill` of a pid that died long ago does; what counts is that nothing runs
                if (await self._status(service, parameters)).reason not in _NOT_RUNNING:
                    raise
            while await self._runs(service, parameters):
                await self._clock.sleep(STOPPED_LOOK_S)
        self._ended(service.id)

    async def _do(self, service: ServiceSpec, hook: str, argv: tuple[str, ...], otherwise: Reason) -> None:
        finished = await self._hooks.run(service.id, argv, _variables(service, hook))
        if finished.status != 0:
            text = f"the {hook} hook ended with {finished.text}{complaint_of(finished)}"
            raise ControllerError(Verdict(otherwise, evidence_of(text)))

    async def _status(self, service: ServiceSpec, parameters: ExecParameters) -> Verdict:
        """Ask where there is somebody to ask; what cannot be asked is unknown."""
        if parameters.status is None:
            return Verdict(Reason.PROBE_INTERNAL, "there is no status hook")
        try:
            return status_verdict(await self._hooks.ask(parameters.status, _variables(service, "status")))
        except ControllerError as error:
            return Verdict(Reason.PROBE_INTERNAL, error.verdict.evidence)

    async def _end_at_once(self, service: ServiceSpec) -> None:
        """Run `terminate`; who has none cannot be killed by us."""
        argv = _parameters(service).terminate
        if argv is None:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, "it has no terminate hook"))
        await self._do(service, "terminate", argv, Reason.REFUSED_BY_SERVER)


def status_verdict(finished: Finished) -> Verdict:
    """Read the answer of a `status` hook: running (`matched`), stopped, dead, or unknown."""
    text = evidence_of(f"the status hook ended with {finished.text}{complaint_of(finished)}")
    return Verdict(STATUS_REASONS.get(finished.status, Reason.PROBE_INTERNAL), text)


def exec_parameters(parameters: Mapping[str, object]) -> ExecParameters:
    """Read the parameters of the exec controller. Raises ParametersError with all problems at once."""
    reading = Reading(parameters)
    reading.unknown_keys(each.name for each in EXEC_PARAMETERS)
    read = ExecParameters(
        start=reading.argv("start", '["/usr/sbin/postfix", "start"]'),
        stop=reading.argv("stop", '["/usr/sbin/postfix", "stop"]'),
        terminate=reading.argv_if_any("terminate", '["/usr/sbin/postfix", "abort"]'),
        status=reading.argv_if_any("status", '["/usr/sbin/postfix", "status"]'),
        status_interval_s=reading.seconds(
            "status_interval_s", STATUS_INTERVAL_S, STATUS_INTERVAL_S_MIN, STATUS_INTERVAL_S_MAX
        ),
    )
    reading.finish()
    return read


def exec_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the exec controller."""
    try:
        exec_parameters(parameters)
    except ParametersError as error:
        return error.problems
    return ()


def _parameters(service: ServiceSpec) -> ExecParameters:
    try:
        return exec_parameters(service.parameters)
    except ParametersError as error:
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error


def _variables(service: ServiceSpec, hook: str) -> dict[str, str]:
    return {"LOOKSALIVE_RESOURCE": str(service.id), "LOOKSALIVE_HOOK": hook}
