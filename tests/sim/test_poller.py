"""The poller, tested in the real kernel and in the simulated one with the same bodies."""

from __future__ import annotations

import pytest

from probe.environment import ERROR, HANGUP, READABLE, WRITABLE
from tests.sim.lab import Lab, RunLab, accepted, client, mask_of, receive

BOTH = READABLE | WRITABLE


def test_poller_is_level_triggered(run_lab: RunLab) -> None:
    """Readiness is told again until what is there was taken; `drain` tells it without a pass of the loop."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        told: list[tuple[int, int]] = []
        poller = lab.network.poller(told.extend)
        with client(lab, post.address) as socket:
            await lab.settle()
            poller.register(socket.fileno(), READABLE)
            peer = accepted(post)
            peer.send(b"220")
            lab.block(0.01)
            poller.drain()
            poller.drain()
            assert told == [(socket.fileno(), READABLE)] * 2
            assert receive(socket) == b"220"
            poller.drain()
            assert len(told) == 2
            poller.modify(socket.fileno(), WRITABLE)
            poller.drain()
            assert told[2:] == [(socket.fileno(), WRITABLE)]
            poller.unregister(socket.fileno())
            poller.drain()
            assert len(told) == 3
            peer.close()
        poller.close()

    run_lab(body)


def test_poller_calls_by_itself(run_lab: RunLab) -> None:
    """The loop tells readiness as it comes; the callback may close the socket that it was told about."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        seen: list[bytes | int] = []

        def ready(batch: list[tuple[int, int]]) -> None:
            for fd, _ in batch:
                assert fd == socket.fileno()
                seen.append(receive(socket))
                socket.close()

        poller = lab.network.poller(ready)
        with client(lab, post.address) as socket:
            poller.register(socket.fileno(), READABLE)
            await lab.settle()
            peer = accepted(post)
            assert seen == []
            peer.send(b"220 x\r\n")
            await lab.settle()
            assert seen == [b"220 x\r\n"]
            peer.close()
        poller.close()

    run_lab(body)


def test_poller_errors(run_lab: RunLab) -> None:
    """Registering twice, a closed descriptor, or dropping an unknown one are the errors of epoll."""

    async def body(lab: Lab) -> None:
        poller = lab.network.poller(lambda _batch: None)
        with client(lab) as socket, client(lab) as other:
            poller.register(socket.fileno(), 0)
            with pytest.raises(FileExistsError):
                poller.register(socket.fileno(), READABLE)
            with pytest.raises(FileNotFoundError):
                poller.unregister(other.fileno())
            with pytest.raises(FileNotFoundError):
                poller.modify(other.fileno(), READABLE)
            fd = other.fileno()
            other.close()
            with pytest.raises(OSError, match="Bad file descriptor"):
                poller.register(fd, READABLE)
        poller.close()
        poller.close()

    run_lab(body)


def test_closing_leaves_the_poller(run_lab: RunLab) -> None:
    """A closed socket is gone from the poller; the next socket of the same number is not watched by mistake."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        told: list[tuple[int, int]] = []
        poller = lab.network.poller(told.extend)
        with client(lab, post.address) as first:
            await lab.settle()
            poller.register(first.fileno(), BOTH)
            fd = first.fileno()
        with client(lab, post.address) as second:
            assert second.fileno() == fd
            await lab.settle()
            poller.drain()
            assert told == []
            poller.register(fd, WRITABLE)
            poller.drain()
            assert told == [(fd, WRITABLE)]
            poller.unregister(fd)
        poller.close()

    run_lab(body)


def test_errors_are_told_unasked(run_lab: RunLab) -> None:
    """A watcher for nothing is still told of an error and a hang-up."""

    async def body(lab: Lab) -> None:
        post = lab.listen()
        with client(lab, post.address) as socket:
            await lab.settle()
            accepted(post).reset()
            await lab.settle()
            assert mask_of(lab, socket, 0) == ERROR | HANGUP

    run_lab(body)
