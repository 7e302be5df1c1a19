"""Looking at started services again and again, for controllers to which nobody tells that a service has ended.

Rules:
1. A look that says "failed" is told once, and ends the looking: the core's next start begins it anew.
2. A look that says "unknown" changes nothing; the log has a line when that begins and one when it ends.
3. One time-out of a look is unknown (it may be our own stall); the second in a row is the service's: it hangs.
4. The looks of all services share `LOOKS_MAX` places, so that a thousand services don't start a thousand programs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass

from probe.controllers.contract import ControllerError, OnExit, Spawn
from probe.environment import Clock, Randomness
from probe.values import Incarnation, Outcome, Reason, ResourceId, Verdict, evidence_of

FIRST_LOOK_S = 1.0  # after the start, or sooner where the interval is shorter
LOOK_TIMEOUT_S = 20.0
TIMEOUTS_MAX = 2
LOOKS_MAX = 8
SPREAD = 0.2  # the share of an interval by which looks that began together drift apart

Look = Callable[[], Coroutine[object, object, Verdict]]

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Watch:
    """A service that is looked at."""

    id: ResourceId
    incarnation: Incarnation
    interval_s: float
    look: Look
    task: asyncio.Task[None] | None = None
    timeouts: int = 0  # in a row
    unknown: bool = False


class Polls:
    """The started services and their looks."""

    def __init__(self, clock: Clock, randomness: Randomness, spawn: Spawn, on_exit: OnExit) -> None:
        self._clock = clock
        self._randomness = randomness
        self._spawn = spawn
        self._on_exit = on_exit
        self._places = asyncio.Semaphore(LOOKS_MAX)
        self._watches: dict[ResourceId, _Watch] = {}

    def begin(self, id: ResourceId, incarnation: Incarnation, interval_s: float, look: Look) -> None:
        """Look at a service that has just been started, from now on under this incarnation."""
        self.end(id)
        watch = self._watches[id] = _Watch(id, incarnation, interval_s, look)
        watch.task = self._spawn(self._follow(watch))

    def end(self, id: ResourceId) -> None:
        """Look no more: whatever happens to the service is asked for from now on. Idempotent."""
        watch = self._watches.pop(id, None)
        if watch is not None and watch.task is not None:
            watch.task.cancel()

    def close(self) -> None:
        """Look at nothing any more."""
        for id in list(self._watches):
            self.end(id)

    async def _follow(self, watch: _Watch) -> None:
        await self._clock.sleep(min(FIRST_LOOK_S, watch.interval_s))
        while True:
            verdict = await self._verdict(watch)
            if verdict.outcome is Outcome.FAILED:
                del self._watches[watch.id]
                self._on_exit(watch.id, watch.incarnation, verdict)
                return
            self._note(watch, verdict)
            spread_s = watch.interval_s * SPREAD / 2
            await self._clock.sleep(watch.interval_s + self._randomness.uniform(-spread_s, spread_s))

    async def _verdict(self, watch: _Watch) -> Verdict:
        try:
            async with self._places, asyncio.timeout(LOOK_TIMEOUT_S):
                verdict = await watch.look()
        except TimeoutError:
            watch.timeouts += 1
            text = f"no answer within {LOOK_TIMEOUT_S:g} s"
            if watch.timeouts < TIMEOUTS_MAX:
                return Verdict(Reason.PROBE_INTERNAL, text)
            return Verdict(Reason.STEP_TIMEOUT, f"{text}, {TIMEOUTS_MAX} times in a row")
        except ControllerError as error:
            verdict = Verdict(Reason.PROBE_INTERNAL, error.verdict.evidence)
        except Exception as error:  # noqa: BLE001 - a bug in one look must not take the whole service down
            _log.exception("looking at %s failed in a way it should not", watch.id)
            verdict = Verdict(Reason.PROBE_INTERNAL, evidence_of(f"{type(error).__name__}: {error}"))
        watch.timeouts = 0
        return verdict

    def _note(self, watch: _Watch, verdict: Verdict) -> None:
        unknown = verdict.outcome is Outcome.UNKNOWN
        if unknown and not watch.unknown:
            _log.warning("whether %s runs is unknown: %s", watch.id, verdict.evidence)
        elif watch.unknown and not unknown:
            _log.info("whether %s runs is known again: it does", watch.id)
        watch.unknown = unknown
