"""Sockets that are used again: a connection that is reset needs no new one after it.

Making a socket and closing it is a third of what the kernel does for a probe. `Network.disconnect` sends the reset that
a probe ends with beyond the bounds of `time_waits.py`, and leaves a socket that can be bound and connected like a new
one. Nothing of the old connection stays but the source that was bound, so those that were are kept apart.
"""

from __future__ import annotations

from collections import defaultdict

from probe.environment import Network, Socket
from probe.monitor.options import reset_on_close, share_port

SPARES_MAX = 256  # as many as leave in one pass of the wheel at 25,000 probes a second
SPARES_SHARE = 4  # at most a quarter of the sockets that may be open

Source = tuple[str, int] | None  # whom a socket is bound to


class BindError(OSError):
    """The source, its `filename`, cannot be bound (S34)."""


class Spares:
    """Open sockets, and keep some that are not needed; `sockets_max` is how many may be open in all."""

    __slots__ = ("_kept", "_most", "_network", "count")

    def __init__(self, network: Network, sockets_max: int) -> None:
        self._network = network
        self._kept: defaultdict[tuple[int, bool], list[Socket]] = defaultdict(list)  # by family, and whether bound
        self._most = min(SPARES_MAX, sockets_max // SPARES_SHARE)
        self.count = 0

    def __repr__(self) -> str:
        return f"<Spares {self.count} of {self._most}>"

    def open(self, family: int, source: Source) -> Socket:
        """Return a socket that is not connected, bound to the source if there is one. Raises OSError, BindError."""
        kept = self._kept[family, source is not None]
        used = bool(kept)
        if used:
            self.count -= 1
        connection = kept.pop() if used else self._network.socket(family)
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

    def reset(self, connection: Socket, family: int, source: Source) -> None:
        """Reset a connection that no poller knows, and keep the socket if there is room."""
        if self.count < self._most and self._network.disconnect(connection):
            self.count += 1
            self._kept[family, source is not None].append(connection)
        else:
            reset_on_close(connection)
            connection.close()

    def close(self) -> None:
        """Close all that are kept."""
        for kept in self._kept.values():
            for connection in kept:
                connection.close()
        self._kept.clear()
        self.count = 0
