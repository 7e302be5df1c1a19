"""One socket on its way: opened, bound, connected, armed with the poller, written, read and closed. No dialogue here.

Rules:
1. Where the server speaks first only the reader is armed: its first bytes imply that the connection stands, and the
   kernel's own round-trip time says how long that took. Where we speak first the writer is armed, except towards this
   machine, where what is sent right behind the connect arrives.
2. An event is a hint. What is true is what the system call then says, so that a stray event changes nothing.
3. A socket that the peer has not closed is reset where a port left in TIME_WAIT would be missed (`time_waits.py`).
   A closed socket leaves the poller by itself.
4. The engine takes the steps `open`, `connect`, `receive`, `take` and `bury` for several connections at a time
   (`engine.py`, rule 4); nothing may rely on their following each other at once.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING

from probe.checks.conversation import Conversation
from probe.environment import READABLE, WRITABLE, Socket
from probe.monitor.errnos import verdict_of, verdict_of_bind, verdict_of_socket
from probe.monitor.options import AF_UNIX, SO_ERROR, SOL_SOCKET, is_connecting, reset_on_close, rtt_s
from probe.monitor.recording import EXPLAINED_BYTES_MAX, Recording
from probe.monitor.spares import BindError
from probe.monitor.target import Result, Target
from probe.monitor.tls import TlsSession
from probe.monitor.wheel import NOWHERE
from probe.values import Stage, Verdict

if TYPE_CHECKING:
    from probe.monitor.engine import Engine

UNIX_RETRY_S = 0.05  # a unix listener whose queue is full says so at once instead of letting us wait

_CONNECT = Stage.CONNECT
_WENT_AWAY = (errno.ECONNRESET, errno.EPIPE)


class Connection:
    """The socket's side of a dial, and its record; the dialogue's side (`Dial`) fills in the methods at the end."""

    __slots__ = ("_armed", "_arrived", "_broken", "_connected", "_conversation", "_deadline", "_engine", "_fd",
                 "_fresh", "_lost", "_mark", "_on_closed", "_on_result", "_parting", "_peer_closed", "_queue_full",
                 "_recording", "_rtt_s", "_session", "_socket", "_stage", "_stages", "_started", "_target",
                 "_unsent", "born", "closed", "result", "slot", "tick")  # fmt: skip

    _socket: Socket  # there as soon as `_fd` is not negative

    def __init__(
        self,
        engine: Engine,
        target: Target,
        on_result: Callable[[Result], None],
        on_closed: Callable[[float], None] | None,
    ) -> None:
        self._engine = engine
        self._target = target
        self._on_result = on_result
        self._on_closed = on_closed
        self._conversation: Conversation | None = None
        self._session: TlsSession | None = None
        self._fresh = True  # no plaintext has come yet
        self._parting = False  # a goodbye is going on
        self._recording = Recording(EXPLAINED_BYTES_MAX) if engine.explains else None
        self.result: Result | None = None
        self._fd = -1
        self._armed = 0
        self._connected = False
        self._peer_closed = False
        self._arrived: bytes | OSError | None = None  # read, and not taken yet
        self._rtt_s = 0.0
        self._queue_full = False
        self._broken = 0  # the errno of a send; what came before it is still read
        self._unsent = b""
        self._stage = _CONNECT
        self._stages: list[tuple[Stage, float]] = []
        self.born = -1
        self.closed = False
        self.slot = False  # counted among those in flight
        self.tick = NOWHERE

    def open(self, now: float, lost_s: float) -> None:
        """Open the socket and bind it. The credit for stalls begins here: `lost_s` is what the loop had lost by now."""
        engine, target = self._engine, self._target
        self._started = self._mark = now
        self._lost = lost_s
        self.born = engine.batch
        if target.obstacle is not None:
            self.conclude(target.obstacle)
            return
        try:
            self._socket = engine.spares.open(target.family, target.source)
        except BindError as error:
            self.conclude(verdict_of_bind(error.errno, error.filename))
        except OSError as error:
            self.conclude(verdict_of_socket(error.errno))
        else:
            self._fd = self._socket.fileno()

    def connect(self, now: float) -> None:
        """Connect what is open. The deadline and the stages begin here."""
        self._started = self._mark = now
        self._deadline = now + self._target.timeout_s
        self._connect(now)

    def _connect(self, now: float) -> None:
        engine, target, fd = self._engine, self._target, self._fd
        code = self._socket.connect_ex(target.address)
        self._queue_full = code == errno.EAGAIN and target.family == AF_UNIX
        if self._queue_full:
            engine.wheel.add(self, min(self._deadline, now + UNIX_RETRY_S))
            return
        if code and code != errno.EINPROGRESS:
            self.conclude(verdict_of(code, _CONNECT))
            return
        engine.dials[fd] = self
        engine.wheel.add(self, self._deadline)
        if not target.waits_for_connect:
            self._armed = READABLE
            engine.poller.register(fd, READABLE)
        elif code and not target.near:
            self._arm(WRITABLE)
        else:
            self._connected = not code
            self.opened(now)

    def step_in(self, connection: Socket, started: float, lost_s: float, *, listening: bool) -> None:
        """Take over a slot and a connection of a light round (`flights.py`); `listening`: it has said all it had to."""
        engine, target = self._engine, self._target
        self._socket, self._fd = connection, connection.fileno()
        self._started = self._mark = started
        self._lost = lost_s
        self._deadline = started + target.timeout_s
        self.slot = True
        self.born = engine.batch
        engine.dials[self._fd] = self
        engine.wheel.add(self, self._deadline)
        if listening:
            self._armed = READABLE
            if target.waits_for_connect:
                self._conversation = target.check.begin()
                self._conversation.opened()

    def take_over(self, arrived: bytes | Exception) -> None:
        """Act on what a light round has read. Raises it where it is a mistake of ours."""
        if isinstance(arrived, bytes):
            self._time_connect()
        elif not isinstance(arrived, OSError):
            raise arrived
        self._arrived = arrived
        self.take(self._engine.clock.now())

    def ready(self, mask: int) -> None:
        """Act on what the poller said."""
        if self._armed & WRITABLE:
            self._writable()
            if self.closed or not mask & ~WRITABLE:
                return
        self.receive()
        self.take(self._engine.clock.now())

    def _writable(self) -> None:
        if self._connected:
            self._flush()
            return
        code = self._socket.getsockopt(SOL_SOCKET, SO_ERROR)
        if code:
            self.failed(code)
            return
        self._connected = True
        now = self._engine.clock.now()
        if self._unsent:
            self._note(self.next_stage, now)
            self._flush()
        else:
            self.opened(now)

    @property
    def listens(self) -> bool:
        """Whether what the poller may say is that there is something to read, and nothing else."""
        return self._armed == READABLE

    def receive(self) -> None:
        """Read what has come, for `take`; and with the first bytes how long the connecting took."""
        engine = self._engine
        try:
            size = self._socket.recv_into(engine.buffer)
        except BlockingIOError:
            self._arrived = None
            return
        except OSError as error:
            self._arrived = error
            return
        self._arrived = bytes(engine.view[:size])
        if self._stage is _CONNECT:
            self._time_connect()

    def take(self, now: float) -> None:
        """Act on what was read."""
        arrived, self._arrived = self._arrived, None
        if arrived is None:
            return
        if isinstance(arrived, OSError):
            self.failed(arrived.errno or 0)
            return
        if not arrived and self._broken:
            self.failed(self._broken)
            return
        if self._stage is _CONNECT:
            self._settle(now)
        if not arrived:
            self._peer_closed = True
            self.ended(now)
        elif self._session is None:
            self.heard(arrived, now)
        else:
            self.decrypt(self._session, arrived, now)

    def _note(self, stage: Stage, now: float) -> None:
        """Enter the next stage and keep how long the last one took."""
        self._stages.append((self._stage, now - self._mark))
        self._stage = stage
        self._mark = now

    def _time_connect(self) -> None:
        """Learn from the kernel how long the connecting took."""
        if self._target.family != AF_UNIX:
            self._rtt_s = rtt_s(self._socket)

    def _settle(self, now: float) -> None:
        """Note that the connection stands: the first bytes came, or the kernel says so; `_time_connect` goes before."""
        took_s = self._rtt_s
        if took_s > now - self._mark:
            took_s = now - self._mark
        self._connected = True
        self._stages.append((_CONNECT, took_s))
        self._mark += took_s
        self._stage = self.next_stage

    @property
    def _connecting(self) -> bool:
        """Whether the kernel still waits for the peer to answer the connect."""
        if self._connected or self._target.family == AF_UNIX:
            return self._queue_full
        return is_connecting(self._socket)

    def _transmit(self, data: bytes) -> None:
        """Send, keeping what does not fit until the socket is writable."""
        self._unsent += data
        self._flush()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent) if self._unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            if error.errno not in _WENT_AWAY:
                self.failed(error.errno or 0)
                return
            # What the peer said before it went away is worth more than that it went away: that is read first.
            self._broken = error.errno
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        self._arm(READABLE | WRITABLE if self._unsent else READABLE)

    def _arm(self, events: int) -> None:
        if events != self._armed:
            change = self._engine.poller.modify if self._armed else self._engine.poller.register
            self._armed = events
            change(self._fd, events)

    def close(self) -> None:
        """Close the socket, give the slot back, and tell how long the goodbye took. Idempotent."""
        if self.closed:
            return
        self.closed = True
        engine = self._engine
        if self.tick != NOWHERE:
            engine.wheel.cancel(self)
        if self._fd >= 0:
            engine.dials.pop(self._fd, None)
            if not (self._peer_closed or self._may_linger()):
                reset_on_close(self._socket)
        if engine.burying:
            engine.dead.append(self)
        else:
            self.bury()
        tell, self._on_closed = self._on_closed, None
        if tell is not None and self.result is not None:
            tell(engine.clock.now() - self._mark if self._parting else 0.0)

    def bury(self) -> None:
        """Close the socket and give the slot back."""
        if self._fd >= 0:
            self._socket.close()
        if self.slot:
            self._engine.release()

    def _may_linger(self) -> bool:
        if self._target.family == AF_UNIX:
            return True
        time_waits = self._engine.time_waits
        return time_waits is not None and time_waits.take(self._target.address, self._mark)

    # --- the dialogue's side ---

    def cancel(self) -> None:
        """Close at once and tell nothing more. Idempotent."""
        raise NotImplementedError

    def broke(self, error: Exception) -> None:
        """Take an exception of our own code."""
        raise NotImplementedError

    def due(self, now: float) -> None:
        """Be told by the wheel that the deadline, or the next attempt, has come."""
        raise NotImplementedError

    def conclude(self, verdict: Verdict) -> None:
        """Tell the verdict and close."""
        raise NotImplementedError

    def opened(self, now: float) -> None:
        """Begin the dialogue: the connection stands, or will carry what is sent now."""
        raise NotImplementedError

    def heard(self, plaintext: bytes, now: float) -> None:
        """Take what the peer says."""
        raise NotImplementedError

    def decrypt(self, session: TlsSession, data: bytes, now: float) -> None:
        """Take bytes off the wire that belong to TLS."""
        raise NotImplementedError

    def ended(self, now: float) -> None:
        """Take the end of the stream."""
        raise NotImplementedError

    def failed(self, code: int) -> None:
        """Take the errno that broke the connection."""
        raise NotImplementedError

    @property
    def next_stage(self) -> Stage:
        """The stage that follows `connect`."""
        raise NotImplementedError
