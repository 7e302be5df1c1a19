"""The container controller: a service is a container that somebody created, started and stopped through its engine.

How it behaves:
1. It never pulls and never creates: a container that is not there is an error that says so.
2. Stopping is the engine's own: its stop signal, then SIGKILL after `stop_timeout_s`. A paused container is resumed
   first, or it would not hear the signal.
3. A container that ends without our asking is told at once: `external_stop` when somebody used the engine for it or it
   ended cleanly (S6), else `process_gone`, with its exit code and whether memory ran out.
4. The connection is kept while a container is followed or an operation runs (S49). While it is lost nothing is told of
   any container; when it is back all are looked at again.
5. The engine's own restart policy may stay on: our start of a container that runs again already succeeds at once.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus

from bindings.files import Files
from probe.controllers.containers import Container, Containers, Sight
from probe.controllers.contract import ControllerError, OnExit, ParametersError, ServiceSpec, Spawn
from probe.controllers.engine import OpenEngine, Reply, open_engine
from probe.controllers.link import LinkError
from probe.controllers.reading import Parameter, Reading
from probe.environment import Clock
from probe.resources.checking import Problem
from probe.values import Incarnation, Reason, ResourceId, Verdict, evidence_of

SOCKETS = ("/run/podman/podman.sock", "/var/run/docker.sock")
STOP_TIMEOUT_S = 10.0  # Docker's own default
STOP_TIMEOUT_S_MAX = 3600.0
TERMINATE_GRACE_S = 2.0
KILL_WITHIN_S = 10.0
SOCKET_BYTES_MAX = 107  # sockaddr_un
SIGNAL_OFFSET = 128  # an exit code above it is that of a process killed by a signal

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")  # the engines' own rule: nothing that could lead elsewhere
_CLEAN = frozenset({0} | {SIGNAL_OFFSET + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)})

_KILLED = SIGNAL_OFFSET + signal.SIGKILL
_DONE = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)

_log = logging.getLogger(__name__)

CONTAINER_PARAMETERS = (
    Parameter("container", "name or id", "a container that exists; none is ever pulled or created", required=True),
    Parameter("socket", "absolute path", f"the engine's unix socket, else `{'` or `'.join(SOCKETS)}`"),
    Parameter("stop_timeout_s", "seconds", "how long it has from its stop signal to SIGKILL", "10"),
)


@dataclass(frozen=True, slots=True)
class ContainerParameters:
    """Which container, of which engine."""

    container: str
    socket: str | None = None
    stop_timeout_s: float = STOP_TIMEOUT_S


def container_parameters(parameters: Mapping[str, object]) -> ContainerParameters:
    """Read the parameters of the container controller. Raises ParametersError with all problems at once."""
    reading = Reading(parameters)
    reading.unknown_keys(each.name for each in CONTAINER_PARAMETERS)
    read = ContainerParameters(
        container=_container(reading),
        socket=_socket(reading),
        stop_timeout_s=reading.seconds("stop_timeout_s", STOP_TIMEOUT_S, 0, STOP_TIMEOUT_S_MAX),
    )
    reading.finish()
    return read


def container_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the container controller."""
    try:
        container_parameters(parameters)
    except ParametersError as error:
        return error.problems
    return ()


@dataclass(slots=True, eq=False)
class _Followed:
    """A container of ours, from its start until its stop."""

    id: ResourceId
    parameters: ContainerParameters
    containers: Containers
    incarnation: Incarnation
    container: Container | None = None
    ours: bool = False  # it runs by our start: its end is news, unless we asked for it
    killed: bool = False  # by us, since its last start
    operations: int = 0
    pid: int = 0  # while it is ours


