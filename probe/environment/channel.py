"""A stream of bytes between this process and one that it started: a pair of sockets, one end of it inherited."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from probe.environment import Process
from probe.environment.processes import RealProcesses

RECEIVE_BYTES = 64 * 1024  # in one pass of the loop
LOW_WATER_BYTES = 64 * 1024  # below it there is room again
STDERR = 2

_BLOCKED = (BlockingIOError, InterruptedError)


class Channel(Protocol):
    """One end. Nothing here blocks; whoever sends looks at `waiting` first, which is all the bound there is."""

    @property
    def waiting(self) -> int:
        """Bytes that the other side has not taken yet."""

    def open(self, on_bytes: Callable[[bytes], None], on_end: Callable[[], None], on_room: Callable[[], None]) -> None:
        """Begin to receive. `on_end` is called once, when the other end is closed; not after `close`.

        `on_room` is called when what waited has gone out, down to a low water.
        """

    def send(self, data: bytes) -> None:
        """Send, at the latest with the loop's next pass; nothing once either end is closed."""

    def close(self) -> None:
        """Close at once. Idempotent."""


class Worker(NamedTuple):
    """A process of our own program, and the way to it."""

    process: Process
    channel: Channel


class SocketChannel:
    """`Channel` over one of a pair of stream sockets."""

    def __init__(self, ours: socket.socket) -> None:
        ours.setblocking(False)
        self._socket = ours
        self._loop = asyncio.get_running_loop()
        self._out = bytearray()
        self._flushing = False  # the next pass of the loop sends
        self._choked = False  # the socket takes no more for now
        self._closed = False
        self._ended = False

    @property
    def waiting(self) -> int:
        """Bytes that are not with the kernel yet."""
        return len(self._out)

    def open(self, on_bytes: Callable[[bytes], None], on_end: Callable[[], None], on_room: Callable[[], None]) -> None:
        """Begin to receive."""
        self._on_bytes, self._on_end, self._on_room = on_bytes, on_end, on_room
        self._loop.add_reader(self._socket.fileno(), self._receive)

    def send(self, data: bytes) -> None:
        """Send with the next pass, together with what else is sent in this one."""
        if self._closed or self._ended:
            return
        self._out += data
        if not self._flushing and not self._choked:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def close(self) -> None:
        """Close at once."""
        if not self._closed:
            self._closed = True
            self._loop.remove_reader(self._socket.fileno())
            if self._choked:
                self._loop.remove_writer(self._socket.fileno())
            self._socket.close()
            self._out.clear()

    def _receive(self) -> None:
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except _BLOCKED:
            return
        except OSError:
            data = b""
        if data:
            self._on_bytes(data)
        elif not self._closed:
            self._ended = True
            self._loop.remove_reader(self._socket.fileno())
            self._on_end()

    def _flush(self) -> None:
        self._flushing = False
        if self._closed or not self._out:
            return
        try:
            sent = self._socket.send(self._out)
        except _BLOCKED:
            sent = 0
        except OSError:  # the other end is gone: the reader will say so
            self._out.clear()
            return
        del self._out[:sent]
        if bool(self._out) is not self._choked:
            self._choked = bool(self._out)
            if self._choked:
                self._loop.add_writer(self._socket.fileno(), self._flush)
            else:
                self._loop.remove_writer(self._socket.fileno())
        if len(self._out) <= LOW_WATER_BYTES:
            self._on_room()


def start_worker(processes: RealProcesses, module: str, arguments: Sequence[str], package: Path) -> Worker:
    """Run a module of ours in a process of its own; its first argument is the number of its end of the channel.

    `package` is the folder that the module is imported from. Both outputs of the process go to our stderr. Raises
    OSError.
    """
    ours, theirs = socket.socketpair()
    try:
        descriptor = theirs.fileno()
        argv = [sys.executable, "-P", "-m", module, str(descriptor), *arguments]  # -P: never import from our cwd
        process = processes.spawn_into(STDERR, argv, environment=_imports_from(package), descriptors=(descriptor,))
    except OSError:
        ours.close()
        raise
    finally:
        theirs.close()
    return Worker(process, SocketChannel(ours))


def inherited_channel(descriptor: int) -> SocketChannel:
    """Take the end that a worker was started with. Raises OSError when the descriptor is no socket."""
    return SocketChannel(socket.socket(fileno=descriptor))


def _imports_from(package: Path) -> Mapping[str, str]:
    """Let a source tree be imported from; an installed package is found anyway."""
    if "site-packages" in package.parts or "dist-packages" in package.parts:
        return {}
    path = [str(package), *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
    return {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}
