"""The systemd controller: a service is a unit, started and stopped by jobs, followed by its signals, over D-Bus.
Needs dbus-fast: `pip install looksalive[systemd]`.

How it behaves:
1. A unit is followed before it is started; it counts as ours from the moment systemd calls it active.
2. A unit that leaves `active` without our asking is told at once: after a failure as `process_gone` or
   `service_stopped`, with systemd's own `Result` as evidence; after a clean end as `external_stop` (S6).
3. A stop that was given up (cancelled, or failed) leaves the unit followed: if it goes on running, its later end is
   news (S4).
4. The connection is kept while a unit is followed or an operation runs (S49). While it is lost nothing is told of any
   unit; when it is back all are read again.
5. systemd's own `Restart=` may stay on: our start of a unit that systemd is bringing back joins that.
"""

from __future__ import annotations

import logging
import re
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from probe.controllers.contract import ControllerError, OnExit, ParametersError, ServiceSpec, Spawn
from probe.controllers.dbus import BusError, Connect, connect, is_library_there, system_address, user_address
from probe.controllers.link import LinkError
from probe.controllers.reading import Parameter, Reading
from probe.controllers.units import Unit, Units
from probe.environment import Clock
from probe.resources.checking import Problem
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

TERMINATE_GRACE_S = 2.0  # terminate gives a stop this much before SIGKILL
NAME_CHARS_MAX = 255  # systemd's own bound
SUFFIXES = ("service", "socket", "target", "mount", "swap", "timer", "path", "scope", "slice", "automount", "device")
ACTED_ON = ("service", "socket", "target", "mount", "swap", "timer", "path")  # those that one starts and stops

_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]+")
_ADDRESS = re.compile(r"unix:(path=/|abstract=)[^,;\0]+")
_DIED = frozenset({"exit-code", "signal", "core-dump", "watchdog", "oom-kill"})
_FORBIDDEN = frozenset({"AccessDenied", "InteractiveAuthorizationRequired", "AuthFailed"})
_CLD_EXITED = 1

_log = logging.getLogger(__name__)

SYSTEMD_PARAMETERS = (
    Parameter("unit", "unit name", "the unit, with its ending: `dovecot.service`", required=True),
    Parameter("user", "true or false", "a unit of our own user's systemd", "false"),
    Parameter("bus", "D-Bus address", "the bus to ask, `unix:path=/...`, where it is not the usual one"),
)


@dataclass(frozen=True, slots=True)
class SystemdParameters:
    """Which unit, of which systemd."""

    unit: str
    user: bool = False
    bus: str | None = None

    @property
    def address(self) -> str:
        """The address of the bus on which that systemd is."""
        return self.bus or (user_address() if self.user else system_address())


def systemd_parameters(parameters: Mapping[str, object]) -> SystemdParameters:
    """Read the parameters of the systemd controller. Raises ParametersError with all problems at once."""
    reading = Reading(parameters)
    reading.unknown_keys(each.name for each in SYSTEMD_PARAMETERS)
    read = SystemdParameters(_unit(reading), _user(reading), _bus(reading))
    reading.finish()
    return read


def systemd_problems(parameters: Mapping[str, object], library_there: bool | None = None) -> tuple[Problem, ...]:
    """List what is wrong with the parameters, and that the optional dependency is missing if it is."""
    problems: tuple[Problem, ...] = ()
    if not (is_library_there() if library_there is None else library_there):
        problems = (Problem("kind", "systemd needs dbus-fast", "pip install looksalive[systemd]"),)
    try:
        systemd_parameters(parameters)
    except ParametersError as error:
        problems += error.problems
    return problems


@dataclass(slots=True, eq=False)
class _Followed:
    """A unit of ours, from its start until its stop."""

    id: ResourceId
    parameters: SystemdParameters
    units: Units
    incarnation: Incarnation
    unit: Unit | None = None
    ours: bool = False  # it is active by our start: its end is news, unless we asked for it
    killed: bool = False  # by us, since its last start
    operations: int = 0


