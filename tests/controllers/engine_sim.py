"""A container engine in memory: containers that run, pause and end, and an event stream that can break off."""

from __future__ import annotations

import asyncio
import errno
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from probe.controllers.engine import Engine, Reply
from probe.controllers.link import LinkError, link_error

NEWS_S = 0.001  # how long an event is under way

Event = Mapping[str, Any]


@dataclass(eq=False)
class SimContainer:
    """A container: how it behaves, and its state."""

    name: str
    id: str = "c0ffee"
    ignores_term: bool = False
    dies_at_once: int | None = None  # its exit code
    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    out_of_memory: bool = False
    error: str = ""

    @property
    def runs(self) -> bool:
        """Whether it has processes."""
        return self.status in ("running", "paused")

    @property
    def document(self) -> dict[str, Any]:
        """What an inspection says."""
        state = {
            "Status": self.status,
            "Running": self.runs,
            "Paused": self.status == "paused",
            "OOMKilled": self.out_of_memory,
            "Pid": self.pid,
            "ExitCode": self.exit_code,
            "Error": self.error,
        }
        return {"Id": self.id, "Name": f"/{self.name}", "State": state}


@dataclass(eq=False)
class SimConnection:
    """One connection of ours."""

    engine: SimEngine
    streams: list[asyncio.Queue[Event | None]] = field(default_factory=list)
    closed: bool = False

    async def ask(self, method: str, path: str, query: Mapping[str, str]) -> Reply:
        """Answer a request, in the next pass of the loop."""
        await asyncio.sleep(0)
        self.engine.must_be_there(self.closed)
        if self.engine.silent:
            await asyncio.Event().wait()
        return await self.engine.answer(method, path, query)

    async def events(self, query: Mapping[str, str]) -> AsyncIterator[Event | None]:
        """Stream what happens, if it was asked for."""
        self.engine.must_be_there(self.closed)
        wanted = json.loads(query["filters"])["event"]
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self.streams.append(queue)
        yield None
        while (event := await queue.get()) is not None:
            if event["Action"] in wanted:
                yield event
        raise LinkError("the event stream broke off")

    async def close(self) -> None:
        """End."""
        self.closed = True


class SimEngine:
    """The engine behind the socket."""

    def __init__(self, *containers: SimContainer) -> None:
        self.containers = {container.name: container for container in containers}
        self.asked: list[str] = []  # what was asked, in order
        self.connections: list[SimConnection] = []
        self.attempts: list[float] = []
        self.unreachable = False
        self.silent = False
        self.refusals: dict[str, Reply] = {}  # by verb
        self.loop = asyncio.get_running_loop()
        self._pids = 100

    async def open(self, socket: str) -> Engine:
        """Get ready to talk to it."""
        del socket
        self.attempts.append(self.loop.time())
        connection = SimConnection(self)
        self.connections.append(connection)
        return connection

    @property
    def open_connections(self) -> int:
        """How many connections stand."""
        return sum(not connection.closed for connection in self.connections)

    def must_be_there(self, closed: bool) -> None:
        """Raise LinkError when it cannot be reached."""
        assert not closed, "a closed connection is used"
        if self.unreachable:
            raise link_error(ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "the engine")

    # --- what happens on the machine ---

    def break_off(self) -> None:
        """The engine restarts: every stream ends."""
        for connection in self.connections:
            for stream in connection.streams:
                stream.put_nowait(None)

    def end(self, name: str, code: int, **facts: Any) -> None:
        """A container's first process ends."""
        container = self.containers[name]
        container.status, container.pid, container.exit_code = "exited", 0, code
        container.out_of_memory = bool(facts.get("out_of_memory"))
        container.error = str(facts.get("error", ""))
        self.emit(container, "die", exitCode=str(code))

    def come_back(self, name: str) -> None:
        """The engine's own restart policy starts it."""
        container = self.containers[name]
        self._pids += 1
        container.status, container.pid = "running", self._pids
        self.emit(container, "start")

    def emit(self, container: SimContainer, action: str, **attributes: str) -> None:
        """Tell everybody who listens."""
        actor = {"ID": container.id, "Attributes": {"name": container.name, **attributes}}
        self.loop.call_later(NEWS_S, self._deliver, {"Type": "container", "Action": action, "Actor": actor})

    def _deliver(self, event: Event) -> None:
        for connection in self.connections:
            if not connection.closed:
                for stream in connection.streams:
                    stream.put_nowait(event)

    # --- what it answers ---

    async def answer(self, method: str, path: str, query: Mapping[str, str]) -> Reply:
        """Answer a request."""
        _, kind, name, verb = path.split("/")
        assert (kind, method) == ("containers", "GET" if verb == "json" else "POST")
        if method == "POST":
            self.asked.append(" ".join([verb, name, *(f"{key}={value}" for key, value in query.items())]))
        if verb in self.refusals:
            return self.refusals[verb]
        found = [each for each in self.containers.values() if name in (each.name, each.id)]
        if not found:
            return Reply(404, {"message": f"no such container: {name}"})
        container = found[0]
        if verb == "json":
            return Reply(200, container.document)
        return Reply(await getattr(self, f"_{verb}")(container, query), None)

    async def _start(self, container: SimContainer, query: Mapping[str, str]) -> int:
        del query
        if container.runs:
            return 304
        self.come_back(container.name)
        if container.dies_at_once is not None:
            self.end(container.name, container.dies_at_once)
        return 204

    async def _unpause(self, container: SimContainer, query: Mapping[str, str]) -> int:
        del query
        container.status = "running"
        return 204

    async def _stop(self, container: SimContainer, query: Mapping[str, str]) -> int:
        if not container.runs:
            return 304
        if container.status == "paused":
            return 500
        self.emit(container, "kill", signal="15")
        if container.ignores_term:
            await asyncio.sleep(float(query["t"]))
            self.emit(container, "kill", signal="9")
            self.end(container.name, 137)
        elif container.runs:
            self.end(container.name, 0)
        await asyncio.sleep(2 * NEWS_S)
        return 204

    async def _kill(self, container: SimContainer, query: Mapping[str, str]) -> int:
        assert query["signal"] == "KILL"
        if not container.runs:
            return 409
        self.emit(container, "kill", signal="9")
        self.end(container.name, 137)
        return 204
