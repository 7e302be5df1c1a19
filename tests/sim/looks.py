"""In-memory `Threads`, `Disks` and `Addresses`: what is looked at, and calls that hang until they are let go."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from probe.environment.machine import Disk, LocalAddress
from tests.sim.sockets import fail

T = TypeVar("T")


class SimThreads:
    """`Threads` that make every call at once, unless they hang; then when they are let go. Joins calls by their key."""

    def __init__(self) -> None:
        self.hanging = False
        self.made: list[object] = []  # the keys of the calls that were begun
        self._going = asyncio.Event()
        self._running: dict[object, asyncio.Future[None]] = {}

    def hang(self) -> None:
        """Let calls from now on not return."""
        self.hanging = True
        self._going.clear()

    def go_on(self) -> None:
        """Let those that hang return."""
        self.hanging = False
        self._going.set()

    async def run(self, key: object, call: Callable[[], T]) -> T:
        """Make the call, or wait for the one of the same key."""
        running = self._running.get(key)
        if running is None:
            self.made.append(key)
            if not self.hanging:
                return call()
            running = self._running[key] = asyncio.get_running_loop().create_future()
        await self._going.wait()
        self._running.pop(key, None)
        return call()

    @property
    def count(self) -> int:
        """How many calls hang."""
        return len(self._running)


@dataclass
class SimDisks:
    """`Disks` by mount point."""

    table: dict[str, Disk] = field(default_factory=dict)

    def look(self, mount_point: str, name: str) -> Disk:
        """Tell what the table has."""
        del name
        return self.table.get(mount_point, Disk())


@dataclass
class SimAddresses:
    """`Addresses` in a list, with the kernel's rules for secondaries and for what is there already."""

    there: list[LocalAddress] = field(default_factory=list)
    interfaces: tuple[str, ...] = ("eth0", "eth1")
    refuses: int = 0  # an errno for every change
    announced: list[tuple[str, str]] = field(default_factory=list)
    announce_fails: int = 0

    def all(self) -> list[LocalAddress]:
        """List them."""
        return list(self.there)

    def add(self, address: str, prefix: int, interface: str) -> None:
        """Add one; in the network of an earlier one it is a secondary."""
        self._may(interface)
        if any((one.address, one.interface) == (address, interface) for one in self.there):
            raise fail(errno.EEXIST)
        kin = [one for one in self.there if one.interface == interface and one.prefix == prefix]
        self.there.append(LocalAddress(address, prefix, interface, secondary=bool(kin)))

    def remove(self, address: str, prefix: int, interface: str) -> None:
        """Remove one, with its secondaries if it is the first."""
        self._may(interface)
        gone = next((one for one in self.there if one[:3] == (address, prefix, interface)), None)
        if gone is None:
            raise fail(errno.EADDRNOTAVAIL)
        self.there.remove(gone)
        if not gone.secondary:
            self.there = [one for one in self.there if not (one.secondary and one.interface == interface)]

    def announce(self, address: str, interface: str) -> None:
        """Note it."""
        if self.announce_fails:
            raise fail(self.announce_fails)
        self.announced.append((address, interface))

    def _may(self, interface: str) -> None:
        if self.refuses:
            raise fail(self.refuses)
        if interface not in self.interfaces:
            raise fail(errno.ENODEV)
