"""Kernel events: a listener of this network namespace that dies has its resources re-checked at once.

Rules:
1. An event is a reason to look, never a verdict. For those whom it concerns it is the first of `fall` failures (S67);
   the check that follows is made without waiting for the wheel's tick.
2. Events are a gain on top of polling, and nothing relies on them: hangs, shared listeners and other machines are found
   by asking. Where the kernel has none of it, or our own listeners die unheard, we poll and say so in one line.
3. Work that grows with the number of resources (a wildcard listener, lost events) is done a slice at a time.
4. Lost events concern everybody and accuse nobody: all are re-checked, and the loss counts as no failure.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterable, Iterator
from typing import Protocol

from probe.environment import Clock, Environment, Gone, ListenerEvents, Timer
from probe.lifecycle.events import Trigger
from probe.monitor.contract import Watching
from probe.monitor.places import Place, concerns, places_asked
from probe.values import ResourceId

SLICE = 100  # resources looked at between two breaths of the loop
BREATH_S = 0.005
QUEUE_MAX = 256  # deaths whose resources are not all looked at yet; beyond it everybody is re-checked instead
SWEEP_REST_S = 1.0  # between two re-checks of everybody
TRIAL_S = 0.5  # how long the kernel may take to tell a death of our own
TRIALS_MAX = 3
TRIALS_AGAIN_S = 60.0  # a kernel with very many sockets to bury may have been late: it is given another chance

# Why we only poll; the values of a metric's label, closed.
OFF, UNTESTED, PERMISSION, UNSUPPORTED, NO_EVENT = "off", "untested", "permission", "kernel", "no_event"

_EVERYBODY = Gone("", 0)

log = logging.getLogger(__name__)


class KernelMetrics(Protocol):
    """What is counted here."""

    def kernel_watch(self, active: bool, why_not: str) -> None: ...
    def kernel_events(self, count: int) -> None: ...
    def kernel_overrun(self) -> None: ...


class _Work:
    """Resources still to be looked at: `ids` gives one, or None for one that was not meant."""

    __slots__ = ("again", "at", "ids")

    def __init__(self, ids: Iterator[ResourceId | None], at: float) -> None:
        self.ids = ids
        self.at = at  # clock seconds of the event
        self.again = False  # the same was told meanwhile


class KernelEvents:
    """Turn deaths of listeners into checks. `active` once a listener of our own was heard to die; else `why_not`."""

    def __init__(self, environment: Environment, monitors: Watching, metrics: KernelMetrics) -> None:
        self._listeners = environment.listeners
        self._clock: Clock = environment.clock
        self._is_local = environment.network.is_local
        self._monitors = monitors
        self._metrics = metrics
        self._events: ListenerEvents | None = None
        self._expected: set[Gone] = set()  # deaths of our own
        self._trials = 0
        self._trial: Timer | None = None
        self._queue: dict[Gone, _Work] = {}
        self._breath: Timer | None = None
        self._sweep: Timer | None = None
        self._rested_at = 0.0
        self.active = False
        self.why_not = UNTESTED

    def __repr__(self) -> str:
        state = "active" if self.active else f"inactive ({self.why_not})"
        return f"<KernelEvents {state}, {len(self._queue)} in work>"

    # --- on and off ---

    def start(self) -> None:
        """Begin to listen and try it out; returns at once and never raises for what the kernel lacks."""
        if self._listeners is None:
            self._give_up(OFF, "switched off")
            return
        if self.why_not == UNTESTED:
            self._metrics.kernel_watch(False, UNTESTED)
        try:
            self._trials = 0
            self._events = self._listeners.open(self._gone, self._overrun)
            self._try_out()
        except OSError as error:
            why = PERMISSION if error.errno in (errno.EPERM, errno.EACCES) else UNSUPPORTED
            self._give_up(why, error.strerror or str(error))

    def close(self) -> None:
        """Stop listening and looking. Idempotent."""
        if self._events is not None:
            self._events.close()
            self._events = None
        for timer in (self._trial, self._breath, self._sweep):
            if timer is not None:
                timer.cancel()
        self._trial = self._breath = self._sweep = None
        self._queue.clear()

    def _try_out(self) -> None:
        assert self._listeners is not None
        self._trials += 1
        self._expected = set(self._listeners.try_out())
        self._trial = self._clock.call_at(self._clock.now() + TRIAL_S, self._judge)

    def _judge(self) -> None:
        """Judge an attempt whose time is up: if it was our own loop that was late, the word lies there."""
        self._trial = None
        if self._events is not None:
            self._events.drain()
        if self._events is None or self.active:
            return
        if self._trials < TRIALS_MAX:
            try:
                self._try_out()
            except OSError as error:
                self._give_up(UNSUPPORTED, error.strerror or str(error))
            return
        self._give_up(NO_EVENT, f"no word of {TRIALS_MAX} listeners of our own within {TRIAL_S:g} s each")
        self._trial = self._clock.call_at(self._clock.now() + TRIALS_AGAIN_S, self.start)

    def _activate(self) -> None:
        self.active, self.why_not = True, ""
        self._metrics.kernel_watch(True, "")
        log.info("the kernel tells when a listener dies: its resources are checked at once")

    def _give_up(self, why_not: str, words: str) -> None:
        self.close()
        if self.why_not == why_not:
            return
        self.active, self.why_not = False, why_not
        self._metrics.kernel_watch(False, why_not)
        log.info("the kernel does not tell when a listener dies (%s): failures are found by polling", words)

    # --- what the kernel tells ---

    def _gone(self, told: list[Gone]) -> None:
        now = self._clock.now()
        own = self._expected.intersection(told)
        if own:
            self._hear_own(own)
        self._metrics.kernel_events(len(told) - len(own))
        for gone in dict.fromkeys(told):
            if gone not in own:
                self._look_into(gone, now)

    def _hear_own(self, own: set[Gone]) -> None:
        self._expected -= own
        if not self._expected and not self.active:
            if self._trial is not None:
                self._trial.cancel()
                self._trial = None
            self._activate()

    def _look_into(self, gone: Gone, now: float) -> None:
        places = self._monitors.places
        near = (*places.at(gone), *places.candidates(gone))
        if near:
            self._begin(gone, _Work(self._meant(gone, near), now))

    def _meant(self, gone: Gone, near: Iterable[ResourceId]) -> Iterator[ResourceId | None]:
        for id in near:
            yield id if any(concerns(gone, place, self._is_local) for place in self._places(id)) else None

    def _local(self) -> Iterator[ResourceId | None]:
        for id in self._monitors.ids():
            yield id if any(self._is_local(address) for address, _ in self._places(id)) else None

    def _places(self, id: ResourceId) -> Iterator[Place]:
        plan, reading = self._monitors.plan(id), self._monitors.reading(id)
        return iter(()) if plan is None else places_asked(plan, None if reading is None else reading.result)

    # --- a slice at a time ---

    def _overrun(self) -> None:
        self._metrics.kernel_overrun()
        self._look_at_everybody()

    def _look_at_everybody(self) -> None:
        now = self._clock.now()
        if now >= self._rested_at:
            self._begin(_EVERYBODY, _Work(self._local(), now))
        elif self._sweep is None:
            self._sweep = self._clock.call_at(self._rested_at, self._sweep_again)

    def _sweep_again(self) -> None:
        self._sweep = None
        self._look_at_everybody()

    def _begin(self, key: Gone, work: _Work) -> None:
        """Do the first slice now, ahead of whatever waits, and queue the rest."""
        if key in self._queue:
            self._queue[key].again = True
        elif not self._go_through(key, work):
            if len(self._queue) < QUEUE_MAX or key == _EVERYBODY:
                self._queue[key] = work
                self._breathe()
            else:
                self._look_at_everybody()

    def _breathe(self) -> None:
        if self._queue and self._breath is None:
            self._breath = self._clock.call_at(self._clock.now() + BREATH_S, self._go_on)

    def _go_on(self) -> None:
        """Do one slice of the oldest work; what was told again of it meanwhile begins anew."""
        self._breath = None
        key, work = next(iter(self._queue.items()))
        if self._go_through(key, work):
            del self._queue[key]
            if work.again:
                self._look_at_everybody() if key == _EVERYBODY else self._look_into(key, self._clock.now())
        self._breathe()

    def _go_through(self, key: Gone, work: _Work) -> bool:
        """Look at one slice. Returns whether that was all."""
        monitors, suspected = self._monitors, key != _EVERYBODY
        for _ in range(SLICE):
            try:
                id = next(work.ids)
            except StopIteration:
                if key == _EVERYBODY:
                    self._rested_at = self._clock.now() + SWEEP_REST_S
                return True
            reading = None if id is None else monitors.reading(id)
            if id is not None and (reading is None or reading.alive is not False):  # a dead one's death is no news
                monitors.verify(id, Trigger.KERNEL, at=work.at, suspected=suspected)
        return False
