"""A systemd and its bus in memory: units with jobs that take time, and signals for those who asked for them only."""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.controllers.dbus import DAEMON, DAEMON_PATH, Body, Bus, BusError, Call, Signal
from probe.controllers.link import LinkError
from probe.controllers.units import MANAGER, PROPERTIES, SYSTEMD, SYSTEMD_PATH, UNIT

NEWS_S = 0.001  # how long a signal is under way

CLD = {"exited": 1, "killed": 2, "dumped": 3}


@dataclass(eq=False)
class SimUnit:
    """A unit: how it behaves, and its state."""

    name: str
    start_s: float = 0.01
    stop_s: float = 0.01
    start_ends: str = "done"  # how its start job ends
    starts_as: str = "active"
    result: str = "success"
    ignores_term: bool = False
    active: str = "inactive"
    sub: str = "dead"
    code: int = 0
    status: int = 0
    pid: int = 0
    job: str = ""
    job_type: str = ""

    @property
    def path(self) -> str:
        """Its object path."""
        return f"{SYSTEMD_PATH}/unit/{re.sub('[^A-Za-z0-9]', lambda found: f'_{ord(found[0]):02x}', self.name)}"

    def properties(self, interface: str) -> dict[str, Any]:
        """What systemd says of it on an interface."""
        if interface == UNIT:
            return {"Id": self.name, "LoadState": "loaded", "ActiveState": self.active, "SubState": self.sub}
        facts = {"Result": self.result, "MainPID": self.pid}
        return facts | {"ExecMainCode": self.code, "ExecMainStatus": self.status}


@dataclass(eq=False)
class SimBus:
    """One connection."""

    systemd: SimSystemd
    on_signal: Callable[[Signal], None]
    rules: list[str] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self, call: Call) -> Body:
        """Answer a call, in the next pass of the loop."""
        await asyncio.sleep(0)
        return self._must_be_open().systemd.answer(self, call)

    def post(self, call: Call) -> None:
        """Take a call whose answer is not wanted."""
        if not self.ended.is_set():
            try:
                self.systemd.answer(self, call)
            except BusError as error:
                self.systemd.calls.append(f"refused: {error}")

    async def lost(self) -> None:
        """Wait for the end."""
        await self.ended.wait()

    def close(self) -> None:
        """End."""
        self.ended.set()

    def wants(self, signal: Signal) -> bool:
        """Whether one of its rules matches."""
        facts = {"sender": SYSTEMD, "path": signal.path, "interface": signal.interface, "member": signal.member}
        facts |= {"type": "signal", "arg0": str(signal.body[0])}
        if signal.sender == DAEMON:
            facts["sender"] = DAEMON
        return any(all(facts[key] == value for key, value in _terms(rule)) for rule in self.rules)

    def deliver(self, signal: Signal) -> None:
        """Hand over a signal if the connection still stands."""
        if not self.ended.is_set():
            self.on_signal(signal)

    def _must_be_open(self) -> SimBus:
        if self.ended.is_set():
            raise LinkError("the connection was lost")
        return self


