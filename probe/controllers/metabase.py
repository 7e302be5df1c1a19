"""The metabase controller: a virtual server is told by the store to start or stop, and writes there what it does (S58).

How it behaves:
1. Start: `command` "start" is written for the virtual server and its `state` is taken away; then the service is started
   if it does not run; then the state must become "running". Stop: `command` "stop", until the state is "stopped".
   Both lie in `runtime.json`. The service writes the state whenever what is there is not what it does: also when there
   is none, so that a word of yesterday's is never believed.
2. The service itself is started and stopped by the controller in `service`; several virtual servers share it, and it
   stops with the last. Without `service` somebody else starts it, and it is expected to run.
3. smtp's stop ends the whole service (S59); the command keeps its virtual server down when others bring that back.
4. Terminate gives the command two seconds; a service that does not obey is ended, whoever else uses it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bindings.errors import StoreReadOnly, WriteRefused
from bindings.metabase import is_virtual_server
from probe.controllers.contract import Controller, ControllerError, ParametersError, ServiceSpec
from probe.controllers.hooks import Hooks
from probe.controllers.reading import Parameter, Reading
from probe.controllers.sharing import Sharing
from probe.controllers.upgrade import KEY, run_upgrade
from probe.environment import Clock
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

POLL_INTERVAL_S = 0.5
POLL_INTERVAL_S_MIN = 0.05
POLL_INTERVAL_S_MAX = 60.0
TERMINATE_GRACE_S = 2.0

METABASE_PARAMETERS = (
    Parameter("virtual_server", "key", "the key whose `command` is written; else the resource's own `virtual_server`"),
    Parameter("service", "controller", "who starts and stops the service: an object with its own `kind`"),
    Parameter("poll_interval_s", "seconds", "how often `state` is read while it is waited for", "0.5"),
)


class Metabase(Protocol):
    """The half of the store that changes while services run. Both calls block."""

    def runtime(self, key: str) -> Mapping[str, str]:
        """Return a key's `command` and `state`, as far as they were written."""

    def write_runtime(self, key: str, entries: Mapping[str, str | None]) -> None:
        """Set a key's `command` or `state` (None clears). Raises a WriteRefused, ValueError."""


@dataclass(frozen=True, slots=True)
class MetabaseParameters:
    """Whose command is written, and who runs its service."""

    virtual_server: str | None = None
    service: Mapping[str, object] | None = None
    poll_interval_s: float = POLL_INTERVAL_S


