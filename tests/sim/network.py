"""The in-memory `Network`: sockets, readiness and names over a `Wire`.

Every system call first catches up with the outside, so that after a stall the program finds in the kernel what came
meanwhile. Descriptors are the lowest free ones, as in the kernel: one that is closed comes back at once, and whoever
mixes up the old socket with the new one is found out.
"""

from __future__ import annotations

import asyncio
import errno
import heapq
import ipaddress
import socket as std
from collections import Counter
from collections.abc import Sequence

from probe.environment import Ready, ResolveError, Socket
from tests.sim.loop import VirtualLoop
from tests.sim.poller import SimPoller
from tests.sim.sockets import SimSocket, fail
from tests.sim.wire import Place, Wire

FIRST_DESCRIPTOR = 16
DESCRIPTORS_MAX = 20_000
EPHEMERAL_PORTS_MAX = 28_232  # ip_local_port_range of Linux


class Host:
    """What one machine's kernel and resolver know, whichever program asks; tests change it while programs run."""

    def __init__(self, local: set[str] | None = None) -> None:
        self.local = local or set()  # its own addresses beside loopback
        self.names: dict[str, Sequence[tuple[int, str]] | str] = {}  # addresses, or nxdomain, timeout, servfail
        self.resolve_s = 0.001
        self.resolves: Counter[str] = Counter()
        self.connect_errors: dict[str, int] = {}  # by address: ENETUNREACH, EPERM ... at once
        self.stale_paths: set[str] = set()  # unix sockets whose listener is gone
        self.descriptors_max = DESCRIPTORS_MAX
        self.ports_max = EPHEMERAL_PORTS_MAX  # by (source, destination)
        self.flows: Counter[tuple[str, Place]] = Counter()

    def is_local(self, address: str) -> bool:
        """Whether the address is the machine's own: all of 127/8, and what the machine was given."""
        return address in self.local or address.startswith("127.") or address in {"0.0.0.0", "::", "::1"}

    def source_for(self, address: str) -> str:
        """Choose the source of an unbound socket as Linux does: 127.0.0.1 for any of 127/8 (FACTS)."""
        if address.startswith("127."):
            return "127.0.0.1"
        if self.is_local(address):
            return address
        six = ":" in address
        own = sorted(a for a in self.local if (":" in a) == six)
        return own[0] if own else ("::1" if six else "127.0.0.1")

    def take_port(self, flow: tuple[str, Place]) -> bool:
        """Take an ephemeral port, if one is left."""
        if self.flows[flow] >= self.ports_max:
            return False
        self.flows[flow] += 1
        return True

    def free_port(self, flow: tuple[str, Place]) -> None:
        """Give an ephemeral port back."""
        self.flows[flow] -= 1
        if not self.flows[flow]:
            del self.flows[flow]


class SimNetwork:
    """Sockets, readiness and names of one run of the program."""

    def __init__(self, wire: Wire, loop: VirtualLoop, host: Host) -> None:
        self.wire = wire
        self.host = host
        self.sockets: dict[int, SimSocket] = {}
        self.opened = 0
        self.peak = 0
        self.dead = False
        self._loop = loop
        self._free: list[int] = []

    def catch_up(self) -> None:
        """Let the outside happen up to now."""
        self.wire.timeline.catch_up(self._loop.time())

    def socket(self, family: int) -> SimSocket:
        """Open a socket. Raises OSError(EMFILE) beyond the host's `descriptors_max`."""
        if self.dead:
            raise fail(errno.EIO)
        if len(self.sockets) >= self.host.descriptors_max:
            raise fail(errno.EMFILE)
        fd = heapq.heappop(self._free) if self._free else FIRST_DESCRIPTOR + len(self.sockets)
        socket = self.sockets[fd] = SimSocket(self, family, fd)
        self.opened += 1
        self.peak = max(self.peak, len(self.sockets))
        return socket

    def disconnect(self, connection: Socket) -> bool:
        """Reset its connection, and have the socket as new but for the source that was bound."""
        assert isinstance(connection, SimSocket)
        connection.disconnect()
        return True

    def poller(self, ready: Ready) -> SimPoller:
        """Make a poller that tells `ready`."""
        return SimPoller(self, ready, self._loop)

    async def resolve(self, name: str) -> Sequence[tuple[int, str]]:
        """Look a name up in the host's `names`; a numeric address is itself. Raises ResolveError."""
        try:
            version = ipaddress.ip_address(name).version
        except ValueError:
            self.host.resolves[name] += 1
            await asyncio.sleep(self.host.resolve_s)
            found = self.host.names.get(name, "nxdomain")
            if isinstance(found, str):
                raise ResolveError(found, f"{name}: {found}") from None
            return found
        return [(std.AF_INET if version == 4 else std.AF_INET6, name)]

    def is_local(self, address: str) -> bool:
        """Whether the address is the machine's own."""
        return self.host.is_local(address)

    def free_descriptor(self, fd: int) -> None:
        """Give a descriptor back."""
        del self.sockets[fd]
        heapq.heappush(self._free, fd)

    def die(self) -> None:
        """End as the kernel ends a killed program: every socket is closed, nothing is told any more."""
        self.dead = True
        for socket in list(self.sockets.values()):
            socket.close()
