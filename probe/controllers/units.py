"""The units of one systemd, over one shared connection: their states as signals tell them, and the jobs we ask for.

1. systemd tells a unit's own properties (`Result`, `MainPID`) before its `ActiveState`: when that changes, we know why.
2. A job's end may be told before the answer that names the job has reached its asker: the last ends are remembered.
3. After the connection was lost, or systemd began anew, every watched unit is read again: what changed is told late,
   never lost.
4. Only what systemd itself sent counts: any client of a bus may address a signal to any other.
"""

from __future__ import annotations

import asyncio
import signal
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from probe.controllers.contract import Spawn
from probe.controllers.dbus import DAEMON, DAEMON_PATH, Bus, BusError, Call, Connect, Signal
from probe.controllers.link import Link, LinkError
from probe.environment import Clock

SYSTEMD = "org.freedesktop.systemd1"
SYSTEMD_PATH = "/org/freedesktop/systemd1"
MANAGER = f"{SYSTEMD}.Manager"
UNIT = f"{SYSTEMD}.Unit"
PROPERTIES = "org.freedesktop.DBus.Properties"

# The interface of a type of unit that says how its last run ended.
INTERFACES = {
    suffix: f"{SYSTEMD}.{suffix.capitalize()}" for suffix in ("service", "socket", "mount", "swap", "scope", "timer")
}
RUNNING = frozenset({"active", "reloading", "refreshing"})
JOB_ENDS_KEPT = 256
CLOSED_WITHIN_S = 1.0


@dataclass(slots=True, eq=False)
class Unit:
    """A watched unit as last told; `changed` is called after each news of it."""

    name: str
    path: str
    changed: Callable[[Unit], None]
    active: str = ""
    sub: str = ""
    load: str = ""
    result: str = "success"
    exit_code: int = 0  # CLD_EXITED 1, CLD_KILLED 2, CLD_DUMPED 3
    exit_status: int = 0
    main_pid: int = 0

    @property
    def runs(self) -> bool:
        """Whether systemd calls it active."""
        return self.active in RUNNING

    @property
    def interface(self) -> str | None:
        """The interface of its type, if that says anything about ends."""
        return INTERFACES.get(self.name.rpartition(".")[2])

    def take(self, properties: Mapping[str, Any]) -> None:
        """Take over what was told of it."""
        self.active = str(properties.get("ActiveState", self.active))
        self.sub = str(properties.get("SubState", self.sub))
        self.load = str(properties.get("LoadState", self.load))
        self.result = str(properties.get("Result", self.result))
        self.exit_code = int(properties.get("ExecMainCode", self.exit_code))
        self.exit_status = int(properties.get("ExecMainStatus", self.exit_status))
        self.main_pid = int(properties.get("MainPID", self.main_pid))


@dataclass(slots=True, eq=False)
class _Session:
    """One connection: the bus, the unique name systemd has on it, jobs waited for and how the last ones ended."""

    bus: Bus
    owner: str = ""
    waiting: dict[str, asyncio.Future[str]] = field(default_factory=dict)
    ended: OrderedDict[str, str] = field(default_factory=OrderedDict)

    def end_job(self, job: str, result: str) -> None:
        """Tell who waits for a job how it ended, or remember it."""
        future = self.waiting.pop(job, None)
        if future is not None:
            future.set_result(result)
            return
        self.ended[job] = result
        if len(self.ended) > JOB_ENDS_KEPT:
            self.ended.popitem(last=False)

    def give_up_jobs(self, error: LinkError) -> None:
        """Tell everybody who waits for a job that its end will not be heard."""
        for future in self.waiting.values():
            future.set_exception(error)
            future.exception()  # nobody may be waiting any more
        self.waiting.clear()


