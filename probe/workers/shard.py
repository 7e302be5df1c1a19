"""One worker as the main process sees it: its process, what it watches, and what it has yet to be told.

Rules:
1. The process is started with its first watch. One that has died is started again, after `RESTART_S` and then ever
   later while it does not stay; it gets every watch anew, with the level that is believed, and asks at once.
2. A worker that says nothing for `HUNG_S` of time that the main process lived through itself is killed; so is one that
   speaks and does not listen, once `UNREAD_BYTES_MAX` wait for it.
3. Plans are made into frames only as fast as the worker takes them; until a watch's turn has come, what happens to it
   changes nothing but what it will be told then.
4. Nothing that happens to a worker is told of a service.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from probe.environment import Clock, Timer
from probe.environment.channel import Worker
from probe.lifecycle.events import Trigger
from probe.monitor.cache import Reading
from probe.monitor.plan import ProbePlan
from probe.values import Incarnation
from probe.workers import wire

RESTART_S = 0.2
RESTART_S_MAX = 30.0
STEADY_S = 60.0  # a worker that lived for so long is started again at once
HUNG_S = 12.0  # after 10 s its own watchdog has logged where it is stuck
START_S_MAX = 60.0  # until its first word
GONE_S = 10.0  # before we are called unfit for it
WAITING_BYTES_MAX = 128 * 1024  # some 200 plans
UNREAD_BYTES_MAX = 8 * 1024 * 1024  # the largest frame, and several words for each of 100,000 watches

HUNG_UP = "it hung up"

State = Literal["starting", "running", "gone"]
STATES: tuple[State, ...] = ("starting", "running", "gone")

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Shadow:
    """A watch that is a worker's, as the main process knows it."""

    serial: int
    plan: ProbePlan
    incarnation: Incarnation
    alive: bool | None
    confirming: bool
    shard: Shard
    reading: Reading | None = None
    word: int = 0
    begun: bool = False  # the worker has been told of it


