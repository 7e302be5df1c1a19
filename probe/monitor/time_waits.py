"""How to end a connection that the peer has not closed: with a close, or with a reset.

A close leaves the port in TIME_WAIT for a minute. Many of those to one destination use up the ports (with ten ports the
eleventh probe finds none), many in all fill the kernel's table. Where connections are tracked, an entry stays for two
minutes in a table that everybody's connections need: a full one drops packets that nobody lost. A reset leaves next to
nothing, but looks to the peer like a client that broke down, and some servers log that. So the close is the rule while
there are few of them, and the reset, after which the socket can be used again (`spares.py`), beyond that.
"""

from __future__ import annotations

import contextlib
from array import array
from collections.abc import Iterable

from bindings.store import Files
from probe.environment import Address

TIME_WAIT_S = 60.0
PORT_SHARE = 8  # an eighth of the ports may wait for one destination
TABLE_SHARE = 16  # a sixteenth of the kernel's table may be ours
TRACKED_SHARE = 4  # a quarter of the tracked connections may be what we left behind
DESTINATIONS = 4096  # counters; destinations that share one are counted together, so that the count errs upwards only

PORT_RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
TABLE_SIZE_FILE = "/proc/sys/net/ipv4/tcp_max_tw_buckets"
TRACKED_FILE = "/proc/sys/net/netfilter/nf_conntrack_count"  # of our network namespace; 0: it tracks none
TRACKED_MAX_FILE = "/proc/sys/net/netfilter/nf_conntrack_max"  # 0: as many as there may be
TRACKED_S_FILE = "/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait"
FILE_BYTES_MAX = 64


class TimeWaits:
    """Count what we leave in TIME_WAIT, minute by minute. Where the kernel's limits cannot be read nothing is left."""

    __slots__ = ("_by_destination", "_files", "_left", "_per_destination_max", "_total_max", "_until")

    def __init__(self, files: Files) -> None:
        self._files = files
        self._per_destination_max = self._total_max = 0
        with contextlib.suppress(OSError, ValueError):
            low, high = self._numbers(PORT_RANGE_FILE)
            (table_size,) = self._numbers(TABLE_SIZE_FILE)
            self._per_destination_max = min((high - low + 1) // PORT_SHARE, 2**16 - 1)
            self._total_max = table_size // TABLE_SHARE
        self._by_destination = array("H", bytes(2 * DESTINATIONS))
        self._left = 0
        self._until = 0.0

    def take(self, address: Address, now: float) -> bool:
        """Say whether one more connection to `address` may be left in TIME_WAIT, and count it if so."""
        return self.take_each((address,), now)[0]

    def take_each(self, addresses: Iterable[Address], now: float) -> list[bool]:
        """Say so of several, in their order."""
        if now >= self._until:
            self._until = now + TIME_WAIT_S
            self._left = min(self._total_max, self._tracked_max())
            self._by_destination = array("H", bytes(2 * DESTINATIONS))
        counts, most, left, said = self._by_destination, self._per_destination_max, self._left, []
        for address in addresses:
            slot = hash(address) % DESTINATIONS
            count = counts[slot]
            may = left > 0 and count < most
            if may:
                counts[slot] = count + 1
                left -= 1
            said.append(may)
        self._left = left
        return said

    def _tracked_max(self) -> int:
        """Say how many of a minute may stay tracked; it may begin to track while we run."""
        with contextlib.suppress(OSError, ValueError):
            (tracked,), (tracked_max,) = self._numbers(TRACKED_FILE), self._numbers(TRACKED_MAX_FILE)
            if tracked and tracked_max:
                (stays_s,) = self._numbers(TRACKED_S_FILE)
                return int(tracked_max / TRACKED_SHARE * TIME_WAIT_S / max(TIME_WAIT_S, stays_s))
        return self._total_max

    def _numbers(self, path: str) -> tuple[int, ...]:
        """Read a file of /proc, which never blocks. Raises OSError, ValueError."""
        return tuple(map(int, self._files.read(path, FILE_BYTES_MAX).split()))
