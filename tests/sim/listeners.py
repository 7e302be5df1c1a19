"""The in-memory `ListenerWatch`: a listener of the wire that is closed on this machine is told a moment later."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from itertools import count

from probe.environment import Environment, Gone
from tests.sim.loop import VirtualLoop, current_loop
from tests.sim.machine import Machine
from tests.sim.network import Host
from tests.sim.sockets import fail
from tests.sim.wire import Place, Wire

EVENT_S = 0.0003  # measured on a real kernel: from SIGKILL to the event
QUEUE_MAX = 256  # events that are kept for a program that does not read
FIRST_OWN_PORT = 60_000


class SimListeners:
    """The kernel's word on this machine's listeners; the switches are what can be wrong with it."""

    def __init__(self, wire: Wire, host: Host, loop: VirtualLoop) -> None:
        self.wire = wire
        self.host = host
        self.loop = loop
        self.error = 0  # of opening
        self.mute = False  # joins, and never says a word
        self.neglected = False  # the loop has no time to read it: only `drain` does
        self.open_now: list[SimListenerEvents] = []
        self._ports = count(FIRST_OWN_PORT)

    def open(self, on_gone: Callable[[list[Gone]], None], on_overrun: Callable[[], None]) -> SimListenerEvents:
        """Begin to tell. Raises OSError with the `error` that is set."""
        if self.error:
            raise fail(self.error)
        return SimListenerEvents(self, on_gone, on_overrun)

    def try_out(self) -> tuple[Gone, ...]:
        """Listen and close on both loopback addresses. Raises OSError(EMFILE) when there is no descriptor left."""
        if not self.host.descriptors_max:
            raise fail(errno.EMFILE)
        tried = tuple(Gone(address, next(self._ports)) for address in ("127.0.0.1", "::1"))
        for place in tried:
            self.wire.listen((place.address, place.port), lambda: None).close()
        return tried


class SimListenerEvents:
    """An open source: a bounded queue, read by a callback of the loop."""

    def __init__(
        self, watch: SimListeners, on_gone: Callable[[list[Gone]], None], on_overrun: Callable[[], None]
    ) -> None:
        self._watch = watch
        self._on_gone = on_gone
        self._on_overrun = on_overrun
        self._queue: list[Gone] = []
        self._overrun = False
        self._scheduled = False
        self._closed = False
        watch.open_now.append(self)
        watch.wire.on_gone.append(self._closed_at)

    def drain(self) -> None:
        """Tell what has come up to now."""
        self._watch.wire.timeline.catch_up(self._watch.loop.time())
        self._tell()

    def overflow(self) -> None:
        """Lose events, as a kernel does whose queue is full."""
        self._overrun = True
        self._schedule()

    def close(self) -> None:
        """Tell nothing more. Idempotent."""
        if not self._closed:
            self._closed = True
            self._watch.open_now.remove(self)
            self._watch.wire.on_gone.remove(self._closed_at)

    def _closed_at(self, place: Place) -> None:
        if isinstance(place, tuple) and self._watch.host.is_local(place[0]) and not self._watch.mute:
            self._watch.wire.timeline.call_later(EVENT_S, self._arrive, Gone(place[0], place[1]))

    def _arrive(self, gone: Gone) -> None:
        if len(self._queue) < QUEUE_MAX:
            self._queue.append(gone)
        else:
            self._overrun = True
        self._schedule()

    def _schedule(self) -> None:
        if not (self._scheduled or self._closed or self._watch.neglected):
            self._scheduled = True
            self._watch.loop.call_soon(self._tell)

    def _tell(self) -> None:
        self._scheduled = False
        queue, self._queue = self._queue, []
        overrun, self._overrun = self._overrun, False
        if queue and not self._closed:
            self._on_gone(queue)
        if overrun and not self._closed:
            self._on_overrun()


def with_listeners(environment: Environment, machine: Machine) -> tuple[Environment, SimListeners]:
    """Give a simulated environment the kernel's word on its listeners."""
    listeners = SimListeners(machine.wire, machine.host, current_loop())
    return dataclasses.replace(environment, listeners=listeners), listeners