class Shard:
    """The worker of that number. `start` makes its process, `receive` takes its news, `changed` is told of its state.

    `refuse` gets a watch that no frame can hold.
    """

    def __init__(
        self,
        number: int,
        clock: Clock,
        start: Callable[[], Worker],
        receive: Callable[[Shard, wire.News], None],
        changed: Callable[[], None],
        refuse: Callable[[Shadow], None],
    ) -> None:
        self.number = number
        self.shadows: dict[int, Shadow] = {}
        self.ending: dict[int, ProbePlan] = {}  # watches that ended, until the worker has told their last counts
        self.state: State = "gone"
        self.restarts = 0
        self.illness = ""  # why most of its rounds cannot tell
        self.buried = asyncio.Event()  # it has no process
        self.buried.set()
        self._clock = clock
        self._start = start
        self._receive = receive
        self._changed = changed
        self._refuse = refuse
        self._own = ""
        self._worker: Worker | None = None
        self._frames = wire.Frames()
        self._owed: OrderedDict[int, Shadow] = OrderedDict()  # whose plan the worker has yet to be told
        self._condemned = ""  # why it was killed
        self._death = ""
        self._started = False
        self._lived_s = self._silent_s = self._gone_s = 0.0
        self._pause_s = RESTART_S
        self._timer: Timer | None = None
        self._closing = False

    def __repr__(self) -> str:
        return f"<Shard {self.number} {self.state}, {len(self.shadows)} watches, {len(self._owed)} yet to be told>"

    @property
    def started(self) -> bool:
        """Whether there has been anything for it to do."""
        return self._started

    @property
    def fault(self) -> str:
        """Why we are unfit because of it; empty as it should be."""
        if self.illness:
            return self.illness
        if self._started and self.state != "running" and self._gone_s > GONE_S:
            why = f" ({self._death})" if self._death else ""
            return f"worker {self.number} of ours has been away for {self._gone_s:.0f} s{why}"
        return ""

    # --- what it is to do ---

    def confirm_by(self, own: str) -> None:
        """Have it ask a listener of ours before it tells failures."""
        self._own = own
        self._say(wire.Confirm(own))

    def begin(self, shadow: Shadow) -> None:
        """Give it a watch."""
        shadow.shard, shadow.begun = self, False
        self.shadows[shadow.serial] = shadow
        self._owe(shadow)
        if not self._started:
            self._started = True
            self._bear()

    def replan(self, shadow: Shadow) -> None:
        """Have it go on by the shadow's plan."""
        if shadow.begun:
            self._owe(shadow)

    def go_on(self, shadow: Shadow) -> None:
        """Tell it what the core believes by now."""
        if shadow.begun:
            self._say(wire.GoOn(shadow.serial, shadow.alive, shadow.confirming, shadow.word))

    def ask(self, shadow: Shadow, trigger: Trigger, at: float | None, *, suspected: bool, anew: bool) -> None:
        """Have it check now; one that it has not begun with it checks at once anyway."""
        if shadow.begun:
            self._say(wire.Ask(shadow.serial, trigger, at, suspected, anew))

    def end(self, shadow: Shadow) -> None:
        """Take a watch away from it."""
        self._owed.pop(shadow.serial, None)
        if self.shadows.pop(shadow.serial, None) is not None and shadow.begun:
            self.ending[shadow.serial] = shadow.plan
            self._say(wire.End(shadow.serial))

    def _owe(self, shadow: Shadow) -> None:
        self._owed[shadow.serial] = shadow
        self._pay()

    def _pay(self) -> None:
        """Tell plans, as far as there is room (rule 3)."""
        worker = self._worker
        while self._owed and worker is not None and worker.channel.waiting < WAITING_BYTES_MAX:
            _, shadow = self._owed.popitem(last=False)
            try:
                worker.channel.send(wire.frame(_replan_of(shadow) if shadow.begun else _begin_of(shadow)))
                shadow.begun = True
            except wire.Oversize:
                self._refuse(shadow)

    def _say(self, command: wire.Command) -> None:
        if self._worker is None or self._condemned:
            return
        self._worker.channel.send(wire.frame(command))
        if self._worker.channel.waiting > UNREAD_BYTES_MAX:
            self._condemn(f"it does not take what it is told: {UNREAD_BYTES_MAX} bytes wait")

    # --- what it says ---

    def _received(self, worker: Worker, data: bytes) -> None:
        if self._worker is not worker or self._condemned:
            return
        self._silent_s = 0.0
        if self.state == "starting":
            self._become("running")
        try:
            for body in self._frames.split(data):
                self._receive(self, wire.read_news(body))
        except (wire.Garbage, ValueError) as error:
            self._condemn(f"it said what cannot be understood: {error}")

    # --- its life ---

    def lived(self, seconds: float) -> None:
        """Take note that so much time has passed that the main process has lived through."""
        if not self._started:
            return
        self._silent_s += seconds
        if self.state == "running":
            self._gone_s = 0.0
            self._lived_s += seconds
            if self._lived_s >= STEADY_S:
                self._pause_s = RESTART_S
        else:
            self._gone_s += seconds
        if self._condemned:
            self.kill()  # it hung up, and is still there
        elif self._worker is not None and self._silent_s > (HUNG_S if self.state == "running" else START_S_MAX):
            self._condemn(f"no sign of life for {self._silent_s:.0f} s")

    def close(self) -> None:
        """Have it end: the end of the channel is the word for that. It has ended when `buried` is set. Idempotent."""
        self._closing = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._worker is not None:
            self._worker.channel.close()

    def kill(self) -> None:
        """End it at once."""
        if self._worker is not None:
            self._worker.process.signal_group(signal.SIGKILL)

    def _bear(self) -> None:
        self._timer = None
        try:
            worker = self._worker = self._start()
        except Exception as error:  # whatever it is: not to try again would leave its resources unasked
            if not isinstance(error, OSError):
                log.exception("a mistake in looksalive: worker %d is not started", self.number)
            self._death = f"it cannot be started: {getattr(error, 'strerror', None) or error}"
            self._start_later()
            return
        self.buried.clear()
        self._frames = wire.Frames()
        self._lived_s = self._silent_s = 0.0
        self._become("starting")
        worker.channel.open(partial(self._received, worker), partial(self._condemn, HUNG_UP), self._pay)
        if self._own:
            self._say(wire.Confirm(self._own))
        for shadow in self.shadows.values():
            shadow.begun = False
        self._owed = OrderedDict(self.shadows)
        self._pay()
        worker.process.on_exit(partial(self._died, worker))

    def _condemn(self, why: str) -> None:
        """Give it up; it is dead once its process says so. One that hangs up is ending, and shall say how."""
        if self._worker is None or self._condemned or self._closing:
            return
        self._condemned = why
        self._become("gone")
        self._worker.channel.close()
        if why != HUNG_UP:
            self.kill()

    def _died(self, worker: Worker) -> None:
        if self._worker is not worker:
            return
        worker.channel.close()
        self._death = worker.process.exit_text if self._condemned in ("", HUNG_UP) else self._condemned
        self._condemned = ""
        self._worker = None
        self.illness = ""
        self.ending.clear()
        self._owed.clear()
        for shadow in self.shadows.values():
            shadow.begun = False
        self.buried.set()
        self._become("gone")
        if not self._closing:
            self._start_later()

    def _start_later(self) -> None:
        """Have it started (again) in a while; what it watched keeps its last reading, which grows old meanwhile."""
        log.warning(
            "worker %d is gone (%s): its %d resources keep their last answers; it is started again in %.1f s",
            self.number,
            self._death,
            len(self.shadows),
            self._pause_s,
        )
        self.restarts += 1
        self._changed()
        self._timer = self._clock.call_at(self._clock.now() + self._pause_s, self._bear)
        self._pause_s = min(2 * self._pause_s, RESTART_S_MAX)

    def _become(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._changed()


def _plan_text(plan: ProbePlan) -> wire.PlanText:
    server = plan.targets[0].server
    assert server is not None, f"{plan.id} asks no virtual server"
    return wire.PlanText(server, plan.group_address, plan.edition, plan.period_s, plan.fast_s, plan.rise, plan.fall)


def _begin_of(shadow: Shadow) -> wire.Begin:
    id = shadow.plan.id
    return wire.Begin(
        shadow.serial,
        id.group,
        id.name,
        shadow.incarnation,
        shadow.alive,
        shadow.confirming,
        shadow.word,
        _plan_text(shadow.plan),
    )


def _replan_of(shadow: Shadow) -> wire.Replan:
    return wire.Replan(shadow.serial, _plan_text(shadow.plan))
