"""Two laboratories with the same instruments: the real kernel on loopback, and ours in memory.

A test body written against `Lab` runs in both, so a lie of the simulator is a failing test.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket as std
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol, cast

from probe.environment import Network, Socket
from probe.environment.network import RealNetwork
from tests.sim.loop import VirtualLoop, current_loop, run_virtual
from tests.sim.network import Host, SimNetwork
from tests.sim.wire import Endpoint, Listener, Wire

SETTLE_S = 0.02


class Peer(Protocol):
    """The server's end of an accepted connection."""

    source: str

    def send(self, data: bytes) -> None: ...
    def read(self) -> bytes | int | None:
        """Return what has come: bytes, b"" at the end of the stream, None for nothing yet, an errno."""

    def close(self) -> None: ...
    def reset(self) -> None: ...


class Post(Protocol):
    """A listener; `accept` returns None when nobody has connected."""

    address: tuple[str, int] | str

    def accept(self) -> Peer | None: ...
    def close(self) -> None: ...


class Lab(Protocol):
    """A network under test and the other side of it."""

    network: Network

    def listen(self, address: str = "127.0.0.1", backlog: int = 16) -> Post: ...
    def listen_unix(self, path: str) -> Post: ...
    def block(self, seconds: float) -> None:
        """Let time pass while the loop does not run."""

    async def settle(self, seconds: float = SETTLE_S) -> None:
        """Let everything arrive."""


class RealPeer:
    def __init__(self, socket: std.socket, source: object) -> None:
        socket.setblocking(False)
        self._socket = socket
        self.source = str(source[0]) if isinstance(source, tuple) else ""

    def send(self, data: bytes) -> None:
        self._socket.send(data)

    def read(self) -> bytes | int | None:
        data = b""
        try:
            while piece := self._socket.recv(1 << 20):
                data += piece
        except BlockingIOError:
            return data or None
        except OSError as error:
            return data or error.errno
        return data

    def close(self) -> None:
        self._socket.close()

    def reset(self) -> None:
        self._socket.setsockopt(std.SOL_SOCKET, std.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()


class RealPost:
    def __init__(self, family: int, address: object, backlog: int) -> None:
        self._socket = std.socket(family, std.SOCK_STREAM)
        self._socket.bind(address)  # type: ignore[arg-type] # a path or a pair, as the family wants
        self._socket.listen(backlog)
        self._socket.setblocking(False)
        name = self._socket.getsockname()
        self.address: tuple[str, int] | str = name if isinstance(name, str) else (name[0], name[1])

    def accept(self) -> RealPeer | None:
        try:
            return RealPeer(*self._socket.accept())
        except BlockingIOError:
            return None

    def close(self) -> None:
        self._socket.close()


class RealLab:
    """The kernel under us."""

    def __init__(self, keep: contextlib.ExitStack) -> None:
        self.network = cast("Network", RealNetwork())  # its socket is the C type, whose overloads mypy cannot match
        self._keep = keep

    def listen(self, address: str = "127.0.0.1", backlog: int = 16) -> RealPost:
        post = RealPost(std.AF_INET, (address, 0), backlog)
        self._keep.callback(post.close)
        return post

    def listen_unix(self, path: str) -> RealPost:
        post = RealPost(std.AF_UNIX, path, 16)
        self._keep.callback(post.close)
        return post

    def block(self, seconds: float) -> None:
        time.sleep(seconds)

    async def settle(self, seconds: float = SETTLE_S) -> None:
        await asyncio.sleep(seconds)


class SimPeer:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self.source = endpoint.remote

    def send(self, data: bytes) -> None:
        self._endpoint.send(data)

    def read(self) -> bytes | int | None:
        endpoint = self._endpoint
        if endpoint.received:
            return endpoint.take(len(endpoint.received))
        if endpoint.fin_received:
            return b""
        if endpoint.reset:
            return endpoint.error
        return None

    def close(self) -> None:
        self._endpoint.close()

    def reset(self) -> None:
        self._endpoint.close(linger_zero=True)


class SimPost:
    def __init__(self, listener: Listener, host: Host) -> None:
        self._listener = listener
        self._host = host
        self.address = listener.place

    def accept(self) -> SimPeer | None:
        endpoint = self._listener.accept()
        return None if endpoint is None else SimPeer(endpoint)

    def close(self) -> None:
        self._listener.close()
        if isinstance(self.address, str):
            self._host.stale_paths.add(self.address)


class SimLab:
    """The kernel in memory."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.wire = Wire(loop.timeline, seed=1)
        self.wire.hosts.add("127.0.0.1")
        self.host = Host()
        self.network: Network = SimNetwork(self.wire, loop, self.host)
        self._loop = loop
        self._port = 20_000

    def listen(self, address: str = "127.0.0.1", backlog: int = 16) -> SimPost:
        self._port += 1
        listener = self.wire.listen((address, self._port), lambda: None)
        listener.backlog_max = backlog
        return SimPost(listener, self.host)

    def listen_unix(self, path: str) -> SimPost:
        return SimPost(self.wire.listen(path, lambda: None), self.host)

    def block(self, seconds: float) -> None:
        self._loop.stall(seconds)

    async def settle(self, seconds: float = SETTLE_S) -> None:
        await asyncio.sleep(seconds)


Body = Callable[[Lab], Awaitable[None]]
RunLab = Callable[[Body], None]


def run_real(body: Body) -> None:
    """Run a test body against the kernel under us."""

    async def main() -> None:
        with contextlib.ExitStack() as keep:
            await body(RealLab(keep))

    asyncio.run(main())


def run_simulated(body: Body) -> None:
    """Run a test body against the kernel in memory."""

    async def main() -> None:
        await body(SimLab(current_loop()))

    run_virtual(main())


@contextlib.contextmanager
def client(lab: Lab, address: object = None, family: int = std.AF_INET) -> Iterator[Socket]:
    """Open a socket, begin to connect it if an address is given, and close it in the end."""
    socket = lab.network.socket(family)
    try:
        if address is not None:
            code = socket.connect_ex(address)
            assert code in {0, errno.EINPROGRESS}, errno.errorcode[code]
        yield socket
    finally:
        socket.close()


def mask_of(lab: Lab, socket: Socket, events: int) -> int:
    """Ask epoll once what it has to say about a socket."""
    told: list[tuple[int, int]] = []
    poller = lab.network.poller(told.extend)
    try:
        poller.register(socket.fileno(), events)
        poller.drain()
    finally:
        poller.close()
    return dict(told).get(socket.fileno(), 0)


def receive(socket: Socket, nbytes: int = 65536) -> bytes | int:
    """Receive what is there; an errno when the call fails."""
    buffer = bytearray(nbytes)
    try:
        return bytes(buffer[: socket.recv_into(buffer)])
    except OSError as error:
        return error.errno or 0


def transmit(socket: Socket, data: bytes) -> int:
    """Send; the negated errno when the call fails."""
    try:
        return socket.send(data)
    except OSError as error:
        return -(error.errno or 0)


def accepted(post: Post) -> Peer:
    """Accept the connection that must be there."""
    peer = post.accept()
    assert peer is not None
    return peer
