"""The engine: the only way to a service. It holds the sockets in flight, their number, their deadlines and the poller.

Rules:
1. At most `max_in_flight` dials hold a socket; what comes beyond waits its turn, first in, first out. Waiting is never
   held against a service: a dial's clock starts when its socket is opened.
2. An answer is read when the poller says so, in batches; nothing here is a task, a stream or a timer of its own.
3. A bug of ours inside a dial is that dial's `probe_internal` (unknown), logged once; the engine goes on.
4. What several dials need is done step by step for all of them: open all, connect all; read all, judge all, close all.
   The kernel's code and ours take turns rarely then, and each finds itself in the processor's caches.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from probe.environment import Environment
from probe.monitor.connection import Connection
from probe.monitor.dial import Dial
from probe.monitor.flights import Flights
from probe.monitor.sharing import Shared
from probe.monitor.spares import Spares
from probe.monitor.stall import Stall
from probe.monitor.target import Result, Target
from probe.monitor.time_waits import TimeWaits
from probe.monitor.wheel import Wheel
from probe.values import Reason, Stage, Verdict

READ_TOGETHER = 32  # few enough that the first of them is not timed late
READ_BYTES = 64 * 1024  # of one socket at a time; the rest is told again by the poller
WAITING_MAX = 1_000_000
BUGS_LOGGED_MAX = 64

log = logging.getLogger(__name__)


def untold(lateness_s: float) -> None:
    """Take a lateness that nobody counts."""
    del lateness_s


class Engine:
    """Dial targets and tell results. Raises RuntimeError on an event loop that cannot carry the poller.

    `max_in_flight` bounds the sockets open at once; `loop_lag` is told each lateness of the loop's ticker in seconds.
    Without `time_waits` every connection that the peer has not closed is reset. With `explains` every dialogue is kept
    whole, its goodbye too, also when all is well (`Dial.moments`); otherwise a result has that of a failure.
    """

    __slots__ = ("_bugs", "_filling", "_gathered", "_waiting", "batch", "buffer", "burying", "clock", "dead", "dials",
                 "explains", "flights", "in_flight", "looks", "max_in_flight", "network", "poller", "shared", "spares",
                 "stall", "time_waits", "view", "wheel")  # fmt: skip

    def __init__(
        self,
        environment: Environment,
        *,
        max_in_flight: int,
        loop_lag: Callable[[float], None] = untold,
        time_waits: TimeWaits | None = None,
        explains: bool = False,
    ) -> None:
        self.clock = environment.clock
        self.network = environment.network
        self.time_waits = time_waits
        self.explains = explains
        self.max_in_flight = max_in_flight
        self.shared = Shared()
        self.spares = Spares(self.network, max_in_flight)
        self.in_flight = 0
        self.looks = 0  # rounds that wait for something else than a socket (`observing.py`)
        self.dials: dict[int, Connection] = {}  # by descriptor
        self.batch = 0
        self.buffer = bytearray(READ_BYTES)
        self.view = memoryview(self.buffer)
        self.poller = self.network.poller(self._ready)
        self.stall = Stall(self.clock, lambda: self.in_flight > 0 or self.looks > 0, loop_lag)
        self.wheel = Wheel(self.clock, self._look, self.stall.late, self._end)
        self.flights = Flights(self)
        self._gathered: list[Dial] = []  # in this pass of the wheel, to be started together
        self.burying = False  # connections that are over are closed together, a moment later
        self.dead: list[Connection] = []
        self._waiting: deque[Dial] = deque()
        self._filling = False
        self._bugs: set[str] = set()

    def __repr__(self) -> str:
        return f"<Engine {self.in_flight} of {self.max_in_flight} in flight, {len(self._waiting)} waiting>"

    @property
    def waiting(self) -> int:
        """How many dials wait for their turn."""
        return len(self._waiting)

    def dial(
        self,
        target: Target,
        on_result: Callable[[Result], None],
        on_closed: Callable[[float], None] | None = None,
    ) -> Dial:
        """Ask a target (one with a numeric address), now or as soon as there is room.

        `on_result` is called once, at the verdict, possibly before this returns. `on_closed` is called once the
        connection is over, with the seconds that the goodbye took. Neither is called after `cancel`.
        """
        dial = Dial(self, target, on_result, on_closed)
        if self.in_flight < self.max_in_flight:
            self._admit(dial)
            if self.wheel.firing:
                self._gathered.append(dial)
            else:
                self._start((dial,))
        elif len(self._waiting) < WAITING_MAX:
            self._waiting.append(dial)
        else:
            full = Verdict(Reason.PROBER_DESCRIPTORS, f"{WAITING_MAX} dials wait already", Stage.CONNECT)
            dial = Dial(self, replace(target, obstacle=full), on_result, on_closed)
            self._start((dial,))
        return dial

    def start_in_slot(self, dial: Dial) -> None:
        """Start a dial in a slot that is taken for it already."""
        dial.slot = True
        self._start((dial,))

    def release(self, slots: int = 1) -> None:
        """Give slots back and let those start that waited for them."""
        self.in_flight -= slots
        if not self._waiting or self._filling:
            return  # a start that fails at once comes back here: the loop below goes on, without growing the stack
        self._filling = True
        try:
            while self._waiting and self.in_flight < self.max_in_flight:
                dial = self._waiting.popleft()
                if not dial.closed:
                    self._admit(dial)
                    self._start((dial,))
        finally:
            self._filling = False

    def bug(self, error: Exception) -> None:
        """Log a bug of ours, once for each kind and place."""
        trace, place = error.__traceback__, ""
        while trace is not None:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
            trace = trace.tb_next
        kind = f"{type(error).__name__} at {place}"
        if kind not in self._bugs and len(self._bugs) < BUGS_LOGGED_MAX:
            self._bugs.add(kind)
            log.error("a probe failed by a fault of our own; further ones like it are not logged", exc_info=error)

    def close(self) -> None:
        """Close every socket, tell nobody, and stop."""
        self._waiting.clear()
        self.flights.close()
        for dial in (*self._gathered, *self.dials.values()):
            dial.cancel()
        self._gathered.clear()
        self.spares.close()
        self.wheel.close()
        self.stall.close()
        self.poller.close()

    def _admit(self, dial: Dial) -> None:
        self.in_flight += 1
        dial.slot = True

    def _look(self) -> None:
        """Start what the wheel's pass has gathered, then see to the answers that have come meanwhile."""
        self._start_gathered()
        self.flights.see_to_earlier()
        self.poller.drain()
        self._start_gathered()  # where an answer led to the next question at once

    def _end(self) -> None:
        """Look, and leave nothing to a look that may not come."""
        self._look()
        self.flights.see_to_last()
        self._start_gathered()  # who waited for a slot may have led to another one

    def _start_gathered(self) -> None:
        self.flights.depart()
        while self._gathered:
            gathered, self._gathered = self._gathered, []
            self._start(gathered)

    def _start(self, dials: Sequence[Dial]) -> None:
        now = self.clock.now()
        lost_s = self.stall.watch(now)
        for dial in dials:
            if not dial.closed:  # one that was gathered may have been called off
                try:
                    dial.open(now, lost_s)
                except Exception as error:  # noqa: BLE001 - rule 3
                    dial.broke(error)
        now = self.clock.now()
        for dial in dials:
            if not dial.closed:
                try:
                    dial.connect(now)
                except Exception as error:  # noqa: BLE001 - rule 3
                    dial.broke(error)

    def _ready(self, events: list[tuple[int, int]]) -> None:
        self.batch += 1
        flights = self.flights
        for at in range(0, len(events), READ_TOGETHER):
            together = events[at : at + READ_TOGETHER]
            if flights.aloft:
                together = flights.take(together)
            if together:
                self._take(together)

    def _take(self, events: list[tuple[int, int]]) -> None:
        dials, batch = self.dials, self.batch
        told = []
        for fd, mask in events:
            dial = dials.get(fd)
            # One that was opened during this batch has the descriptor of a closed one: the event is not its own.
            if dial is None or dial.born == batch:
                continue
            listens = dial.listens
            if listens:
                try:
                    dial.receive()
                except Exception as error:  # noqa: BLE001 - rule 3; what was read of the others is not lost
                    dial.broke(error)
                    continue
            told.append((dial, mask, listens))
        now = self.clock.now()
        self.burying = True
        try:
            for dial, mask, listens in told:
                try:
                    if dial.closed:
                        continue  # called off by what another one said
                    if listens:
                        dial.take(now)
                    else:
                        dial.ready(mask)
                except Exception as error:  # noqa: BLE001 - rule 3
                    dial.broke(error)
        finally:
            self.burying = False
            dead, self.dead = self.dead, []
            for connection in dead:
                connection.bury()
