"""Names, looked up beside the engine for every probe: bounded, timed, and never a failure of the service by our doing.

A lookup is shared by all who ask for the same name while it runs, and forgotten when it is over: a probe is pinned to
the addresses of its own time. Lookups run a few at a time, because the system's resolver blocks a thread for each; the
time-out begins when a lookup really starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from probe.environment import Clock, Network, ResolveError
from probe.monitor.wheel import NOWHERE, Wheel
from probe.values import Reason, Stage, Verdict, evidence_of

LOOKUPS_AT_ONCE_MAX = 16

log = logging.getLogger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]
Answer = Callable[[Sequence[tuple[int, str]] | Verdict, float], None]  # addresses or what went wrong; seconds it took

_REASONS = {
    "nxdomain": Reason.DNS_NXDOMAIN,
    "timeout": Reason.DNS_TIMEOUT,
    "servfail": Reason.DNS_SERVFAIL,
}


def verdict_of(error: ResolveError) -> Verdict:
    """Judge a failed lookup: only that the name does not exist is the service's."""
    return Verdict(_REASONS.get(error.kind, Reason.DNS_SERVFAIL), evidence_of(str(error)), Stage.RESOLVE)


class Lookup:
    """One name being looked up, and who waits for it."""

    __slots__ = ("_names", "name", "started", "task", "tick", "timeout_s", "waiting")

    def __init__(self, names: Names, name: str, timeout_s: float) -> None:
        self._names = names
        self.name = name
        self.timeout_s = timeout_s
        self.waiting: list[Answer] = []
        self.task: asyncio.Task[None] | None = None
        self.started = 0.0
        self.tick = NOWHERE

    def due(self, now: float) -> None:
        """Give up: the resolver did not answer in time."""
        del now
        evidence = evidence_of(f"no answer about {self.name} within {self.timeout_s:g} s")
        self._names.answered(self, Verdict(Reason.DNS_TIMEOUT, evidence, Stage.RESOLVE))


class Names:
    """Look names up. `spawn` runs one short task for each lookup."""

    __slots__ = ("_clock", "_network", "_queue", "_running", "_spawn", "_wheel")

    def __init__(self, network: Network, clock: Clock, wheel: Wheel, spawn: Spawn) -> None:
        self._network = network
        self._clock = clock
        self._wheel = wheel
        self._spawn = spawn
        self._running: dict[str, Lookup] = {}  # those in the queue included
        self._queue: deque[Lookup] = deque()

    def look_up(self, name: str, timeout_s: float, answer: Answer) -> None:
        """Call `answer` once, later, with the addresses or with the verdict that says why there are none."""
        lookup = self._running.get(name)
        if lookup is None:
            lookup = self._running[name] = Lookup(self, name, timeout_s)
            self._queue.append(lookup)
            lookup.waiting.append(answer)
            self._start_next()
        else:
            lookup.waiting.append(answer)

    def answered(self, lookup: Lookup, found: Sequence[tuple[int, str]] | Verdict) -> None:
        """Tell everyone who waits, and start the next."""
        if self._running.get(lookup.name) is not lookup:
            return
        del self._running[lookup.name]
        self._wheel.cancel(lookup)
        if lookup.task is not None:
            lookup.task.cancel()
        took_s = self._clock.now() - lookup.started
        for answer in lookup.waiting:
            answer(found, took_s)
        self._start_next()

    def close(self) -> None:
        """Stop looking up; nobody is told."""
        running = list(self._running.values())
        self._running.clear()
        self._queue.clear()
        for lookup in running:
            self._wheel.cancel(lookup)
            if lookup.task is not None:
                lookup.task.cancel()

    def _start_next(self) -> None:
        while self._queue and len(self._running) - len(self._queue) < LOOKUPS_AT_ONCE_MAX:
            lookup = self._queue.popleft()
            lookup.started = self._clock.now()
            self._wheel.add(lookup, lookup.started + lookup.timeout_s)
            lookup.task = self._spawn(self._look_up(lookup))

    async def _look_up(self, lookup: Lookup) -> None:
        try:
            found: Sequence[tuple[int, str]] | Verdict = await self._network.resolve(lookup.name)
        except ResolveError as error:
            found = verdict_of(error)
        except OSError as error:
            found = Verdict(Reason.DNS_SERVFAIL, evidence_of(str(error)), Stage.RESOLVE)
        except Exception as error:
            log.exception("a lookup failed by a fault of our own")
            found = Verdict(Reason.PROBE_INTERNAL, evidence_of(f"{type(error).__name__}: {error}"), Stage.RESOLVE)
        lookup.task = None
        self.answered(lookup, found)
