"""The kernels and links between a client and its servers: TCP as far as the monitor can tell it from the real one.

An `Endpoint` is one end of a connection, the same kind on both sides. What it does on FIN, reset, unread bytes at close
and full buffers is Linux's behaviour; `test_network.py` runs the same tests against the real kernel.
Packets never overtake each other on one connection: its latency is drawn once, from the wire's seeded randomness.
"""

from __future__ import annotations

import errno
import random
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from tests.sim.timeline import Timeline

Place = tuple[str, int] | str  # where somebody listens: (numeric address, port) or a path

RECEIVE_BYTES_MAX = 128 * 1024
SEND_BYTES_MAX = 128 * 1024
BACKLOG_MAX = 128
SYN_RETRIES_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)  # Linux: then ETIMEDOUT, 127 s after the first
ARP_GIVES_UP_S = 3.0
TIME_WAIT_S = 60.0


class TcpState(IntEnum):
    """`tcpi_state` of TCP_INFO."""

    ESTABLISHED = 1
    SYN_SENT = 2
    CLOSE = 7
    CLOSE_WAIT = 8


class Endpoint:
    """One end of a connection: its buffers, its state, and what it tells its owner through `changed`."""

    __slots__ = (
        "accepted",
        "changed",
        "closed",
        "error",
        "fin_received",
        "fin_sent",
        "fin_wanted",
        "handshake_s",
        "in_flight",
        "latency_s",
        "local",
        "out",
        "peer",
        "place",
        "received",
        "remote",
        "reset",
        "starved",
        "state",
        "wire",
    )

    def __init__(self, wire: Wire, local: str, remote: str, place: Place, latency_s: float) -> None:
        self.wire = wire
        self.local = local
        self.remote = remote
        self.place = place  # of the listener, on both ends
        self.latency_s = latency_s
        self.handshake_s = latency_s
        self.state = TcpState.SYN_SENT
        self.peer: Endpoint | None = None
        self.received = bytearray()
        self.out = bytearray()
        self.in_flight = 0
        self.error = 0  # SO_ERROR, told once
        self.fin_wanted = self.fin_sent = self.fin_received = False
        self.reset = False
        self.closed = False
        self.accepted = False
        self.starved = False  # a send did not fit: the owner waits for room
        self.changed: Callable[[], None] | None = None

    @property
    def send_room(self) -> int:
        """Bytes that a send would take now."""
        return SEND_BYTES_MAX - len(self.out) - self.in_flight

    def send(self, data: bytes) -> int:
        """Queue as much of `data` as fits and return how much."""
        taken = min(len(data), self.send_room)
        self.out += data[:taken]
        if taken < len(data):
            self.starved = True
        self.pump()
        return taken

    def take(self, limit: int) -> bytes:
        """Take at most `limit` received bytes."""
        data = bytes(self.received[:limit])
        del self.received[:limit]
        peer = self.peer
        if peer is not None and (peer.out or peer.starved):
            self.wire.transmit(self, peer.window_opened)
        return data

    def window_opened(self) -> None:
        """Take the peer's word that it has received or read something."""
        self.pump()
        self.starved = self.send_room <= 0
        self._tell()

    def pump(self) -> None:
        """Put on the link what the peer has room for, then the FIN."""
        peer = self.peer
        if peer is None or self.reset or self.state == TcpState.SYN_SENT:
            return
        room = RECEIVE_BYTES_MAX - len(peer.received) - self.in_flight
        count = min(room, len(self.out))
        if count > 0:
            data = bytes(self.out[:count])
            del self.out[:count]
            self.in_flight += count
            self.wire.transmit(self, peer.arrive, data)
        if self.fin_wanted and not self.fin_sent and not self.out:
            self.fin_sent = True
            self.wire.transmit(self, peer.arrive_fin)

    def arrive(self, data: bytes) -> None:
        """Take bytes from the link; what was closed answers with a reset (RFC 9293, 3.10.7.1)."""
        peer = self.peer
        if peer is not None:
            peer.in_flight -= len(data)
        if self.reset:
            return
        if self.closed:
            self.abort()
            return
        self.received += data
        self._tell()
        if peer is not None and peer.starved:
            self.wire.transmit(self, peer.window_opened)

    def arrive_fin(self) -> None:
        """The peer will send no more."""
        if self.reset or self.fin_received:
            return
        self.fin_received = True
        self.state = TcpState.CLOSE_WAIT
        self._tell()

    def arrive_reset(self, code: int = errno.ECONNRESET) -> None:
        """The connection is gone; bytes that came before can still be read."""
        if self.reset or (self.closed and self.state == TcpState.SYN_SENT):
            return
        if self.state == TcpState.CLOSE_WAIT and code == errno.ECONNRESET:
            code = errno.EPIPE
        self.reset = True
        self.error = code
        self.state = TcpState.CLOSE
        self.out.clear()
        self._tell()

    def shut(self) -> None:
        """Send what is queued, then FIN; go on reading."""
        self.fin_wanted = True
        self.pump()

    def abort(self) -> None:
        """Send a reset and forget everything."""
        if not self.reset:
            self.reset = True
            self.state = TcpState.CLOSE
            self.out.clear()
            if self.peer is not None:
                self.wire.transmit(self, self.peer.arrive_reset)

    def close(self, linger_zero: bool = False) -> None:
        """Close both directions: a reset when unread bytes are thrown away (or by SO_LINGER 0), else FIN."""
        if self.closed:
            return
        self.closed = True
        self.changed = None
        if self.state == TcpState.SYN_SENT:
            self.reset = True
            self.state = TcpState.CLOSE
        elif self.received or linger_zero:
            self.received.clear()
            self.abort()
        else:
            self.shut()

    def _tell(self) -> None:
        if self.changed is not None:
            self.changed()