class SystemdController:
    """Starts and stops units."""

    acts = True
    ours_to_stop = False

    def __init__(self, clock: Clock, on_exit: OnExit, spawn: Spawn, connect: Connect = connect) -> None:
        self._clock = clock
        self._on_exit = on_exit
        self._spawn = spawn
        self._connect = connect
        self._systemds: dict[str, Units] = {}
        self._table: dict[ResourceId, _Followed] = {}

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the unit, or go on with the active one (S57). Raises ControllerError."""
        async with self._operation(service) as followed:
            unit = await self._follow(followed)
            result = await followed.units.run_job("StartUnit", unit.name)
            await followed.units.read(unit)
            if result != "done" or not unit.runs:
                raise ControllerError(_not_started(unit, result))
            followed.incarnation = incarnation
            followed.ours, followed.killed = True, False

    async def stop(self, service: ServiceSpec) -> None:
        """Stop the unit, and return when systemd says it is. Raises ControllerError."""
        async with self._operation(service) as followed:
            await self._stop(followed)

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop the unit with `TERMINATE_GRACE_S` before SIGKILL (S68). Raises ControllerError."""
        async with self._operation(service) as followed:
            timer = self._clock.call_at(self._clock.now() + TERMINATE_GRACE_S, lambda: self._post_kill(followed))
            try:
                await self._stop(followed)
            finally:
                timer.cancel()

    def kill(self, id: ResourceId) -> None:
        """SIGKILL every process of the unit (S56), and have systemd not bring it back."""
        followed = self._table.get(id)
        if followed is not None:
            followed.killed = True
            self._post_kill(followed)

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: whether it runs is known by asking, and a start of a running unit succeeds at once (S57)."""
        return False

    def pid(self, id: ResourceId) -> int | None:
        """Return the unit's main pid while it is active, if it has one."""
        followed = self._table.get(id)
        if followed is None or followed.unit is None or not followed.unit.runs:
            return None
        return followed.unit.main_pid or None

    def release(self) -> None:
        """Forget every unit, leave it as it is, and close the connections."""
        self._table.clear()
        for units in self._systemds.values():
            units.link.close()
        self._systemds.clear()

    # --- operations ---

    @asynccontextmanager
    async def _operation(self, service: ServiceSpec) -> AsyncIterator[_Followed]:
        """Hold the connection for an operation on a unit; what went wrong becomes a ControllerError."""
        followed = self._followed(service)
        followed.operations += 1
        try:
            with followed.units.link.using():
                await followed.units.link.ready()
                yield followed
        except BusError as error:
            raise ControllerError(_refusal(followed.parameters.unit, error)) from error
        except LinkError as error:
            raise ControllerError(Verdict(error.reason, evidence_of(str(error)))) from error
        finally:
            followed.operations -= 1

    def _followed(self, service: ServiceSpec) -> _Followed:
        try:
            parameters = systemd_parameters(service.parameters)
        except ParametersError as error:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error
        followed = self._table.get(service.id)
        if followed is not None and followed.parameters != parameters:
            self._forget(followed)
            followed = None
        if followed is None:
            address = parameters.address
            units = self._systemds.get(address)
            if units is None:
                units = self._systemds[address] = Units(address, self._connect, self._clock, self._spawn)
            followed = _Followed(service.id, parameters, units, Incarnation(0))
        return followed

    async def _follow(self, followed: _Followed) -> Unit:
        if followed.unit is None:
            followed.unit = await followed.units.watch(followed.parameters.unit, self._changed(followed))
            self._table[followed.id] = followed
            followed.units.link.hold(followed.id)
        return followed.unit

    async def _stop(self, followed: _Followed) -> None:
        name = followed.parameters.unit
        try:
            result = await followed.units.run_job("StopUnit", name)
        except BusError as error:
            if not error.name.endswith(".NoSuchUnit"):  # what is not there does not run
                raise
            result = "done"
        if result != "done":
            text = f"the stop job of {name} ended as {result}"
            raise ControllerError(Verdict(Reason.PENDING_TIMEOUT, evidence_of(text)))
        self._forget(followed)

    def _forget(self, followed: _Followed) -> None:
        if followed.unit is not None:
            followed.units.unwatch(followed.unit)
            followed.unit = None
        if self._table.get(followed.id) is followed:
            del self._table[followed.id]
            followed.units.link.drop(followed.id)

    def _post_kill(self, followed: _Followed) -> None:
        if not followed.units.post_kill(followed.parameters.unit):
            _log.warning("%s cannot be killed: %s is not connected", followed.id, followed.units.link.name)

    # --- news ---

    def _changed(self, followed: _Followed) -> Callable[[Unit], None]:
        def changed(unit: Unit) -> None:
            was_ours, followed.ours = followed.ours, followed.ours and unit.runs
            if was_ours and not unit.runs and not followed.killed and followed.operations == 0:
                self._on_exit(followed.id, followed.incarnation, _departure(unit))

        return changed


