"""Sockets that are used again: a connection that is reset needs no new one after it.

Making a socket and closing it is a third of what the kernel does for a probe. `Network.disconnect` sends the reset that
a probe ends with beyond the bounds of `time_waits.py`, and leaves a socket that can be bound and connected like a new
one. Nothing of the old connection stays but the source that was bound, so those that were are kept apart. Only IPv4 is
kept: a socket of IPv6 that was connected to a mapped address (::ffff:192.0.2.1) stays one of IPv4 inside, for good.
"""

from __future__ import annotations

from probe.environment import Network, Socket
from probe.monitor.options import AF_INET, reset_on_close, share_port
from probe.monitor.wheel import ENTRIES_PER_PASS_MAX

SPARES_MAX = ENTRIES_PER_PASS_MAX  # as many as leave together
SPARES_SHARE = 4  # at most a quarter of the sockets that may be open

Source = tuple[str, int] | None  # whom a socket is bound to


class BindError(OSError):
    """The source, its `filename`, cannot be bound (S34)."""


class Spares:
    """Open sockets, and keep some that are not needed; `sockets_max` is how many may be open in all."""

    __slots__ = ("_bound", "_free", "_most", "_network")

    def __init__(self, network: Network, sockets_max: int) -> None:
        self._network = network
        self._free: list[Socket] = []  # kept, and never bound
        self._bound: list[Socket] = []  # kept, and bound once
        self._most = min(SPARES_MAX, sockets_max // SPARES_SHARE)

    def __repr__(self) -> str:
        return f"<Spares {self.count} of {self._most}>"

    @property
    def count(self) -> int:
        """How many are kept."""
        return len(self._free) + len(self._bound)

    def open(self, family: int, source: Source) -> Socket:
        """Return a socket that is not connected, bound to the source if there is one. Raises OSError, BindError."""
        kept = self._free if source is None else self._bound
        used = bool(kept) and family == AF_INET
        connection = kept.pop() if used else self._open(family)
        if source is None:
            return connection
        try:
            if not used:
                share_port(connection)
            connection.bind(source)
        except OSError as error:
            connection.close()
            raise BindError(error.errno, error.strerror, source[0]) from error
        return connection

    def _open(self, family: int) -> Socket:
        try:
            return self._network.socket(family)
        except OSError:
            if not self.count:
                raise
        self.close()  # where descriptors are short nothing is kept
        return self._network.socket(family)

    def reset(self, connection: Socket, family: int, source: Source) -> None:
        """Reset a connection that no poller knows, and keep the socket if there is room."""
        kept, others = (self._free, self._bound) if source is None else (self._bound, self._free)
        if family == AF_INET and self._make_room(kept, others) and self._network.disconnect(connection):
            kept.append(connection)
        else:
            reset_on_close(connection)
            connection.close()

    def _make_room(self, kept: list[Socket], others: list[Socket]) -> bool:
        """Say whether one more may be kept; who has more than half gives way."""
        if len(kept) + len(others) < self._most:
            return True
        if len(others) <= len(kept):
            return False
        others.pop().close()
        return True

    def close(self) -> None:
        """Close all that are kept."""
        for kept in (self._free, self._bound):
            while kept:
                kept.pop().close()
