"""The containers of one engine, over one shared connection: what the event stream tells of those that are followed.

After the stream was lost every followed container is looked at again: what ended meanwhile is told late, never lost.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from probe.controllers.contract import Spawn
from probe.controllers.engine import Engine, OpenEngine, Reply
from probe.controllers.link import Link, LinkError
from probe.environment import Clock

LOOK_WITHIN_S = 5.0
SIGNAL_ENDS_WITHIN_S = 15.0  # an end so soon after a signal is that signal's doing
# Docker calls the end of a container `die`, and so does Podman when it tells it, but asks for it by `died`.
EVENTS = {"type": ["container"], "event": ["die", "died", "kill", "oom"]}


@dataclass(frozen=True, slots=True)
class Sight:
    """What the engine says of a container now."""

    id: str
    status: str
    runs: bool
    paused: bool
    pid: int
    exit_code: int
    out_of_memory: bool
    error: str


@dataclass(slots=True, eq=False)
class Container:
    """A followed container; `ended` is called after each end of it, with what was seen then."""

    id: str
    ended: Callable[[Container, Sight | None], None]
    signalled_at: float = -math.inf  # when a signal was last sent to it through the engine, and which
    signal: str = ""
    out_of_memory: bool = False
    exit_code: int | None = None  # of its last end, as the event had it

    def forget_last_end(self) -> None:
        """Begin a new run of it."""
        self.signalled_at, self.signal, self.out_of_memory, self.exit_code = -math.inf, "", False, None


class Containers:
    """One engine's containers."""

    def __init__(self, socket: str, open_engine: OpenEngine, clock: Clock, spawn: Spawn) -> None:
        self.socket = socket
        self.link = Link(f"the container engine at {socket}", clock, spawn, self._follow)
        self._open_engine = open_engine
        self._clock = clock
        self._engine: Engine | None = None
        self._followed: dict[str, list[Container]] = {}

    async def ask(self, verb: str, name: str, **query: str) -> Reply:
        """Have the engine do something to a container. Raises LinkError."""
        return await self._open().ask("POST", f"/containers/{name}/{verb}", query)

    async def look(self, name: str) -> Sight | None:
        """Look at a container; None when there is none of that name. Raises LinkError."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                reply = await self._open().ask("GET", f"/containers/{name}/json", {})
        except TimeoutError as error:
            raise LinkError(f"{self.link.name}: no answer within {LOOK_WITHIN_S:g} s") from error
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise LinkError(f"{self.link.name}: {reply.message}")
        sight = _sight(reply.value)
        if not sight.id:
            raise LinkError(f"{self.link.name} says nothing of container {name} that we understand")
        return sight

    def follow(self, container: Container) -> None:
        """Begin to tell of a container."""
        self._followed.setdefault(container.id, []).append(container)

    def unfollow(self, container: Container) -> None:
        """Tell of it no longer. Idempotent."""
        others = self._followed.get(container.id, [])
        if container in others:
            others.remove(container)
            if not others:
                del self._followed[container.id]

    # --- the connection ---

    async def _follow(self, up: Callable[[], None]) -> None:
        engine = self._engine = await self._open_engine(self.socket)
        try:
            stream = cast("AsyncGenerator[Mapping[str, Any] | None]", engine.events({"filters": json.dumps(EVENTS)}))
            async with aclosing(stream) as events:
                async for event in events:
                    if event is not None:
                        await self._take(event)
                        continue
                    for id in list(self._followed):
                        await self._look_again(id)
                    up()
        finally:
            if self._engine is engine:
                self._engine = None
            await engine.close()

    async def _look_again(self, id: str) -> None:
        sight = await self.look(id)
        if sight is None or not sight.runs:
            self._tell_end(id, sight)

    async def _take(self, event: Mapping[str, Any]) -> None:
        actor = event.get("Actor")
        id = str(actor.get("ID", "")) if isinstance(actor, Mapping) else ""
        followed = self._followed.get(id)
        if not followed:
            return
        attributes = actor.get("Attributes") if isinstance(actor, Mapping) else None
        facts = attributes if isinstance(attributes, Mapping) else {}
        action = str(event.get("Action", ""))
        for container in followed:
            if action == "kill":
                container.signalled_at, container.signal = self._clock.now(), str(facts.get("signal") or "a signal")
            elif action == "oom":
                container.out_of_memory = True
            elif action in ("die", "died"):
                container.exit_code = _whole(facts.get("exitCode"))
                if self._clock.now() - container.signalled_at > SIGNAL_ENDS_WITHIN_S:
                    container.signal = ""  # a reload some time ago has nothing to do with this
        if action in ("die", "died"):
            try:
                sight = await self.look(id)
            except LinkError:
                sight = None  # its end is certain; only the evidence is less
            self._tell_end(id, sight)

    def _tell_end(self, id: str, sight: Sight | None) -> None:
        for container in list(self._followed.get(id, [])):
            container.ended(container, sight)

    def _open(self) -> Engine:
        if self._engine is None:
            raise LinkError(f"{self.link.name}: not connected")
        return self._engine


def _sight(value: Any) -> Sight:
    """Read the answer of an inspection; what is missing or of another kind is as if it were not set."""
    document = value if isinstance(value, Mapping) else {}
    raw = document.get("State")
    state: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {}
    return Sight(
        id=str(document.get("Id", "")),
        status=str(state.get("Status", "unknown")),
        runs=state.get("Running") is True,
        paused=state.get("Paused") is True,
        pid=_whole(state.get("Pid")) or 0,
        exit_code=_whole(state.get("ExitCode")) or 0,
        out_of_memory=state.get("OOMKilled") is True,
        error=str(state.get("Error") or ""),
    )


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
