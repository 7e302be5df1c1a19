"""Scripted SMTP, POP3, IMAP and HTTP servers on the wire, with faults that are switched while they run.

A server is another program: it lives in the timeline, not in the loop under test, and goes on while that one stalls.
"""

from __future__ import annotations

import errno
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from tests.sim.wire import Endpoint, Listener, Place, Wire

VISITS_KEPT_MAX = 16
VISIT_BYTES_MAX = 4096
ENDLESS_PIECE = b"2" * 8192
DRIP_S = 1.0


class Fault(Enum):
    """What is wrong with a server, for connections made from now on."""

    NONE = auto()
    REFUSE = auto()  # nobody listens
    BLACKHOLE = auto()  # packets to it are dropped
    SILENT = auto()  # accepts and says nothing
    RESET_BEFORE = auto()  # resets instead of greeting
    RESET_AFTER = auto()  # greets, then resets
    EOF_BEFORE = auto()  # closes instead of greeting
    EOF_WITHIN = auto()  # closes in the middle of the greeting's line
    DRIP = auto()  # one byte a second
    ENDLESS = auto()  # a line that never ends, as fast as it is read
    WRONG = auto()  # greets as another protocol
    DECLINE = auto()  # 554, -ERR, BYE, 503
    DELAY = auto()  # right, after `delay_s`


DEAF = frozenset({Fault.SILENT, Fault.DRIP, Fault.ENDLESS, Fault.DELAY})  # hears no command (before its greeting)

GREETING = {
    "smtp": b"220 sim.example ESMTP ready\r\n",
    "lmtp": b"220 sim.example LMTP ready\r\n",
    "pop3": b"+OK ready <1@sim.example>\r\n",
    "imap": b"* OK [CAPABILITY IMAP4rev1] ready\r\n",
    "http": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
}
DECLINED = {
    "smtp": b"554 no service here\r\n",
    "lmtp": b"554 no service here\r\n",
    "pop3": b"-ERR unavailable\r\n",
    "imap": b"* BYE unavailable\r\n",
    "http": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}
WRONG = {
    "smtp": b"+OK ready\r\n",
    "lmtp": b"+OK ready\r\n",
    "pop3": b"220 ready\r\n",
    "imap": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http": b"220 ready\r\n",
}


def answer(protocol: str, line: bytes) -> tuple[bytes, bool]:
    """Return the reply to one command line and whether the server closes after it."""
    words = line.split() or [b""]
    tag, quits = words[0], words[0].upper() == b"QUIT"
    if protocol in {"smtp", "lmtp"}:
        return (b"221 2.0.0 bye\r\n", True) if quits else (b"250 sim.example\r\n", False)
    if protocol == "pop3":
        return b"+OK\r\n", quits
    if words[-1].upper() == b"LOGOUT":
        return b"* BYE bye\r\n" + tag + b" OK done\r\n", True
    return tag + b" OK done\r\n", False


@dataclass
class Visit:
    """One connection as the server saw it."""

    source: str
    at: float
    received: bytearray = field(default_factory=bytearray)


