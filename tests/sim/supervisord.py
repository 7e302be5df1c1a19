"""A supervisord in memory, seen through `Http`: its programs, their states, its refusals, in virtual time."""

from __future__ import annotations

import errno
import xmlrpc.client
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.environment import Clock, HttpAnswer
from tests.sim.sockets import fail

STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED, FATAL = 0, 10, 20, 30, 40, 100, 200
UP = (RUNNING, STARTING, BACKOFF)
SOCKET = "/run/supervisor.sock"
LOOK_S = 0.05


@dataclass
class SimProgram:
    """One program: its state and how it behaves."""

    state: int = STOPPED
    pid: int = 0
    text: str = ""
    starts_s: float = 1.0
    stops_s: float = 0.1
    spawn_error: str = ""  # it cannot be started at all
    ends_at_start: bool = False  # it ends before it counts as started
    ignores_term: bool = False
    due: float = 0.0  # when the state it is in has passed


@dataclass
class SimSupervisord:
    """The server; `calls` are the names of what was called. `fault` and `answer` are given instead of any answer."""

    clock: Clock
    programs: dict[str, SimProgram] = field(default_factory=dict)  # by GROUP:NAME
    calls: list[str] = field(default_factory=list)
    open_now: int = 0
    gone: bool = False
    silent: bool = False
    looks_take_s: float = 0.0  # from the moment that getAllProcessInfo speaks of to its answer
    answer: HttpAnswer | None = None
    fault: tuple[int, str] | None = None
    _next_pid: int = 100

    async def ask(
        self,
        method: str,
        url: str,
        *,
        socket: str | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        bytes_max: int,
    ) -> HttpAnswer:
        """Answer one call of XML-RPC. Raises FileNotFoundError where nobody listens."""
        assert (method, url, (headers or {})["Content-Type"]) == ("POST", "http://supervisord/RPC2", "text/xml")
        assert bytes_max > 0
        if self.gone or socket != SOCKET:
            raise fail(errno.ENOENT)
        self.open_now += 1
        try:
            return await self._answer(body)
        finally:
            self.open_now -= 1

    async def _answer(self, body: bytes) -> HttpAnswer:
        call, name = xmlrpc.client.loads(body)
        arguments: tuple[Any, ...] = call
        assert name is not None
        method = name.removeprefix("supervisor.")
        self.calls.append(method)
        await self.clock.sleep(1e6 if self.silent else 0.001)
        if self.answer is not None:
            return self.answer
        try:
            value = await self._do(method, *arguments)
        except xmlrpc.client.Fault as fault:
            return HttpAnswer(200, xmlrpc.client.dumps(fault, methodresponse=True).encode())
        return HttpAnswer(200, xmlrpc.client.dumps((value,), methodresponse=True).encode())

    async def _do(self, method: str, name: str = "", extra: object = None) -> Any:
        if self.fault is not None:
            raise xmlrpc.client.Fault(*self.fault)
        if method == "getAllProcessInfo":
            told = [self._info(each) for each in self.programs]
            await self.clock.sleep(self.looks_take_s)
            return told
        program = self._program(name)
        match method:
            case "getProcessInfo":
                return self._info(name)
            case "startProcess":
                await self._start(name, program)
            case "stopProcess":
                await self._stop(name, program, wait=bool(extra))
            case "signalProcess" if program.state in (RUNNING, STARTING, STOPPING):
                assert extra == "KILL"
                self._end(program, STOPPED if program.state == STOPPING else EXITED, "killed by SIGKILL")
            case "signalProcess":
                raise xmlrpc.client.Fault(70, f"NOT_RUNNING: {name}")
            case _:
                raise xmlrpc.client.Fault(1, "UNKNOWN_METHOD")
        return True

    async def _start(self, name: str, program: SimProgram) -> None:
        if program.state in UP:
            raise xmlrpc.client.Fault(60, f"ALREADY_STARTED: {name}")
        assert program.state != STOPPING, "supervisord gets confused by this"
        if program.spawn_error:
            program.state, program.text = BACKOFF, program.spawn_error
            raise xmlrpc.client.Fault(50, f"SPAWN_ERROR: {name}")
        self.come_up(name)
        while self._program(name).state == STARTING:
            await self.clock.sleep(LOOK_S)
        if program.state != RUNNING:
            raise xmlrpc.client.Fault(40, f"ABNORMAL_TERMINATION: {name}")

    async def _stop(self, name: str, program: SimProgram, *, wait: bool) -> None:
        if program.state not in UP:
            raise xmlrpc.client.Fault(70, f"NOT_RUNNING: {name}")
        program.state, program.due = STOPPING, self.clock.now() + (1e9 if program.ignores_term else program.stops_s)
        while wait and self._program(name).state == STOPPING:
            await self.clock.sleep(LOOK_S)

    def come_up(self, name: str) -> None:
        """Begin to start a program, as supervisord's own autorestart does."""
        program = self.programs[name]
        self._next_pid += 1
        program.state, program.pid, program.text = STARTING, self._next_pid, ""
        program.due = self.clock.now() + program.starts_s

    def end(self, name: str, state: int, text: str = "") -> None:
        """Let a program end by itself or by another hand."""
        self._end(self.programs[name], state, text)

    def _end(self, program: SimProgram, state: int, text: str) -> None:
        program.state, program.pid, program.text = state, 0, text

    def _program(self, name: str) -> SimProgram:
        program = self.programs.get(name)
        if program is None:
            raise xmlrpc.client.Fault(10, f"BAD_NAME: {name}")
        if program.due and self.clock.now() >= program.due:
            program.due = 0.0
            if program.state == STARTING and program.ends_at_start:
                self._end(program, BACKOFF, "Exited too quickly (process log may have details)")
            elif program.state == STARTING:
                program.state, program.text = RUNNING, f"pid {program.pid}, uptime 0:00:01"
            elif program.state == STOPPING:
                self._end(program, STOPPED, "")
        return program

    def _info(self, name: str) -> dict[str, object]:
        program = self._program(name)
        group, _, short = name.partition(":")
        spawn_error = program.text if program.state in (BACKOFF, FATAL) else ""
        return {
            "group": group,
            "name": short,
            "state": program.state,
            "statename": "X",
            "pid": program.pid,
            "spawnerr": spawn_error,
            "description": program.text,
            "exitstatus": 0,
        }