class SimSystemd:
    """The systemd behind the bus."""

    def __init__(self, *units: SimUnit) -> None:
        self.units = {unit.name: unit for unit in units}
        self.calls: list[str] = []  # what was asked, in order
        self.connections: list[SimBus] = []
        self.attempts: list[float] = []
        self.owner = ":1.1"
        self.unreachable = False
        self.silent = False
        self.refusals: dict[str, BusError] = {}  # by member
        self.state_news_s = NEWS_S  # systemd sends what changed a little later than the end of a job
        self.job_ends_first = False  # a job's end is told before the answer that names it
        self.loop = asyncio.get_running_loop()
        self._subscribed: set[SimBus] = set()
        self._jobs = 0
        self._pids = 100

    async def connect(self, address: str, on_signal: Callable[[Signal], None]) -> Bus:
        """Connect to the bus."""
        del address
        self.attempts.append(self.loop.time())
        await asyncio.sleep(0)
        if self.silent:
            await asyncio.Event().wait()
        if self.unreachable:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")
        bus = SimBus(self, on_signal)
        self.connections.append(bus)
        return bus

    @property
    def open_connections(self) -> int:
        """How many connections stand."""
        return sum(not bus.ended.is_set() for bus in self.connections)

    # --- what happens on the machine ---

    def break_off(self) -> None:
        """The bus dies."""
        for bus in self.connections:
            bus.close()

    def begin_anew(self) -> None:
        """`daemon-reexec`: the same units under another name on the bus."""
        old, self.owner = self.owner, ":1.2"
        self._subscribed.clear()
        self._emit(Signal(DAEMON, DAEMON_PATH, DAEMON, "NameOwnerChanged", [SYSTEMD, old, self.owner]))

    def become(self, name: str, active: str, sub: str, result: str = "success", **facts: int) -> None:
        """Bring a unit into a state; its own properties are told before its state, as systemd does."""
        unit = self.units[name]
        unit.active, unit.sub, unit.result = active, sub, result
        unit.code, unit.status = facts.get("code", 0), facts.get("status", 0)
        unit.pid = unit.pid if active == "active" else 0
        for interface in (f"{SYSTEMD}.Service", UNIT):
            self._emit(_changed(self.owner, unit, interface))

    def forge(self, name: str) -> None:
        """Another client of the bus says that the unit failed."""
        unit = SimUnit(name, active="failed", result="signal")
        for bus in self.connections:
            bus.deliver(_changed(":1.66", unit, f"{SYSTEMD}.Service"))
            bus.deliver(_changed(":1.66", unit, UNIT))

    def end_strange_job(self) -> None:
        """A job that somebody else asked for ends."""
        self._jobs += 1
        job = f"{SYSTEMD_PATH}/job/{self._jobs}"
        for bus in self.connections:
            body = [self._jobs, job, "other.service", "done"]
            bus.deliver(Signal(self.owner, SYSTEMD_PATH, MANAGER, "JobRemoved", body))

    # --- what it answers ---

    def answer(self, bus: SimBus, call: Call) -> Body:
        """Answer a call. Raises BusError."""
        self.calls.append(" ".join([call.member, *map(str, call.body)]))
        if call.member in self.refusals:
            raise self.refusals[call.member]
        match call.member:
            case "AddMatch":
                bus.rules.append(call.body[0])
            case "RemoveMatch":
                bus.rules.remove(call.body[0])
            case "GetNameOwner":
                return [self.owner]
            case "Subscribe":
                self._subscribed.add(bus)
            case "LoadUnit":
                return [(self.units.get(call.body[0]) or SimUnit(call.body[0])).path]
            case "GetAll":
                found = [unit for unit in self.units.values() if unit.path == call.path]
                return [found[0].properties(call.body[0]) if found else {"ActiveState": "inactive"}]
            case "StartUnit" | "StopUnit":
                return [self._job(call.member, self._unit(call.body[0]))]
            case "KillUnit":
                unit = self._unit(call.body[0])
                self.become(unit.name, "failed", "failed", "signal", code=CLD["killed"], status=call.body[2])
                self._end_job(unit, "done")
            case _:
                raise BusError("org.freedesktop.DBus.Error.UnknownMethod", call.member)
        return []

    def _unit(self, name: str) -> SimUnit:
        if name not in self.units:
            raise BusError(f"{SYSTEMD}.NoSuchUnit", f"Unit {name} not found.")
        return self.units[name]

    def _job(self, member: str, unit: SimUnit) -> str:
        if unit.job and unit.job_type == member:
            return unit.job  # merged with the one that runs
        self._jobs += 1
        job = unit.job = f"{SYSTEMD_PATH}/job/{self._jobs}"
        unit.job_type = member
        if member == "StartUnit":
            end, delay_s = self._started, 0 if unit.active == "active" else unit.start_s
        else:
            end, delay_s = self._stopped, unit.stop_s
            if unit.ignores_term:
                return job
        if self.job_ends_first:
            end(unit, job)
        else:
            self.loop.call_later(delay_s, end, unit, job)
        return job

    def _started(self, unit: SimUnit, job: str) -> None:
        if unit.job != job:
            return
        if unit.start_ends == "done" and unit.active != unit.starts_as:
            self._pids += 1
            unit.pid = self._pids
            self.become(unit.name, unit.starts_as, "running", unit.result)
        elif unit.start_ends == "failed":
            self.become(unit.name, "failed", "failed", unit.result, code=unit.code, status=unit.status)
        self._end_job(unit, unit.start_ends)

    def _stopped(self, unit: SimUnit, job: str) -> None:
        if unit.job == job:
            self.become(unit.name, "inactive", "dead")
            self._end_job(unit, "done")

    def _end_job(self, unit: SimUnit, result: str) -> None:
        if unit.job:
            body = [int(unit.job.rpartition("/")[2]), unit.job, unit.name, result]
            self._emit(Signal(self.owner, SYSTEMD_PATH, MANAGER, "JobRemoved", body))
            unit.job = ""

    def _emit(self, signal: Signal) -> None:
        for bus in self.connections:
            if bus.wants(signal) and (signal.sender == DAEMON or bus in self._subscribed):
                if self.job_ends_first:
                    bus.deliver(signal)
                else:
                    delay_s = self.state_news_s if signal.member == "PropertiesChanged" else NEWS_S
                    self.loop.call_later(delay_s, bus.deliver, signal)


def _changed(sender: str, unit: SimUnit, interface: str) -> Signal:
    properties: Mapping[str, Any] = unit.properties(interface)
    return Signal(sender, unit.path, PROPERTIES, "PropertiesChanged", [interface, properties, []])


def _terms(rule: str) -> Iterator[tuple[str, str]]:
    for term in rule.split(","):
        key, _, value = term.partition("=")
        yield key, value.strip("'")