class ContainerController:
    """Starts and stops containers."""

    acts = True
    ours_to_stop = False

    def __init__(
        self, clock: Clock, files: Files, on_exit: OnExit, spawn: Spawn, open_engine: OpenEngine = open_engine
    ) -> None:
        self._clock = clock
        self._files = files
        self._on_exit = on_exit
        self._spawn = spawn
        self._open_engine = open_engine
        self._engines: dict[str, Containers] = {}
        self._table: dict[ResourceId, _Followed] = {}

    async def start(self, service: ServiceSpec, incarnation: Incarnation) -> None:
        """Start the container, or go on with the running one (S57). Raises ControllerError."""
        async with self._operation(service) as followed:
            name, containers = followed.parameters.container, followed.containers
            sight = await containers.look(name)
            if sight is None:
                text = f"there is no container {name} at {containers.socket}: create it, we never do"
                raise ControllerError(Verdict(Reason.SERVICE_STOPPED, evidence_of(text)))
            container = self._follow(followed, sight.id)
            if sight.paused:
                _must(await containers.ask("unpause", name), f"cannot resume container {name}")
            elif not sight.runs:
                container.forget_last_end()
                _must(await containers.ask("start", name), f"cannot start container {name}")
                sight = await containers.look(name)
                if sight is None or not sight.runs:
                    raise ControllerError(_not_started(name, container, sight))
            followed.incarnation, followed.pid = incarnation, sight.pid
            followed.ours, followed.killed = True, False

    async def stop(self, service: ServiceSpec) -> None:
        """Stop the container, with SIGKILL after `stop_timeout_s`. Raises ControllerError."""
        async with self._operation(service) as followed:
            await self._stop(followed, followed.parameters.stop_timeout_s)

    async def terminate(self, service: ServiceSpec) -> None:
        """Stop the container with at most `TERMINATE_GRACE_S` before SIGKILL (S68). Raises ControllerError."""
        async with self._operation(service) as followed:
            await self._stop(followed, min(followed.parameters.stop_timeout_s, TERMINATE_GRACE_S))

    def kill(self, id: ResourceId) -> None:
        """SIGKILL the container (S56), without waiting for it."""
        followed = self._table.get(id)
        if followed is not None:
            followed.killed = True
            self._spawn(self._kill(followed))

    def adopt(self, service: ServiceSpec, incarnation: Incarnation) -> bool:  # noqa: ARG002 - the contract's
        """Say no: whether it runs is known by asking, and a start of a running one succeeds at once (S57)."""
        return False

    def pid(self, id: ResourceId) -> int | None:
        """Return the pid of the container's first process, as the engine sees it."""
        followed = self._table.get(id)
        return followed.pid or None if followed is not None and followed.ours else None

    def release(self) -> None:
        """Forget every container, leave it as it is, and close the connections."""
        self._table.clear()
        for containers in self._engines.values():
            containers.link.close()
        self._engines.clear()

    # --- operations ---

    @asynccontextmanager
    async def _operation(self, service: ServiceSpec) -> AsyncIterator[_Followed]:
        """Hold the connection for an operation on a container; a lost one becomes a ControllerError."""
        followed = self._followed(service)
        followed.operations += 1
        try:
            with followed.containers.link.using():
                await followed.containers.link.ready()
                yield followed
        except LinkError as error:
            raise ControllerError(Verdict(error.reason, evidence_of(str(error)))) from error
        finally:
            followed.operations -= 1

    def _followed(self, service: ServiceSpec) -> _Followed:
        try:
            parameters = container_parameters(service.parameters)
        except ParametersError as error:
            raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))) from error
        followed = self._table.get(service.id)
        if followed is not None and followed.parameters != parameters:
            self._forget(followed)
            followed = None
        if followed is None:
            socket = parameters.socket or self._usual_socket()
            containers = self._engines.get(socket)
            if containers is None:
                containers = Containers(socket, self._open_engine, self._clock, self._spawn)
                self._engines[socket] = containers
            followed = _Followed(service.id, parameters, containers, Incarnation(0))
        return followed

    def _usual_socket(self) -> str:
        """Return the first of the usual sockets that is there. Raises ControllerError."""
        for socket in SOCKETS:
            try:
                if self._files.stamp(socket) is not None:
                    return socket
            except OSError:  # a folder that is closed to us: what cannot be seen cannot be used
                continue
        text = f"no container engine is there: neither {' nor '.join(SOCKETS)}; start one, or give its socket"
        raise ControllerError(Verdict(Reason.PROBE_INTERNAL, evidence_of(text)))

    def _follow(self, followed: _Followed, id: str) -> Container:
        """Follow the container; one of the same name that was created anew takes the place of the old one."""
        if followed.container is not None and followed.container.id != id:
            followed.containers.unfollow(followed.container)
            followed.container = None
        if followed.container is None:
            followed.container = Container(id, lambda container, sight: self._ended(followed, container, sight))
            followed.containers.follow(followed.container)
        if self._table.get(followed.id) is not followed:
            self._table[followed.id] = followed
            followed.containers.link.hold(followed.id)
        return followed.container

    async def _stop(self, followed: _Followed, within_s: float) -> None:
        name, containers = followed.parameters.container, followed.containers
        sight = await containers.look(name)
        if sight is not None and sight.paused:
            _must(await containers.ask("unpause", name), f"cannot resume container {name}", Reason.PENDING_TIMEOUT)
        if sight is not None and sight.runs:
            reply = await containers.ask("stop", name, t=str(math.ceil(within_s)))
            _must(reply, f"cannot stop container {name}", Reason.PENDING_TIMEOUT)
        self._forget(followed)

    async def _kill(self, followed: _Followed) -> None:
        name, containers = followed.parameters.container, followed.containers
        try:
            with containers.link.using():
                async with asyncio.timeout(KILL_WITHIN_S):
                    reply = await containers.ask("kill", name, signal="KILL")
        except (LinkError, TimeoutError) as error:
            if followed.id in self._table:  # else we ended meanwhile
                _log.warning("%s cannot be killed: %s", followed.id, error)
            return
        if reply.status not in _DONE:
            _log.info("%s is not killed: %s", followed.id, evidence_of(reply.message))

    def _forget(self, followed: _Followed) -> None:
        if followed.container is not None:
            followed.containers.unfollow(followed.container)
            followed.container = None
        if self._table.get(followed.id) is followed:
            del self._table[followed.id]
            followed.containers.link.drop(followed.id)

    # --- news ---

    def _ended(self, followed: _Followed, container: Container, sight: Sight | None) -> None:
        if sight is not None and sight.runs and (sight.pid == followed.pid or not followed.ours):
            return  # the late word of an earlier end
        was_ours, followed.ours, followed.pid = followed.ours, False, 0
        if was_ours and not followed.killed and followed.operations == 0:
            verdict = _departure(followed.parameters.container, container, sight)
            self._on_exit(followed.id, followed.incarnation, verdict)


