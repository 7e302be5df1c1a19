"""The supervisord controller: programs that a supervisord keeps, started and stopped by its XML-RPC.

How it behaves:
1. A program that runs is gone on with (S57), one that supervisord is just starting is waited for. Set
   `autorestart=false` in supervisord: two that bring the same program back get in each other's way (S5).
2. supervisord tells nobody outside when a program ends (its event listeners are its own children), so its programs are
   asked for each second, all of one supervisord in one call. A second, because supervisord itself looks round once a
   second: asking more often would find nothing sooner that matters, and a call costs it less than a millisecond.
3. A program found stopped is `external_stop` (S6); one that ended, or runs as another process than we started, is
   `process_gone`. A supervisord that does not answer says nothing about its programs: when it died they may run on.
4. A terminate gives `TERMINATE_GRACE_S`, then KILL; a stop waits as long as the program's own `stopwaitsecs` says.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from probe.controllers.contract import ControllerError, OnExit, ParametersError, ServiceSpec, Spawn
from probe.controllers.hooks import KILL_WITHIN_S
from probe.controllers.reading import Parameter, Reading
from probe.controllers.supervisors import UNDER_WAY, UP, FaultCode, Place, Program, ProgramState, Supervisor
from probe.controllers.xmlrpc import FaultError
from probe.environment import Environment
from probe.resources.checking import Problem
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

POLL_INTERVAL_S = 1.0
SETTLE_LOOK_S = 0.2  # between two looks at a program that is on its way
TERMINATE_GRACE_S = 2.0
KILL_GRACE_S = 5.0
PROGRAM_CHARS_MAX = 255
SOCKET_BYTES_MAX = 107  # of a unix socket's address

_PROGRAM = re.compile(r"[^\s:*]+(:[^\s:*]+)?")
_SOCKET_EXAMPLE = '"/run/supervisor.sock"'
_URL_EXAMPLE = '"http://127.0.0.1:9001"'

SUPERVISORD_PARAMETERS = (
    Parameter("socket", "absolute path", "supervisord's unix socket; this or `url`"),
    Parameter("url", "`http://HOST:PORT`", "supervisord's inet_http_server; this or `socket`"),
    Parameter("program", "`NAME` or `GROUP:NAME`", "the program, as supervisorctl names it", required=True),
)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SupervisordParameters:
    """Where the supervisord is and which of its programs is meant."""

    place: Place
    program: str  # GROUP:NAME


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    """A program that was started, or found running by a start."""

    id: ResourceId
    incarnation: Incarnation
    place: Place
    program: str
    pid: int


class SupervisordController:
    """Starts and stops the programs of supervisords."""

    acts = True
    ours_to_stop = False

    def __init__(self, environment: Environment, on_exit: OnExit, spawn: Spawn) -> None:
        self._clock = environment.clock
        self._http = environment.http
        self._on_exit = on_exit
        self._spawn = spawn
        self._watched: dict[ResourceId, _Watched] = {}
        self._begun: dict[ResourceId, SupervisordParameters] = {}  # perhaps running, or not quite stopped
        self._rounds: dict[Place, asyncio.Task[None]] = {}

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the program, or go on with the running one (S57). Raises ControllerError."""
        supervisor, name = self._begin(service)
        program = await self._settled(supervisor, name, {ProgramState.STOPPING})
        if program.state not in UP:
            try:
                await supervisor.call("startProcess", name, True)
            except FaultError as fault:
                if fault.code != FaultCode.ALREADY_STARTED:
                    raise await self._not_started(supervisor, name, fault) from fault
        program = await self._settled(supervisor, name, UNDER_WAY)
        if program.state is not ProgramState.RUNNING:
            raise ControllerError(Verdict(Reason.SERVICE_STOPPED, _sentence(program)))
        self._watched[service.id] = _Watched(service.id, incarnation, supervisor.place, name, program.pid)
        round_ = self._rounds.get(supervisor.place)
        if round_ is None or round_.done():
            self._rounds[supervisor.place] = self._spawn(self._follow(supervisor))

    async def stop(self, service: ServiceSpec) -> None:
        """Stop the program; return when it has ended. Raises ControllerError."""
        supervisor, name = self._begin(service)
        if (await supervisor.program(name)).state in UP:
            await self._ask_to_stop(supervisor, name, wait=True)
        program = await self._settled(supervisor, name, {ProgramState.STOPPING})
        if program.state in UP:
            raise ControllerError(Verdict(Reason.REFUSED_BY_SERVER, f"was stopped, but: {_sentence(program)}"))
        self._begun.pop(service.id, None)

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop the program, with KILL after `TERMINATE_GRACE_S` (S68). Raises ControllerError."""
        supervisor, name = self._begin(service)
        going = {*UP, ProgramState.STOPPING}
        if (await supervisor.program(name)).state in UP:
            await self._ask_to_stop(supervisor, name, wait=False)
        program = await self._settled(supervisor, name, going, TERMINATE_GRACE_S)
        if program.state in going:
            await self._signal_kill(supervisor, name)
            program = await self._settled(supervisor, name, going, KILL_GRACE_S)
        if program.state in going:
            raise ControllerError(Verdict(Reason.PENDING_TIMEOUT, f"was killed, but: {_sentence(program)}"))
        self._begun.pop(service.id, None)

    def kill(self, id: ResourceId) -> None:
        """Tell supervisord to kill the program, without anybody waiting."""
        self._watched.pop(id, None)
        parameters = self._begun.get(id)
        if parameters is not None:
            self._spawn(self._kill(id, parameters))

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: to ask takes a call, and the start that follows asks."""
        return False

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of the program as it was started."""
        watched = self._watched.get(id)
        return None if watched is None else watched.pid

    def release(self) -> None:
        """Look no more; every program stays as it is."""
        for round_ in self._rounds.values():
            round_.cancel()
        self._watched.clear()
        self._begun.clear()

    def _begin(self, service: ServiceSpec) -> tuple[Supervisor, str]:
        """Begin an operation: what happens to the program from now on is asked for. Raises ControllerError."""
        try:
            parameters = supervisord_parameters(service.parameters)
        except ParametersError as error:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error
        self._watched.pop(service.id, None)
        self._begun[service.id] = parameters
        return Supervisor(parameters.place, self._http), parameters.program

    async def _settled(
        self,
        supervisor: Supervisor,
        name: str,
        going: set[ProgramState] | frozenset[ProgramState],
        within_s: float = 1e9,
    ) -> Program:
        """Ask again and again until the program is in none of these states, at most so long."""
        deadline = self._clock.now() + within_s
        while True:
            program = await supervisor.program(name)
            if program.state not in going or self._clock.now() >= deadline:
                return program
            await self._clock.sleep(SETTLE_LOOK_S)

    async def _not_started(self, supervisor: Supervisor, name: str, fault: FaultError) -> ControllerError:
        program = await supervisor.program(name)
        text = f"supervisord could not start {name}: {fault.text} (fault {fault.code}); {_sentence(program)}"
        return ControllerError(Verdict(Reason.SERVICE_STOPPED, evidence_of(text)))

    async def _ask_to_stop(self, supervisor: Supervisor, name: str, *, wait: bool) -> None:
        try:
            await supervisor.call("stopProcess", name, wait)
        except FaultError as fault:
            if fault.code != FaultCode.NOT_RUNNING:
                raise supervisor.refusal(f"stop {name}", fault) from fault

    async def _signal_kill(self, supervisor: Supervisor, name: str) -> None:
        try:
            await supervisor.call("signalProcess", name, "KILL")
        except FaultError as fault:
            if fault.code != FaultCode.NOT_RUNNING:
                raise supervisor.refusal(f"kill {name}", fault) from fault

    async def _kill(self, id: ResourceId, parameters: SupervisordParameters) -> None:
        supervisor = Supervisor(parameters.place, self._http)
        try:
            async with asyncio.timeout(KILL_WITHIN_S):
                await self._ask_to_stop(supervisor, parameters.program, wait=False)  # else it would be restarted
                await self._signal_kill(supervisor, parameters.program)
        except (ControllerError, TimeoutError) as error:
            _log.warning("%s could not be killed: %s", id, str(error) or f"not within {KILL_WITHIN_S:g} s")

    async def _follow(self, supervisor: Supervisor) -> None:
        """Look at all watched programs of one supervisord, as long as there are any."""
        silent = False
        while True:
            await self._clock.sleep(POLL_INTERVAL_S)
            watched = [each for each in self._watched.values() if each.place == supervisor.place]
            if not watched:
                return
            answers = await self._look(supervisor, watched, silent=silent)
            if silent and answers:
                _log.info("supervisord at %s answers again", supervisor.place)
            silent = not answers

    async def _look(self, supervisor: Supervisor, watched: list[_Watched], *, silent: bool) -> bool:
        """Look once; say whether supervisord answered."""
        try:
            self._judge(watched, await supervisor.programs())
        except ControllerError as error:
            if not silent:
                _log.warning("whether %d programs run is unknown: %s", len(watched), error)
            return False
        except Exception:  # noqa: BLE001 - a bug in here must not take the whole service down
            _log.exception("looking at supervisord at %s failed in a way it should not", supervisor.place)
            return False
        return True

    def _judge(self, watched: list[_Watched], programs: Mapping[str, Program]) -> None:
        for each in watched:
            if self._watched.get(each.id) is each:  # else an operation began while we asked
                verdict = verdict_on(programs.get(each.program), each.program, each.pid)
                if verdict is not None:
                    del self._watched[each.id]
                    self._on_exit(each.id, each.incarnation, verdict)


def verdict_on(program: Program | None, name: str, pid: int) -> Verdict | None:
    """Judge a program that was running as `pid`: None while it does, or while nothing can be said."""
    if program is None:
        return Verdict(Reason.EXTERNAL_STOP, evidence_of(f"supervisord knows no program {name} any more"))
    match program.state:
        case ProgramState.RUNNING if program.pid == pid:
            return None
        case ProgramState.RUNNING:
            text = f"{name} ended and was started again by another hand (process {pid} before, {program.pid} now)"
            return Verdict(Reason.PROCESS_GONE, evidence_of(text))
        case ProgramState.STOPPED | ProgramState.STOPPING:
            return Verdict(Reason.EXTERNAL_STOP, _sentence(program))
        case ProgramState.UNKNOWN:
            return None
        case _:
            return Verdict(Reason.PROCESS_GONE, _sentence(program))


def supervisord_parameters(parameters: Mapping[str, object]) -> SupervisordParameters:
    """Read the parameters of the supervisord controller. Raises ParametersError with all problems at once."""
    reading = Reading(parameters)
    reading.unknown_keys(each.name for each in SUPERVISORD_PARAMETERS)
    place = _place(reading)
    program = reading.text("program", '"mail:dovecot"')
    if program and (_PROGRAM.fullmatch(program) is None or len(program) > PROGRAM_CHARS_MAX):
        reading.wrong("program", f'"{program}" is not NAME or GROUP:NAME', "one program, no * for all of a group")
    reading.finish()
    return SupervisordParameters(place, program if ":" in program else f"{program}:{program}")


def supervisord_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the supervisord controller."""
    try:
        supervisord_parameters(parameters)
    except ParametersError as error:
        return error.problems
    return ()