class MetabaseController:
    """Starts and stops virtual servers by their commands. `services` are the controllers that may run the service."""

    acts = True
    ours_to_stop = False  # as the controller in `service` has it, which the kind's table asks

    def __init__(self, clock: Clock, metabase: Metabase | None, services: Mapping[str, Sharing], hooks: Hooks) -> None:
        self._clock = clock
        self._metabase = metabase
        self._services = services
        self._hooks = hooks
        self._of: dict[ResourceId, Sharing] = {}  # who runs each one's service, since its last operation

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Write the command, start the service if it does not run, wait for the state (S58). Raises ControllerError."""
        parameters, key = self._read(service)
        await self._write(key, command="start", state=None)
        below = self._below(service, parameters)
        if below is not None:
            await below[0].start(below[1], incarnation)
        await self._become(key, "running", parameters.poll_interval_s)

    async def stop(self, service: ServiceSpec) -> None:
        """Write the command and wait for the state; then the service, where nobody is left. Raises ControllerError."""
        parameters, key = self._read(service)
        await self._write(key, command="stop")
        below = self._below(service, parameters)
        if below is None:
            await self._become(key, "stopped", parameters.poll_interval_s)
            return
        if not service.whole and below[0].uses(service.id):
            await self._become(key, "stopped", parameters.poll_interval_s)
        await below[0].stop(below[1])
        await self._write(key, state="stopped")

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop within `TERMINATE_GRACE_S`, or end the whole service (S68). Raises ControllerError."""
        parameters, key = self._read(service)
        await self._write(key, command="stop")
        below = self._below(service, parameters)
        obeys = below is not None and not below[0].uses(service.id)
        if not obeys and not (below is not None and service.whole):
            obeys = await self._obeys(key, parameters.poll_interval_s)
        if below is None:
            if not obeys:
                text = f"{key} did not stop within {TERMINATE_GRACE_S:g} s, and its service is not ours to end"
                raise ControllerError(Verdict(Reason.PENDING_TIMEOUT, evidence_of(text)))
            return
        await (below[0].stop(below[1]) if obeys else below[0].terminate(below[1]))
        await self._write(key, state="stopped")

    async def upgrade(self, service: ServiceSpec) -> None:
        """Run `upgrade`, ours or that in `service`, while nobody uses the service (S53). Raises ControllerError."""
        parameters, _ = self._read(service)
        below = self._below(service, parameters)
        if below is None:
            await run_upgrade(self._hooks, service)
        else:
            await below[0].upgrade(below[1])

    def kill(self, id: ResourceId) -> None:
        """Kill the service's processes (S56)."""
        if id in self._of:
            self._of[id].kill(id)

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:
        """Take over the service if an earlier run of ours left it running; say whether it runs."""
        parameters, _ = self._read(service)
        below = self._below(service, parameters)
        return below is not None and below[0].adopt(below[1], incarnation)

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of its service, if it has one."""
        return self._of[id].pid(id) if id in self._of else None

    def release(self) -> None:
        """Forget which service is whose; the controllers of those forget theirs."""
        self._of.clear()
        self._hooks.close()

    def _read(self, service: ServiceSpec) -> tuple[MetabaseParameters, str]:
        """Read the parameters and the key of the virtual server. Raises ControllerError."""
        try:
            parameters = metabase_parameters(service.parameters)
        except ParametersError as error:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error
        key = parameters.virtual_server or service.virtual_server
        if not key:
            text = f"{service.id} names no virtual_server, whose command could be written"
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, text))
        return parameters, key

    def _below(self, service: ServiceSpec, parameters: MetabaseParameters) -> tuple[Sharing, ServiceSpec] | None:
        """Say who runs the service, and how it is named to that one."""
        if parameters.service is None:
            return None
        own = {name: value for name, value in parameters.service.items() if name != "kind"}
        if KEY in service.parameters:
            own[KEY] = service.parameters[KEY]
        sharing = self._of[service.id] = self._services[str(parameters.service["kind"])]
        return sharing, ServiceSpec(service.id, own, service.service, service.whole, service.instance)

    async def _obeys(self, key: str, interval_s: float) -> bool:
        try:
            async with asyncio.timeout(TERMINATE_GRACE_S):
                await self._become(key, "stopped", interval_s)
        except (TimeoutError, ControllerError):
            return False
        return True

    async def _become(self, key: str, wanted: str, interval_s: float) -> None:
        """Read the state until it is the one wanted. Raises ControllerError when the service says that it failed."""
        while True:
            state = (await asyncio.to_thread(self._store.runtime, key)).get("state")
            if state == wanted:
                return
            if state == "failed":
                raise ControllerError(Verdict(Reason.NOT_SERVING, evidence_of(f"{key} says that it failed")))
            await self._clock.sleep(interval_s)

    async def _write(self, key: str, **entries: str | None) -> None:
        try:
            await asyncio.to_thread(self._store.write_runtime, key, entries)
        except WriteRefused as error:
            reason = Reason.PROBER_FORBIDDEN if isinstance(error, StoreReadOnly) else Reason.PROBE_INTERNAL
            text = f"cannot write {' and '.join(entries)} of {key}: {error}"
            raise ControllerError(Verdict(reason, evidence_of(text))) from error

    @property
    def _store(self) -> Metabase:
        if self._metabase is None:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, "there is no store here to write a command into"))
        return self._metabase


def metabase_parameters(parameters: Mapping[str, object]) -> MetabaseParameters:
    """Read the parameters of the metabase controller; those in `service` are its own kind's. Raises ParametersError."""
    reading = Reading(parameters)
    reading.unknown_keys((*(each.name for each in METABASE_PARAMETERS), KEY))
    read = MetabaseParameters(
        virtual_server=_key(reading),
        service=_service(reading),
        poll_interval_s=reading.seconds("poll_interval_s", POLL_INTERVAL_S, POLL_INTERVAL_S_MIN, POLL_INTERVAL_S_MAX),
    )
    reading.finish()
    return read


def _key(reading: Reading) -> str | None:
    if reading.parameters.get("virtual_server") is None:
        return None
    key = reading.text("virtual_server", '"/smtp/1"')
    if key and not is_virtual_server(key):
        reading.wrong("virtual_server", f'"{key}" is no key of a virtual server', 'for example "/smtp/1"')
    return key


def _service(reading: Reading) -> Mapping[str, object] | None:
    value = reading.parameters.get("service")
    if value is None:
        return None
    if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
        reading.wrong("service", "must be a controller", 'for example {"kind": "systemd", "unit": "postfix.service"}')
        return None
    return value


_CONTROLLER: type[Controller] = MetabaseController