class _Session:
    """One accepted connection."""

    def __init__(self, server: Server, endpoint: Endpoint) -> None:
        self.server = server
        self.endpoint = endpoint
        self.visit = Visit(endpoint.remote, server.wire.timeline.now)
        self.fault = server.fault
        self._pending = bytearray()  # of a line, or an http head
        self._deaf = server.protocol != "http" and self.fault in DEAF
        endpoint.changed = self.changed
        self._greet()

    def changed(self) -> None:
        """Read what came, answer, and refill what is sent without end."""
        endpoint = self.endpoint
        if self.server.frozen or endpoint.closed:
            return
        data = endpoint.take(len(endpoint.received)) if endpoint.received else b""
        if data:
            room = VISIT_BYTES_MAX - len(self.visit.received)
            self.visit.received += data[:room]
            self._hear(data)
        if endpoint.fin_received or endpoint.reset:
            self.end()
        elif self.fault is Fault.ENDLESS:
            self._pour()

    def end(self, reset: bool = False) -> None:
        """Close, once."""
        if not self.endpoint.closed:
            self.endpoint.close(linger_zero=reset)
            self.server.sessions.pop(self, None)

    def _greet(self) -> None:
        fault, protocol = self.fault, self.server.protocol
        if fault is Fault.RESET_BEFORE:
            self.end(reset=True)
        elif fault is Fault.EOF_BEFORE:
            self.end()
        elif protocol != "http":
            self._speak(self.server.greeting)
        if self.endpoint.received:
            self.changed()

    def _speak(self, right: bytes) -> None:
        """Say the greeting (or the response), each fault its own way."""
        fault, server, timeline = self.fault, self.server, self.server.wire.timeline
        if fault is Fault.SILENT:
            return
        if fault is Fault.DELAY:
            timeline.call_later(server.delay_s, self._greet_late, right)
        elif fault is Fault.DRIP:
            self._drip(right, 0)
        elif fault is Fault.ENDLESS:
            self._pour()
        elif fault is Fault.EOF_WITHIN:
            self._say(right[: len(right) // 2].rstrip(b"\r\n"))
            self.end()
        else:
            texts = {Fault.WRONG: WRONG, Fault.DECLINE: DECLINED}.get(fault)
            self._say(texts[server.protocol] if texts else right)
            if fault is Fault.RESET_AFTER:
                timeline.call_later(server.delay_s, self.end, True)

    def _greet_late(self, right: bytes) -> None:
        if self.server.frozen:
            self.server.deferred.append(lambda: self._greet_late(right))
            return
        self._say(right)
        if self.server.protocol == "http":
            self.end()
        else:
            self._deaf = False
            self._hear(b"")  # what came before the greeting

    def _say(self, data: bytes) -> None:
        if self.server.frozen:
            self.server.deferred.append(lambda: self._say(data))
        elif not (self.endpoint.closed or self.endpoint.reset):
            self.endpoint.send(data)

    def _drip(self, text: bytes, position: int) -> None:
        if self.server.frozen:
            self.server.deferred.append(lambda: self._drip(text, position))
        elif not self.endpoint.closed and position < len(text):
            self._say(text[position : position + 1])
            self.server.wire.timeline.call_later(DRIP_S, self._drip, text, position + 1)

    def _pour(self) -> None:
        while self.endpoint.send(ENDLESS_PIECE) == len(ENDLESS_PIECE):
            pass

    def _hear(self, data: bytes) -> None:
        self._pending += data
        del self._pending[:-VISIT_BYTES_MAX]
        if self._deaf:
            return
        if self.server.protocol == "http":
            if b"\r\n\r\n" in self._pending:
                self._pending.clear()
                self._speak(self.server.greeting)
                if self.fault in {Fault.NONE, Fault.DECLINE, Fault.WRONG}:
                    self.end()
            return
        while (end := self._pending.find(b"\n")) >= 0 and not self.endpoint.closed:
            line = bytes(self._pending[: end + 1])
            del self._pending[: end + 1]
            reply, last = answer(self.server.protocol, line)
            self._say(reply)
            if last:
                self.end()


class Server:
    """A server at one place. `open` makes it listen, `close` ends it; what clients did is counted."""

    def __init__(self, wire: Wire, protocol: str, place: Place) -> None:
        self.wire = wire
        self.protocol = protocol
        self.place = place
        self.greeting = GREETING[protocol]
        self.delay_s = 0.1
        self.frozen = False
        self.deferred: list[Callable[[], None]] = []  # what it would have done while frozen
        self.sessions: dict[_Session, None] = {}
        self.total = 0  # connections accepted
        self.peak = 0  # at once
        self.sources: Counter[str] = Counter()
        self.visits: deque[Visit] = deque(maxlen=VISITS_KEPT_MAX)
        self._fault = Fault.NONE
        self._open = False
        self._listener: Listener | None = None

    @property
    def fault(self) -> Fault:
        """What is wrong with it now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        self._apply()

    @property
    def listening(self) -> bool:
        """Whether a connection would be answered by the kernel."""
        return self._listener is not None

    @property
    def connections(self) -> int:
        """Connections now."""
        return len(self.sessions)

    def open(self) -> None:
        """Listen. Raises OSError(EADDRINUSE)."""
        if self._open:
            raise OSError(errno.EADDRINUSE, f"{self.place} is in use")
        self._open = True
        self._apply()

    def close(self) -> None:
        """End as a program that exits, or as the kernel ends a killed one: sockets are closed, whatever is unread."""
        self._open = False
        self.frozen = False
        self.deferred.clear()
        self._apply()
        for session in list(self.sessions):
            session.end()

    def freeze(self) -> None:
        """Stop running (SIGSTOP): the kernel goes on accepting, nobody reads or answers."""
        self.frozen = True

    def thaw(self) -> None:
        """Run again (SIGCONT): take up everything that has come meanwhile."""
        self.frozen = False
        deferred, self.deferred = self.deferred, []
        for call in deferred:
            call()
        for session in list(self.sessions):
            session.changed()
        self._accept()

    def _apply(self) -> None:
        wanted = self._open and self._fault is not Fault.REFUSE
        if wanted and self._listener is None:
            self._listener = self.wire.listen(self.place, self._accept)
        elif not wanted and self._listener is not None:
            self._listener.close()
            self._listener = None
        if self._listener is not None:
            self._listener.drops_syn = self._fault is Fault.BLACKHOLE

    def _accept(self) -> None:
        while self._listener is not None and not self.frozen:
            endpoint = self._listener.accept()
            if endpoint is None:
                return
            self.total += 1
            self.sources[endpoint.remote] += 1
            session = _Session(self, endpoint)
            self.visits.append(session.visit)
            if not endpoint.closed:
                self.sessions[session] = None
            self.peak = max(self.peak, len(self.sessions))
