"""How to end a connection that the peer has not closed: with a close, or with a reset.

A close leaves the port in TIME_WAIT for a minute. Many of those to one destination use up the ports (with ten ports the
eleventh probe finds none), many in all fill the kernel's table. A reset leaves nothing, but costs a fifth of a whole
probe. So the close is the rule while it is known to be harmless, and the reset beyond that.
"""

from __future__ import annotations

import contextlib
from array import array

from bindings.store import Files
from probe.environment import Address

TIME_WAIT_S = 60.0
PORT_SHARE = 8  # an eighth of the ports may wait for one destination
TABLE_SHARE = 2  # half of the kernel's table may be ours
DESTINATIONS = 4096  # counters; destinations that share one are counted together, so that the count errs upwards only

PORT_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
TABLE_SIZE_FILE = "/proc/sys/net/ipv4/tcp_max_tw_buckets"
FILE_BYTES_MAX = 64


class TimeWaits:
    """Count what we leave in TIME_WAIT, minute by minute. Where the kernel's limits cannot be read nothing is left."""

    __slots__ = ("_by_destination", "_left", "_per_destination_max", "_total_max", "_until")

    def __init__(self, files: Files) -> None:
        self._per_destination_max = self._total_max = 0
        with contextlib.suppress(OSError, ValueError):
            low, high = map(int, files.read(PORT_RANGE_FILE, FILE_BYTES_MAX).split())
            table_size = int(files.read(TABLE_SIZE_FILE, FILE_BYTES_MAX))
            self._per_destination_max = min((high - low + 1) // PORT_SHARE, 2**16 - 1)
            self._total_max = table_size // TABLE_SHARE
        self._by_destination = array("H", bytes(2 * DESTINATIONS))
        self._left = 0
        self._until = 0.0

    def take(self, address: Address, now: float) -> bool:
        """Say whether one more connection to `address` may be left in TIME_WAIT, and count it if so."""
        if now >= self._until:
            self._until = now + TIME_WAIT_S
            self._left = self._total_max
            self._by_destination = array("H", bytes(2 * DESTINATIONS))
        slot = hash(address) % DESTINATIONS
        count = self._by_destination[slot]
        if self._left <= 0 or count >= self._per_destination_max:
            return False
        self._by_destination[slot] = count + 1
        self._left -= 1
        return True