class Units:
    """One systemd: the system's, a user's, or the one behind a given address."""

    def __init__(self, address: str, connect: Connect, clock: Clock, spawn: Spawn) -> None:
        self.link = Link(f"systemd at {address}", clock, spawn, self._follow)
        self._address = address
        self._connect = connect
        self._session: _Session | None = None
        self._watched: dict[str, list[Unit]] = {}

    async def watch(self, name: str, changed: Callable[[Unit], None]) -> Unit:
        """Begin to follow a unit and read its state. Raises BusError, LinkError.

        The signals are asked for first, so that nothing can happen between the reading and the first of them.
        """
        (path,) = await self._call(SYSTEMD_PATH, MANAGER, "LoadUnit", name)
        unit = Unit(name, path, changed)
        others = self._watched.setdefault(path, [])
        others.append(unit)
        try:
            if len(others) == 1:
                await self._match(path)
            await self.read(unit)
        except BaseException:
            self.unwatch(unit)
            raise
        return unit

    def unwatch(self, unit: Unit) -> None:
        """Follow it no longer. Idempotent."""
        others = self._watched.get(unit.path, [])
        if unit in others:
            others.remove(unit)
            if not others:
                del self._watched[unit.path]
                self._post(DAEMON, DAEMON_PATH, DAEMON, "RemoveMatch", _rule(unit.path))

    async def read(self, unit: Unit) -> None:
        """Read the unit's present state, without telling. Raises BusError, LinkError."""
        if unit.interface is not None:
            unit.take((await self._call(unit.path, PROPERTIES, "GetAll", unit.interface))[0])
        unit.take((await self._call(unit.path, PROPERTIES, "GetAll", UNIT))[0])

    async def run_job(self, member: str, name: str) -> str:
        """Call StartUnit or StopUnit and return how the job ended. Raises BusError, LinkError."""
        session = self._open_session()
        (job,) = await self._call(SYSTEMD_PATH, MANAGER, member, name, "replace")
        result = session.ended.pop(job, None)
        if result is not None:
            return result
        if self._session is not session:
            raise LinkError(f"{self.link.name}: the connection was lost before the job ended")
        future = session.waiting.setdefault(job, asyncio.get_running_loop().create_future())
        return await asyncio.shield(future)  # several may wait for one job: systemd merges them

    def post_kill(self, name: str) -> bool:
        """Stop a unit (else it might be restarted) and SIGKILL what it has, waiting for nothing; whether we could."""
        self._post(SYSTEMD, SYSTEMD_PATH, MANAGER, "StopUnit", name, "replace")
        if self._session is not None:
            self._session.bus.post(
                Call(SYSTEMD, SYSTEMD_PATH, MANAGER, "KillUnit", "ssi", (name, "all", int(signal.SIGKILL)))
            )
        return self._session is not None

    # --- the connection ---

    async def _follow(self, up: Callable[[], None]) -> None:
        bus = await self._connect(self._address, self._receive)
        session = self._session = _Session(bus)
        try:
            await self._add_match(f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{SYSTEMD}'")
            await self._add_match(f"type='signal',sender='{SYSTEMD}',interface='{MANAGER}',member='JobRemoved'")
            session.owner = (await self._call_daemon("GetNameOwner", SYSTEMD))[0]
            await self._call(SYSTEMD_PATH, MANAGER, "Subscribe")
            for path in list(self._watched):
                await self._match(path)
                for unit in list(self._watched.get(path, [])):
                    await self.read(unit)
                    unit.changed(unit)
            up()
            await bus.lost()
        except BusError as error:
            raise LinkError(f"{self.link.name}: {error}") from error
        finally:
            if self._session is session:
                self._session = None
            session.give_up_jobs(LinkError(f"{self.link.name}: the connection was lost before the job ended"))
            bus.close()
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSED_WITHIN_S):
                    await bus.lost()

    def _receive(self, news: Signal) -> None:
        session = self._session
        if session is None:
            return
        if news.member == "NameOwnerChanged" and news.sender == DAEMON:
            if news.body[0] == SYSTEMD and session.owner:
                session.bus.close()  # another systemd, or the same that began anew: connect and read again
        elif news.sender != session.owner:
            return
        elif news.member == "JobRemoved" and news.interface == MANAGER:
            session.end_job(str(news.body[1]), str(news.body[3]))
        elif news.member == "PropertiesChanged" and news.interface == PROPERTIES:
            for unit in list(self._watched.get(news.path, [])):
                unit.take(news.body[1])
                unit.changed(unit)

    # --- calls ---

    async def _match(self, path: str) -> None:
        await self._add_match(_rule(path))

    async def _add_match(self, rule: str) -> None:
        await self._call_daemon("AddMatch", rule)

    async def _call_daemon(self, member: str, *words: str) -> Any:
        return await self._call_with(Call(DAEMON, DAEMON_PATH, DAEMON, member, "s" * len(words), words))

    async def _call(self, path: str, interface: str, member: str, *words: str) -> Any:
        return await self._call_with(Call(SYSTEMD, path, interface, member, "s" * len(words), words))

    async def _call_with(self, call: Call) -> Any:
        return await self._open_session().bus.call(call)

    def _open_session(self) -> _Session:
        if self._session is None:
            raise LinkError(f"{self.link.name}: not connected")
        return self._session

    def _post(self, destination: str, path: str, interface: str, member: str, *words: str) -> None:
        if self._session is not None:
            self._session.bus.post(Call(destination, path, interface, member, "s" * len(words), words))


def _rule(path: str) -> str:
    """Match the news of one unit; an object path holds no quote."""
    return f"type='signal',sender='{SYSTEMD}',interface='{PROPERTIES}',member='PropertiesChanged',path='{path}'"