def _departure(unit: Unit) -> Verdict:
    """Say why a unit left `active` that nobody asked to."""
    if unit.result == "success":
        text = f"{unit.name} is {unit.active} and not by us: somebody stopped it, or it ended by itself"
        return Verdict(Reason.EXTERNAL_STOP, evidence_of(text))
    text = f"{unit.name} is {unit.active} ({unit.sub}): {_ended(unit)}"
    return Verdict(Reason.PROCESS_GONE if unit.result in _DIED else Reason.SERVICE_STOPPED, evidence_of(text))


def _ended(unit: Unit) -> str:
    """Describe how the last run ended: systemd's `Result`, and what the main process did."""
    if not unit.exit_code:
        return unit.result
    if unit.exit_code == _CLD_EXITED:
        return f"{unit.result}, exit status {unit.exit_status}"
    return f"{unit.result}, killed by {_signal_name(unit.exit_status)}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _not_started(unit: Unit, result: str) -> Verdict:
    """Say why a start did not lead to an active unit."""
    name = unit.name
    if result == "done" and unit.result == "success":
        text = f"{name} was started and is {unit.active} ({unit.sub}): is a condition of it not met?"
        return Verdict(Reason.SERVICE_STOPPED, evidence_of(text))
    if result == "timeout":
        return Verdict(Reason.PENDING_TIMEOUT, evidence_of(f"the start job of {name} timed out"))
    if result == "dependency":
        return Verdict(Reason.SERVICE_STOPPED, evidence_of(f"{name} was not started: a unit that it requires failed"))
    if result in ("done", "failed"):
        reason = Reason.PROCESS_GONE if unit.result in _DIED else Reason.SERVICE_STOPPED
        return Verdict(reason, evidence_of(f"{name} could not be started: {_ended(unit)}"))
    return Verdict(Reason.SERVICE_STOPPED, evidence_of(f"the start job of {name} ended as {result}"))


def _refusal(name: str, error: BusError) -> Verdict:
    """Say what systemd, or the bus, refused."""
    kind = error.name.rpartition(".")[2]
    if kind in _FORBIDDEN:
        text = f"may not act on {name}: {error}; run as root, or allow org.freedesktop.systemd1.manage-units in polkit"
        return Verdict(Reason.PROBER_FORBIDDEN, evidence_of(text))
    if kind in ("ServiceUnknown", "NameHasNoOwner"):
        return Verdict(Reason.PROBE_INTERNAL, evidence_of(f"there is no systemd on the bus: {error}"))
    return Verdict(Reason.SERVICE_STOPPED, evidence_of(f"systemd refuses {name}: {error}"))


# --- parameters ---


def _unit(reading: Reading) -> str:
    name = reading.text("unit", '"dovecot.service"')
    stem, dot, suffix = name.rpartition(".")
    if not name:
        return ""
    if len(name) > NAME_CHARS_MAX or _NAME.fullmatch(name) is None:
        reading.wrong("unit", f"{name[:NAME_CHARS_MAX]!r} cannot be the name of a unit")
    elif not dot or suffix not in SUFFIXES:
        reading.wrong("unit", f'"{name}" has no ending of a unit', f'did you mean "{name}.service"?')
    elif suffix not in ACTED_ON:
        reading.wrong("unit", f"a .{suffix} is not started and stopped", f"use one of {', '.join(ACTED_ON)}")
    elif stem.endswith("@"):
        reading.wrong("unit", f'"{name}" is a template', f'name an instance of it: "{stem}NAME.{suffix}"')
    return name


def _user(reading: Reading) -> bool:
    value = reading.parameters.get("user", False)
    if not isinstance(value, bool):
        reading.wrong("user", "must be true or false")
    return value is True


def _bus(reading: Reading) -> str | None:
    value = reading.parameters.get("bus")
    if value is None:
        return None
    if not isinstance(value, str) or _ADDRESS.fullmatch(value) is None:
        reading.wrong(
            "bus", "must be the address of a local bus", 'for example "unix:path=/run/dbus/system_bus_socket"'
        )
        return None
    if reading.parameters.get("user") is True:
        reading.wrong("bus", "says which bus, and so does user", "leave out one of the two")
    return value