class Listener:
    """A listening socket; `ready` tells its owner that the backlog has a connection to accept."""

    def __init__(self, wire: Wire, place: Place, ready: Callable[[], None]) -> None:
        self.backlog_max = BACKLOG_MAX
        self.wire = wire
        self.place = place
        self.ready = ready
        self.drops_syn = False
        self.backlog: deque[Endpoint] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the kernel would drop one more connection."""
        return len(self.backlog) > self.backlog_max  # Linux: a backlog of 0 holds one

    def accept(self) -> Endpoint | None:
        """Take the oldest established connection, or None."""
        if not self.backlog:
            return None
        endpoint = self.backlog.popleft()
        endpoint.accepted = True
        return endpoint

    def close(self) -> None:
        """Stop listening; what was not accepted is reset."""
        if self.wire.listeners.get(self.place) is self:
            del self.wire.listeners[self.place]
            for tell in tuple(self.wire.on_gone):
                tell(self.place)
        while self.backlog:
            self.backlog.popleft().abort()


class Wire:
    """Every listener and every link. Addresses in `partitioned` neither send nor receive until they are healed."""

    def __init__(self, timeline: Timeline, seed: int) -> None:
        self.timeline = timeline
        self.listeners: dict[Place, Listener] = {}
        self.on_gone: list[Callable[[Place], None]] = []  # told of every listener that is closed
        self.hosts: set[str] = set()  # machines that answer a SYN to a closed port with a reset
        self.partitioned: set[str] = set()
        self._parked: list[tuple[Endpoint, Callable[..., None], tuple[object, ...]]] = []
        self.latency_s: dict[str, tuple[float, float]] = {}  # by the server's address: (least, most), one way
        self.packets = 0
        self._random = random.Random(seed)

    def listen(self, place: Place, ready: Callable[[], None]) -> Listener:
        """Listen at a place. Raises OSError(EADDRINUSE)."""
        if place in self.listeners:
            raise OSError(errno.EADDRINUSE, f"{place} is in use")
        listener = self.listeners[place] = Listener(self, place, ready)
        if isinstance(place, tuple):
            self.hosts.add(place[0])
        return listener

    def listener_at(self, place: Place) -> Listener | None:
        """Find who listens at a place: at the very address, or at every address of its port."""
        found = self.listeners.get(place)
        if found is None and isinstance(place, tuple):
            found = self.listeners.get(("::" if ":" in place[0] else "0.0.0.0", place[1]))
        return found

    def connect(self, local: str, place: Place, *, near: bool = False) -> Endpoint:
        """Send the first SYN of a new connection; the endpoint's `changed` tells what comes of it.

        `near`: on one machine the kernel shakes hands with itself before `connect` returns; programs still take time.
        """
        remote = place[0] if isinstance(place, tuple) else place
        least, most = self.latency_s.get(remote, (20e-6, 60e-6))
        endpoint = Endpoint(self, local, remote, place, self._random.uniform(least, most))
        if near:
            endpoint.handshake_s = 0.0
        self._send_syn(endpoint, 0)
        return endpoint

    def connect_at_once(self, listener: Listener) -> Endpoint:
        """Connect a unix socket, which needs no packets."""
        client = Endpoint(self, "", str(listener.place), listener.place, 10e-6)
        server = Endpoint(self, str(listener.place), "", listener.place, 10e-6)
        client.state = server.state = TcpState.ESTABLISHED
        client.peer, server.peer = server, client
        self.transmit(client, self._ack, server, listener)
        return client

    def transmit(self, sender: Endpoint, call: Callable[..., None], *arguments: object) -> None:
        """Let something arrive at the other end after the link's latency; during a partition it waits for the end."""
        self.packets += 1
        if self.partitioned and (sender.local in self.partitioned or sender.remote in self.partitioned):
            self._parked.append((sender, call, arguments))
        else:
            self.timeline.call_at(self.timeline.now + sender.latency_s, call, *arguments)

    def partition(self, address: str) -> None:
        """Cut an address off; what is already under way still arrives."""
        self.partitioned.add(address)

    def heal(self, address: str) -> None:
        """End a partition: what TCP would retransmit arrives now, in its order."""
        self.partitioned.discard(address)
        parked, self._parked = self._parked, []
        for sender, call, arguments in parked:
            self.transmit(sender, call, *arguments)

    def _send_syn(self, client: Endpoint, tries: int) -> None:
        timeline = self.timeline
        if client.closed:
            return
        if tries == len(SYN_RETRIES_S):
            client.arrive_reset(errno.ETIMEDOUT)
            return
        known = client.remote in self.hosts or not isinstance(client.place, tuple)
        if not known and client.remote not in self.partitioned:
            timeline.call_later(ARP_GIVES_UP_S, client.arrive_reset, errno.EHOSTUNREACH)
            return
        if not {client.local, client.remote} & self.partitioned:
            timeline.call_later(client.handshake_s, self._syn, client, tries)
        else:
            timeline.call_later(SYN_RETRIES_S[tries], self._send_syn, client, tries + 1)

    def _syn(self, client: Endpoint, tries: int) -> None:
        listener = self.listener_at(client.place)
        if listener is None:
            self.timeline.call_later(client.handshake_s, client.arrive_reset, errno.ECONNREFUSED)
        elif listener.drops_syn or listener.is_full:
            delay_s = SYN_RETRIES_S[tries] - client.handshake_s
            self.timeline.call_later(delay_s, self._send_syn, client, tries + 1)
        else:
            server = Endpoint(self, client.remote, client.local, client.place, client.latency_s)
            server.state = TcpState.ESTABLISHED
            server.peer = client
            self.timeline.call_later(client.handshake_s, self._syn_ack, client, server, listener)

    def _syn_ack(self, client: Endpoint, server: Endpoint, listener: Listener) -> None:
        if client.closed:
            return
        client.state = TcpState.ESTABLISHED
        client.peer = server
        self.transmit(client, self._ack, server, listener)
        client.pump()
        if client.changed is not None:
            client.changed()

    def _ack(self, server: Endpoint, listener: Listener) -> None:
        if self.listener_at(server.place) is not listener:
            server.abort()
            return
        listener.backlog.append(server)
        listener.ready()
