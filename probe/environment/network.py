"""The real network: non-blocking sockets, one epoll nested in the event loop, and the system's resolver.

One `select.epoll` holds every probe's socket and is itself registered once with the loop (`add_reader`): a probe costs
the loop nothing, and a batch of answers costs one wake-up.
"""

from __future__ import annotations

import _socket
import asyncio
import ctypes
import select
import socket
import time
from collections.abc import Sequence
from typing import Any

from probe.environment import Ready, ResolveError, Socket

EVENTS_PER_BATCH_MAX = 512
RESOLVED_ADDRESSES_MAX = 16  # of one name; more are not asked
SLOW_ANSWER_S = 1.0  # EAI_AGAIN after this long was a silent server, sooner a refusing one

_STREAM = _socket.SOCK_STREAM | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC
_UNSPECIFIED_BYTES = 16  # of struct sockaddr
_UNSPECIFIED = ctypes.create_string_buffer(_UNSPECIFIED_BYTES)  # family 0 is AF_UNSPEC
_UNSPECIFIED_AT = ctypes.addressof(_UNSPECIFIED)
_connect = ctypes.CDLL(None).connect  # `socket.connect` has no way to say AF_UNSPEC
_connect.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
_MISSING = frozenset(
    getattr(socket, name)
    for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY")
    if hasattr(socket, name)  # musl lacks the last two
)


class RealNetwork:
    """`Network` over the operating system."""

    _now = staticmethod(time.monotonic)

    def socket(self, family: int) -> Socket:
        """Open a non-blocking, close-on-exec stream socket. Raises OSError."""
        # The C type: its Python subclass `socket.socket` costs a third more and adds only files and context managers.
        opened: Any = _socket.socket(family, _STREAM, 0)  # its stub has two getsockopt where the Protocol has one
        return opened  # type: ignore[no-any-return] # see above

    def disconnect(self, connection: Socket) -> bool:
        """Connect to AF_UNSPEC, which is how Linux is told so; a kernel that is only like Linux may refuse."""
        refused: int = _connect(connection.fileno(), _UNSPECIFIED_AT, _UNSPECIFIED_BYTES)
        return not refused

    def poller(self, ready: Ready) -> EpollPoller:
        """Nest an epoll in the running loop. Raises RuntimeError on a loop that cannot (one without `add_reader`)."""
        return EpollPoller(ready)

    async def resolve(self, name: str) -> Sequence[tuple[int, str]]:
        """Ask the system's resolver (hosts file, DNS ...), outside the loop's thread. Raises ResolveError."""
        started = self._now()
        try:
            found = await asyncio.get_running_loop().getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            kind = _kind_of(error.errno, self._now() - started)
            raise ResolveError(kind, f"{name}: {error.strerror}") from error
        except UnicodeError as error:
            raise ResolveError("nxdomain", f"{name}: not a name that can be looked up") from error
        addresses = dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in found)
        if not addresses:
            raise ResolveError("nxdomain", f"{name}: no address")
        return list(addresses)[:RESOLVED_ADDRESSES_MAX]

    def is_local(self, address: str) -> bool:
        """Try it out: a datagram socket can be bound to an address of our own and to no other; nothing is sent."""
        if address.startswith("127."):
            return True
        try:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as trial:
                trial.bind((address, 0))
        except OSError:  # gaierror, for what is no numeric address, is one too
            return False
        return True


class EpollPoller:
    """`Poller`: an epoll whose descriptor is readable for the loop as soon as one of its sockets is ready."""

    def __init__(self, ready: Ready) -> None:
        self._ready = ready
        self._loop = asyncio.get_running_loop()
        self._epoll = select.epoll()
        self.register = self._epoll.register
        self.modify = self._epoll.modify
        self.unregister = self._epoll.unregister
        try:
            self._loop.add_reader(self._epoll.fileno(), self.drain)
        except NotImplementedError:
            self._epoll.close()
            raise RuntimeError("this event loop has no add_reader; the probes need asyncio's own or uvloop") from None

    def drain(self) -> None:
        """Deliver one batch of what is ready now."""
        events = self._epoll.poll(0, EVENTS_PER_BATCH_MAX)
        if events:
            self._ready(events)

    def close(self) -> None:
        """Leave the loop; the sockets stay their owners'."""
        if not self._epoll.closed:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()


def _kind_of(code: int | None, took_s: float) -> str:
    if code in _MISSING:
        return "nxdomain"
    # The C library says "try again" both when no server answered and when one answered SERVFAIL or REFUSED.
    return "timeout" if code == socket.EAI_AGAIN and took_s >= SLOW_ANSWER_S else "servfail"
