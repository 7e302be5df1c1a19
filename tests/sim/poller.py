"""The in-memory epoll: level-triggered, told in batches, in the order in which descriptors became ready."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from probe.environment import ERROR, HANGUP, Ready
from tests.sim.loop import VirtualLoop
from tests.sim.sockets import SimSocket, fail

if TYPE_CHECKING:
    from tests.sim.network import SimNetwork


class SimPoller:
    """A level-triggered epoll: a list of touched descriptors, drained by `call_soon`."""

    def __init__(self, network: SimNetwork, ready: Ready, loop: VirtualLoop) -> None:
        self._network = network
        self._ready = ready
        self._loop = loop
        self._registered: dict[int, tuple[SimSocket, int]] = {}
        self._touched: dict[int, None] = {}
        self._scheduled = False
        self._closed = False

    @property
    def registered(self) -> int:
        """Number of descriptors watched."""
        return len(self._registered)

    def register(self, fd: int, events: int) -> None:
        """Watch a descriptor. Raises OSError(EBADF), FileExistsError."""
        self._enter()
        socket = self._network.sockets.get(fd)
        if socket is None:
            raise fail(errno.EBADF)
        if fd in self._registered:
            raise fail(errno.EEXIST)
        self._registered[fd] = (socket, events)
        socket.pollers.append(self)
        self.touch(fd)

    def modify(self, fd: int, events: int) -> None:
        """Watch for something else. Raises FileNotFoundError, OSError(EBADF)."""
        self._enter()
        socket, _ = self._find(fd)
        self._registered[fd] = (socket, events)
        self.touch(fd)

    def unregister(self, fd: int) -> None:
        """Stop watching. Raises FileNotFoundError, OSError(EBADF)."""
        self._enter()
        self._find(fd)
        self.forget(fd)

    def drain(self) -> None:
        """Deliver now what is ready now."""
        self._enter()
        self._deliver()

    def close(self) -> None:
        """Stop watching everything."""
        self._closed = True
        for fd in list(self._registered):
            self.forget(fd)

    def touch(self, fd: int) -> None:
        """Look at a descriptor at the next pass: something about it changed."""
        entry = self._registered.get(fd)
        if entry is None or not entry[0].ready & (entry[1] | ERROR | HANGUP):
            return
        self._touched[fd] = None
        self._schedule()

    def forget(self, fd: int) -> None:
        """Drop a descriptor that is being closed."""
        socket, _ = self._registered.pop(fd)
        socket.pollers.remove(self)
        self._touched.pop(fd, None)

    def _find(self, fd: int) -> tuple[SimSocket, int]:
        if fd not in self._network.sockets:
            raise fail(errno.EBADF)
        if fd not in self._registered:
            raise fail(errno.ENOENT)
        return self._registered[fd]

    def _enter(self) -> None:
        if self._closed:
            raise ValueError("I/O operation on closed epoll object")
        self._network.catch_up()

    def _schedule(self) -> None:
        if not self._scheduled and not self._network.dead:
            self._scheduled = True
            self._loop.call_soon(self._pass)

    def _pass(self) -> None:
        self._scheduled = False
        if not self._closed:
            self._network.catch_up()
            self._deliver()

    def _deliver(self) -> None:
        if self._network.dead:
            return
        batch = []
        for fd in self._touched:
            socket, events = self._registered[fd]
            mask = socket.ready & (events | ERROR | HANGUP)
            if mask:
                batch.append((fd, mask))
        self._touched = dict.fromkeys(fd for fd, _ in batch)  # level-triggered: told again unless it was taken
        if batch:
            self._schedule()
            self._ready(batch)
