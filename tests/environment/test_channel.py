"""Channels between processes of our own: bytes in order, bounded looks at what waits, an end that is always heard."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

from probe.environment.channel import RECEIVE_BYTES, SocketChannel, inherited_channel, start_worker
from probe.environment.processes import RealProcesses
from tests.environment.until import until
from tests.house import ROOT

# What the started process does: it says back what it hears, after its arguments.
ECHO = """
import os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
print("to stderr")
channel.sendall(" ".join(sys.argv[2:]).encode() + b"\\n")
while data := channel.recv(99): channel.sendall(data)
"""


class Heard:
    """What an end has heard."""

    def __init__(self, channel: SocketChannel) -> None:
        self.data = bytearray()
        self.pieces: list[int] = []
        self.ended = self.room = 0
        channel.open(self._hear, self._end, self._have_room)

    def _hear(self, data: bytes) -> None:
        self.data += data
        self.pieces.append(len(data))

    def _end(self) -> None:
        self.ended += 1

    def _have_room(self) -> None:
        self.room += 1


def pair() -> tuple[SocketChannel, SocketChannel]:
    """Make both ends in this process."""
    one, other = socket.socketpair()
    return SocketChannel(one), SocketChannel(other)


async def test_bytes_arrive_in_order_whatever_the_other_end_takes() -> None:
    """Far more than the kernel holds: what waits is told, and goes out as the other end takes it."""
    ours, theirs = pair()
    sender = Heard(ours)
    sent = os.urandom(5_000_000)
    for begin in range(0, len(sent), 1000):
        ours.send(sent[begin : begin + 1000])
    assert ours.waiting == len(sent)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(sent) > ours.waiting > len(sent) // 2  # the kernel has taken some, and takes no more
    assert not sender.room
    heard = Heard(theirs)
    await until(lambda: len(heard.data) == len(sent), "all of it")
    assert heard.data == sent
    assert max(heard.pieces) <= RECEIVE_BYTES
    assert ours.waiting == 0
    assert sender.room
    ours.close()
    await until(lambda: heard.ended, "the end")
    theirs.close()


async def test_the_end_is_heard_once_and_nothing_after_a_close() -> None:
    """Closing one end is told to the other, once; sending into the void is nothing; who closed hears nothing more."""
    ours, theirs = pair()
    mine, heard = Heard(ours), Heard(theirs)
    ours.close()
    ours.close()
    await until(lambda: heard.ended, "the end")
    theirs.send(b"too late")
    ours.send(b"too late")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (heard.ended, mine.ended, theirs.waiting) == (1, 0, 0)
    theirs.close()


async def test_what_cannot_be_sent_any_more_is_dropped() -> None:
    """The other end closes while much waits: nothing is raised, the end is heard, nothing waits for ever."""
    ours, theirs = pair()
    heard = Heard(ours)
    ours.send(bytes(5_000_000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    theirs.close()
    await until(lambda: heard.ended and not ours.waiting, "the end")
    ours.close()


async def test_a_worker_is_started_with_its_end(tmp_path: Path) -> None:
    """A module of ours runs in a session of its own, with its end of the channel alone, and ends with ours."""
    (tmp_path / "echo_worker.py").write_text(ECHO)
    worker = start_worker(RealProcesses(), "echo_worker", ("one", "two words"), tmp_path)
    assert isinstance(worker.channel, SocketChannel)
    heard = Heard(worker.channel)
    worker.channel.send(b"hello")
    await until(lambda: heard.data == b"one two words\nhello", "the echo")
    assert os.getsid(worker.process.pid) == worker.process.pid
    exited = asyncio.Event()
    worker.process.on_exit(exited.set)
    worker.channel.close()
    await exited.wait()
    assert worker.process.exit_text == "exit status 0"


async def test_a_killed_worker_is_heard(tmp_path: Path) -> None:
    """SIGKILL of a worker closes its end."""
    (tmp_path / "echo_worker.py").write_text(ECHO)
    worker = start_worker(RealProcesses(), "echo_worker", (), tmp_path)
    assert isinstance(worker.channel, SocketChannel)
    heard = Heard(worker.channel)
    await until(lambda: heard.data, "its first word")
    exited = asyncio.Event()
    worker.process.on_exit(exited.set)
    os.kill(worker.process.pid, signal.SIGKILL)
    await exited.wait()
    await until(lambda: heard.ended, "the end")
    assert worker.process.exit_text == "killed by SIGKILL"
    worker.channel.close()


async def test_our_own_package_is_found_by_a_worker() -> None:
    """From a source tree, whatever the folder we are started in, a worker imports what we are."""
    worker = start_worker(RealProcesses(), "probe.cli.prober", ("10", "json", "info"), ROOT)
    assert isinstance(worker.channel, SocketChannel)
    heard = Heard(worker.channel)
    await until(lambda: heard.data, "its first beat")
    exited = asyncio.Event()
    worker.process.on_exit(exited.set)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(worker.process.pid, number)  # meant for the whole service: not its own to obey
    before = len(heard.data)
    await until(lambda: len(heard.data) > before, "another beat")
    worker.channel.close()
    await exited.wait()
    assert worker.process.exit_text == "exit status 0"


async def test_a_worker_that_is_told_garbage_says_so() -> None:
    """What a worker does not understand ends it with status 1."""
    worker = start_worker(RealProcesses(), "probe.cli.prober", ("10", "json", "info"), ROOT)
    assert isinstance(worker.channel, SocketChannel)
    heard = Heard(worker.channel)
    exited = asyncio.Event()
    worker.process.on_exit(exited.set)
    worker.channel.send(b"\xff\xff\xff\xff")
    await exited.wait()
    assert worker.process.exit_text == "exit status 1"
    await until(lambda: heard.ended, "the end")
    worker.channel.close()


async def test_an_inherited_end_is_a_channel() -> None:
    """A descriptor's number is all that a worker needs."""
    one, other = socket.socketpair()
    ours, theirs = SocketChannel(one), inherited_channel(other.detach())
    heard = Heard(theirs)
    ours.send(b"hello")
    await until(lambda: heard.data == b"hello", "the word")
    ours.close()
    theirs.close()