def _must(reply: Reply, what: str, reason: Reason = Reason.SERVICE_STOPPED) -> None:
    """Raise ControllerError unless the engine did it, or had nothing to do (304)."""
    if reply.status == HTTPStatus.FORBIDDEN:
        reason = Reason.PROBER_FORBIDDEN
    if reply.status not in _DONE:
        raise ControllerError(Verdict(reason, evidence_of(f"{what}: {reply.message}")))


def _not_started(name: str, container: Container, sight: Sight | None) -> Verdict:
    """Say why a container does not run right after its start."""
    verdict = _departure(name, container, sight)
    if verdict.reason is not Reason.EXTERNAL_STOP:
        return verdict
    code = sight.exit_code if sight is not None else container.exit_code or 0
    return Verdict(Reason.SERVICE_STOPPED, evidence_of(f"container {name} ended at once with {_exit_text(code)}"))


def _departure(name: str, container: Container, sight: Sight | None) -> Verdict:
    """Say why a container that nobody asked to does not run."""
    if sight is None and container.exit_code is None:
        return Verdict(Reason.EXTERNAL_STOP, evidence_of(f"container {name} is gone, or its engine does not answer"))
    code = container.exit_code
    if code is None:
        code = sight.exit_code if sight is not None else 0
    text = f"container {name} ended with {_exit_text(code)}"
    if (sight is not None and sight.out_of_memory) or (container.out_of_memory and code == _KILLED):
        return Verdict(Reason.PROCESS_GONE, evidence_of(f"{text}: it was out of memory (OOM)"))
    if sight is not None and sight.error:
        text += f": {sight.error}"
    if container.signal:
        return Verdict(Reason.EXTERNAL_STOP, evidence_of(f"{text}: somebody sent it {_signal_text(container.signal)}"))
    if code in _CLEAN:
        return Verdict(Reason.EXTERNAL_STOP, evidence_of(f"{text}: somebody stopped it, or it ended by itself"))
    return Verdict(Reason.PROCESS_GONE, evidence_of(text))


def _exit_text(code: int) -> str:
    try:
        return f"exit status {code} ({signal.Signals(code - SIGNAL_OFFSET).name})"
    except ValueError:
        return f"exit status {code}"


def _signal_text(signal_sent: str) -> str:
    return f"signal {signal_sent}" if signal_sent.isdigit() else signal_sent


# --- parameters ---


def _container(reading: Reading) -> str:
    name = reading.text("container", '"mailserver"')
    if name and _NAME.fullmatch(name) is None:
        reading.wrong("container", f"{name[:80]!r} cannot be the name or the id of a container")
    return name


def _socket(reading: Reading) -> str | None:
    value = reading.parameters.get("socket")
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        hint = 'for example "/run/podman/podman.sock"'
        if isinstance(value, str) and value.startswith("unix://"):
            hint = f'write it as "{value.removeprefix("unix://")}"'
        reading.wrong("socket", "must be the absolute path of a unix socket", hint)
        return None
    if len(os.fsencode(value)) > SOCKET_BYTES_MAX:
        reading.wrong("socket", f"is longer than {SOCKET_BYTES_MAX} bytes, which no unix socket can be")
    return value
