"""Light rounds: the steady ones, where all there is to do is to see that a service says again what it has said before.

A dial is made for everything that can happen to one, and nearly always nothing does. So a watch whose level is alive
and calm is asked in a form that keeps no record of its own: what it needs stands in the watch (`flight.py`), all that
leave in one pass of the wheel share a deadline, and each step is done for all of them before the next (`engine.py`,
rule 4).

Rules:
1. A light round ends well or not at all. Whatever else it meets (an errno, an end, a silence, bytes that do not settle
   the matter at a glance) is handed over to a dial as it stands, which goes on from there by its own rules.
2. It gives back its slot and its descriptor like a dial, and is dialled like one where there is no room.
3. What it leaves behind is numbers; the reading is put together when somebody looks.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from probe.environment import READABLE
from probe.monitor.dial import Dial
from probe.monitor.errnos import verdict_of
from probe.monitor.flight import NONE, Departure, Flight
from probe.monitor.options import IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES, reset_on_close, rtt_us
from probe.monitor.wheel import NOWHERE
from probe.values import Reason, Stage

if TYPE_CHECKING:
    from probe.monitor.engine import Engine

TRIED_AFTER_S = 1e-4  # sooner there is no answer yet, not even a neighbour's
PROMPT_S = 1e-3  # what has answered within it is tried before the poller is asked to tell of it
READ_TOGETHER = 8  # before they are counted and closed: the answers of the next ones come meanwhile
KNOWN_BYTES_MAX = 512  # of an answer that is kept to be compared with the next; a longer one is judged each time

_MATCHED = Reason.MATCHED
_CONNECT = Stage.CONNECT
_EINPROGRESS = errno.EINPROGRESS


class Flights:
    """The light rounds of an engine. `landed` is told those that went well, and when."""

    __slots__ = ("_departed", "_engine", "_gathered", "aloft", "landed")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gathered: dict[float, Departure] = {}  # by time-out; they leave at the end of the wheel's pass
        self._departed: deque[Departure] = deque()  # not seen to yet
        self.aloft: dict[int, Flight] = {}  # those that the poller tells of, by descriptor
        self.landed: Callable[[list[Flight], float], None] = _nobody

    def __repr__(self) -> str:
        return f"<Flights {len(self.aloft)} aloft>"

    def add(self, flight: Flight) -> bool:
        """Let it leave with this pass of the wheel; False where there is no room, or no pass.

        While there is room no dial waits for it, so nothing is started and nobody told between `_open` and `_connect`.
        """
        engine = self._engine
        if engine.in_flight >= engine.max_in_flight or not engine.wheel.firing:
            return False
        engine.in_flight += 1
        departure = self._gathered.get(flight.timeout_s)
        if departure is None:
            departure = self._gathered[flight.timeout_s] = Departure(self, flight.timeout_s)
        departure.flights.append(flight)
        flight.departure = departure
        return True

    def call_off(self, flight: Flight) -> None:
        """Close at once and tell nothing. Nothing happens to one that is not under way."""
        departure = flight.departure
        if departure is None:
            return
        if departure is self._gathered.get(departure.timeout_s):
            departure.flights.remove(flight)
            flight.departure = None
        else:
            self._leave(flight)
            self.aloft.pop(flight.fd, None)
            flight.fd = NONE
            reset_on_close(flight.socket)
            flight.socket.close()
            del flight.socket
        self._engine.release()

    def give_way(self, flight: Flight) -> Dial | None:
        """Let a dial go on, since the answer is news by now; None where none is under way, or it is over at once."""
        departure = flight.departure
        if departure is not None and departure is self._gathered.get(departure.timeout_s):
            departure.flights.remove(flight)
            self._dial_instead(flight)
        elif departure is not None and flight.fd == NONE:
            self._arm(flight)
        return None if flight.departure is None else self._hand_over(flight)

    def close(self) -> None:
        """Close all."""
        for departure in list(self._gathered.values()):
            for flight in list(departure.flights):
                self.call_off(flight)
        for flight in [flight for departure in self._departed for flight in departure.flights]:
            self.call_off(flight)
        for flight in list(self.aloft.values()):
            self.call_off(flight)

    # --- the departure ---

    def depart(self) -> None:
        """Open and connect all that were gathered."""
        while self._gathered:
            gathered, self._gathered = self._gathered, {}
            for departure in gathered.values():
                self._open(departure)
                self._connect(departure)

    def _open(self, departure: Departure) -> None:
        engine = self._engine
        departure.lost_s = engine.stall.watch(engine.clock.now())
        open_socket = engine.spares.open
        opened = []
        for flight in departure.flights:
            try:
                connection = open_socket(flight.family, flight.source)
            except OSError:
                self._dial_instead(flight)
            else:
                flight.socket = connection
                opened.append(flight)
        departure.flights = opened

    def _connect(self, departure: Departure) -> None:
        engine = self._engine
        departure.left = len(departure.flights)
        departure.started = now = engine.clock.now()
        for flight in departure.flights:
            if flight.departure is not departure:
                continue  # called off by what another one met
            try:
                code = flight.socket.connect_ex(flight.address)
                if code and code != _EINPROGRESS:
                    self._hand_over(flight).conclude(verdict_of(code, _CONNECT))
                elif flight.opening:
                    self._say(flight, flight.opening)
            except Exception as error:  # noqa: BLE001 - the engine's rule 3
                dial = self._hand_over(flight) if flight.departure is departure else flight.asking
                if isinstance(dial, Dial):
                    dial.broke(error)
        if departure.left:
            engine.wheel.add(departure, now + departure.timeout_s)
            self._departed.append(departure)

    def _say(self, flight: Flight, opening: bytes) -> None:
        """Send what the peer waits for; where it does not go out whole, a dial has to."""
        try:
            sent = flight.socket.send(opening)
        except BlockingIOError:
            self._hand_over(flight).opened(self._engine.clock.now())
            return
        except OSError:
            sent = 0  # the kernel has told why, and does so once
        if sent == len(opening):
            return
        flight.socket.close()  # broken, or half of it went: the whole is said again on another connection
        del flight.socket
        self._leave(flight)
        self._dial_instead(flight)

    def _dial_instead(self, flight: Flight) -> None:
        """Ask by a dial from the start, in the slot that is taken already; it says what is in the way."""
        engine = self._engine
        flight.departure = None
        dial = flight.asking = Dial(engine, flight.aim, flight.answered, flight.parted)
        engine.start_in_slot(dial)

    # --- the landing ---

    def take(self, events: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Read and judge those that are light ones; return the events of the others."""
        aloft, others, ready = self.aloft, [], []
        for event in events:
            flight = aloft.get(event[0])
            if flight is None:
                others.append(event)
            else:
                ready.append(flight)
        while ready:
            del ready[: self._read(ready) or 1]  # who has nothing after all is told of again
        return others

    def see_to_earlier(self) -> None:
        """Read from those that have left before the last departure: their answer may be there by now."""
        while len(self._departed) > 1:
            self._see_to(self._departed.popleft())

    def see_to_last(self) -> None:
        """Read from the last ones too, and have the poller tell of whom is not done then."""
        while self._departed:
            self._see_to(self._departed.popleft())

    def _see_to(self, departure: Departure) -> None:
        tries = self._engine.clock.now() - departure.started >= TRIED_AFTER_S
        ready = []
        for flight in departure.flights:
            if flight.departure is departure and flight.fd == NONE:
                if tries and flight.prompt:
                    ready.append(flight)
                else:
                    self._arm(flight)
        while ready:
            read = self._read(ready)
            if not read:  # not even after the others were counted and closed, which takes a while
                ready[0].prompt = False
                self._arm(ready[0])
            del ready[: read or 1]

    def _arm(self, flight: Flight) -> None:
        fd = flight.socket.fileno()
        try:
            self._engine.poller.register(fd, READABLE)
        except OSError as error:
            self._hand_over(flight).broke(error)
        else:
            flight.fd = fd
            self.aloft[fd] = flight

    def _read(self, flights: list[Flight]) -> int:
        """Judge what has come, of a few or until one has nothing yet; return of how many."""
        engine = self._engine
        buffer = engine.buffer
        landed: list[Flight] = []
        odd: list[tuple[Dial | None, bytes | Exception]] = []
        read = 0
        for flight in flights[:READ_TOGETHER]:
            read += 1
            if flight.departure is None:
                continue  # called off, or a dial's by now: what comes is not ours to read
            connection, known = flight.socket, flight.known
            try:
                size = connection.recv_into(buffer)
                if size and ((size == len(known) and buffer.startswith(known)) or self._is_good(flight, size)):
                    flight.connect_s = rtt_us(connection.getsockopt(IPPROTO_TCP, TCP_INFO, TCP_INFO_BYTES))[0] * 1e-6
                    landed.append(flight)
                else:
                    what = bytes(engine.view[:size])
                    odd.append((self.give_way(flight), what))  # now: who else makes it a dial's does not know of this
            except BlockingIOError:
                read -= 1
                break
            except Exception as error:  # noqa: BLE001 - the engine's rule 3
                odd.append((self.give_way(flight), error))
        if landed:
            self._land(landed)
        for dial, arrived in odd:
            if dial is not None and not dial.closed:
                _go_on(dial, arrived)
        return read

    def _is_good(self, flight: Flight, size: int) -> bool:
        data = bytes(self._engine.view[:size])
        verdict = flight.aim.check.glance(data)
        if verdict is None or verdict.reason is not _MATCHED or verdict.stage is not flight.shape[-1]:
            return False
        shared = self._engine.shared
        flight.verdict = shared.verdict(verdict)
        flight.known = shared.answer(data) if size <= KNOWN_BYTES_MAX else b""
        return True

    def _land(self, landed: list[Flight]) -> None:
        engine, now, aloft = self._engine, self._engine.clock.now(), self.aloft
        for flight in landed:
            departure = flight.departure
            assert departure is not None
            departure.left -= 1
            if not departure.left:
                engine.wheel.cancel(departure)
            flight.departure = None
            flight.started, flight.ended = departure.started, now
            took_s = now - departure.started
            if flight.connect_s > took_s:
                flight.connect_s = took_s
            if flight.fd != NONE:
                del aloft[flight.fd]
                flight.prompt = took_s < PROMPT_S
        self.landed(landed, now)
        if engine.time_waits is None:
            may_wait = [False] * len(landed)
        else:
            may_wait = engine.time_waits.take_each([flight.address for flight in landed], now)
        reset = engine.spares.reset
        for flight, waits in zip(landed, may_wait, strict=True):
            connection = flight.socket
            del flight.socket
            fd, flight.fd = flight.fd, NONE
            if waits:
                connection.close()
                continue
            if fd != NONE:
                engine.poller.unregister(fd)  # nobody may be told of the socket's next connection
            reset(connection, flight.family, flight.source)
        engine.release(len(landed))

    def _leave(self, flight: Flight) -> Departure:
        """Count one out of its departure, and return that."""
        departure, flight.departure = flight.departure, None
        assert departure is not None, "it is under way"
        departure.left -= 1
        if not departure.left and departure.tick != NOWHERE:
            self._engine.wheel.cancel(departure)
        return departure

    # --- what a dial goes on with ---

    def overdue(self, departure: Departure) -> None:
        """Let dials judge the deadline of those that are still under way; each is due in the wheel and counts there."""
        for flight in departure.flights:
            if flight.departure is departure:
                self._hand_over(flight)

    def _hand_over(self, flight: Flight) -> Dial:
        """Make the dial that goes on where a light round is."""
        departure = self._leave(flight)
        dial = flight.asking = Dial(self._engine, flight.aim, flight.answered, flight.parted)
        listening = self.aloft.pop(flight.fd, None) is not None
        flight.fd = NONE
        connection = flight.socket
        del flight.socket
        try:
            dial.step_in(connection, departure.started, departure.lost_s, listening=listening)
        except Exception as error:  # noqa: BLE001 - the engine's rule 3
            dial.broke(error)
        return dial


def _go_on(dial: Dial, arrived: bytes | Exception) -> None:
    """Let a dial take what was read for it."""
    try:
        dial.take_over(arrived)
    except Exception as error:  # noqa: BLE001 - the engine's rule 3
        dial.broke(error)


def _nobody(flights: list[Flight], now: float) -> None:
    """Be told by an engine that nobody watches with."""
    del flights, now