def _place(reading: Reading) -> Place:
    named = [key for key in ("socket", "url") if reading.parameters.get(key) is not None]
    if len(named) != 1:
        hint = f'"socket": {_SOCKET_EXAMPLE}, or "url": {_URL_EXAMPLE}'
        reading.wrong("url" if named else "socket", "is one too many" if named else "is missing", hint)
    if "socket" in named:
        path = reading.text("socket", _SOCKET_EXAMPLE)
        if path and not path.startswith("/"):
            reading.wrong("socket", "must be an absolute path", f"for example {_SOCKET_EXAMPLE}")
        elif len(path.encode("utf-8", "surrogateescape")) > SOCKET_BYTES_MAX:
            reading.wrong("socket", f"is longer than a unix socket's path may be, {SOCKET_BYTES_MAX} bytes")
        return Place(path, "http://supervisord")
    return Place(None, _url(reading)) if named else Place(None, "")


def _url(reading: Reading) -> str:
    text = reading.text("url", _URL_EXAMPLE)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        reading.wrong("url", str(error), f"for example {_URL_EXAMPLE}")
        return ""
    if not text:
        return ""
    if "@" in parts.netloc:
        reading.wrong("url", "holds a user name, and this controller gives none", "use supervisord's unix socket")
    elif parts.scheme != "http" or not parts.hostname or not port or parts.path not in ("", "/", "/RPC2"):
        reading.wrong("url", "must be http://HOST:PORT", f"for example {_URL_EXAMPLE}")
    elif parts.query or parts.fragment:
        reading.wrong("url", "ends in what is no part of http://HOST:PORT", f"for example {_URL_EXAMPLE}")
    return f"http://{parts.netloc}"


def _sentence(program: Program) -> str:
    text = f": {program.text}" if program.text else ""
    return evidence_of(f"{program.name} is {program.state.name}{text}")
