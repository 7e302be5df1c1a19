"""A shared connection: who keeps it, when it is made again, and who is told. The rest is in the controllers' tests."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable

import pytest

from probe.controllers.contract import Background
from probe.controllers.link import PAUSE_FIRST_S, PAUSE_MAX_S, STEADY_AFTER_S, UP_WITHIN_S, Link, LinkError
from probe.values import Reason
from tests.controllers.links import Ground, spawn, virtually


class Peer(Ground):
    """The other side: up at once and for ever, unless a test says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[float] = []
        self.closed = 0
        self.error: Exception | None = None
        self.lasts_s: float | None = None
        self.link = Link("the peer", self.clock, spawn, self.follow)

    async def follow(self, up: Callable[[], None]) -> None:
        """Be connected to."""
        self.began.append(self.clock.now())
        try:
            if self.error is not None:
                raise self.error
            up()
            if self.lasts_s is None:
                await asyncio.Event().wait()
            else:
                await self.clock.sleep(self.lasts_s)
        finally:
            self.closed += 1


def test_holders_are_counted() -> None:
    """S49: who holds it twice drops it twice; the last drop closes it, and the next hold makes another."""

    async def main() -> None:
        peer = Peer()
        for holder in ("a", "a", "b"):
            peer.link.hold(holder)
        await peer.link.ready()
        for holder in ("b", "a", "never held"):
            peer.link.drop(holder)
        await peer.pass_time()
        assert (peer.link.is_up, peer.link.held, peer.closed) == (True, True, 0)
        peer.link.drop("a")
        await peer.pass_time()
        assert (peer.link.is_up, peer.link.held, peer.closed) == (False, False, 1)
        with peer.link.using():
            await peer.link.ready()
        await peer.pass_time()
        assert (len(peer.began), peer.closed) == (2, 2)

    virtually(main)


def test_a_quick_change_of_holders_makes_a_second_connection() -> None:
    """A hold right after the last drop is not served by the connection that is being closed."""

    async def main() -> None:
        peer = Peer()
        peer.link.hold("a")
        await peer.link.ready()
        peer.link.drop("a")
        with peer.link.using():
            await peer.link.ready()
            await peer.pass_time()
            assert (peer.link.is_up, len(peer.began), peer.closed) == (True, 2, 1)

    virtually(main)


def test_a_failing_operation_gives_it_back() -> None:
    """S49: an operation that raises holds nothing afterwards."""

    async def main() -> None:
        peer = Peer()
        with pytest.raises(KeyError), peer.link.using():
            raise KeyError
        await peer.pass_time(0.01)
        assert not peer.link.held

    virtually(main)


def test_pauses_grow_and_begin_anew_after_a_steady_time() -> None:
    """A peer that breaks off at once is asked ever more rarely; one that lasted a while soon again."""

    async def main() -> None:
        peer = Peer()
        peer.lasts_s = 0.0
        peer.link.hold("a")
        await peer.pass_time(100)
        assert peer.began[1] - peer.began[0] == pytest.approx(PAUSE_FIRST_S, abs=0.01)
        assert peer.began[-1] - peer.began[-2] == pytest.approx(PAUSE_MAX_S, abs=0.01)
        peer.lasts_s = STEADY_AFTER_S
        count = len(peer.began)
        await peer.pass_time(3 * STEADY_AFTER_S)
        assert peer.began[count + 1] - peer.began[count] == pytest.approx(STEADY_AFTER_S + PAUSE_FIRST_S, abs=0.01)
        peer.link.close()

    virtually(main)


@pytest.mark.parametrize(
    ("error", "words", "reason"),
    [
        (LinkError("it says no", Reason.PROBER_FORBIDDEN), "it says no", Reason.PROBER_FORBIDDEN),
        (FileNotFoundError(errno.ENOENT, "No such file"), "the peer: No such file", Reason.PROBE_INTERNAL),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied", Reason.PROBER_FORBIDDEN),
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files", Reason.PROBER_DESCRIPTORS),
        (ZeroDivisionError("a bug"), "ZeroDivisionError: a bug", Reason.PROBE_INTERNAL),
    ],
)
def test_who_waits_hears_why_it_failed(
    error: Exception, words: str, reason: Reason, caplog: pytest.LogCaptureFixture
) -> None:
    """A failed attempt is told to all who wait, with the right reason, and even a bug of ours ends nothing."""

    async def main() -> None:
        peer = Peer()
        peer.error = error
        with peer.link.using():
            for waiting in (spawn(peer.link.ready()), spawn(peer.link.ready())):
                with pytest.raises(LinkError, match=words) as caught:
                    await waiting
                assert caught.value.reason is reason
            peer.error = None
            await peer.link.ready()

    with caplog.at_level(logging.CRITICAL):
        virtually(main)


def test_a_waiter_makes_one_attempt_not_two() -> None:
    """Who begins to wait during an attempt hears of that one; its failure is no reason to try again at once."""

    async def main() -> None:
        peer = Peer()
        peer.error = LinkError("no")
        peer.link.hold("a")
        with pytest.raises(LinkError):
            await peer.link.ready()
        assert len(peer.began) == 1
        await peer.pass_time(PAUSE_FIRST_S / 2)
        assert len(peer.began) == 1
        with pytest.raises(LinkError):
            await peer.link.ready()
        assert len(peer.began) == 2
        peer.link.close()

    virtually(main)


def test_the_bound_holds_for_the_beginning_only() -> None:
    """A connection that stands may stand for as long as it likes."""

    async def main() -> None:
        peer = Peer()
        peer.link.hold("a")
        await peer.pass_time(100 * UP_WITHIN_S)
        assert (len(peer.began), peer.link.is_up) == (1, True)
        peer.link.close()

    virtually(main)


def test_a_task_cancelled_by_others_tells_its_waiters() -> None:
    """When everything in the background is cancelled nobody waits for ever."""

    async def main() -> None:
        ground = Ground()
        tasks: list[asyncio.Task[None]] = []

        async def follow(up: Callable[[], None]) -> None:
            del up
            await asyncio.Event().wait()

        def noted(work: Background) -> asyncio.Task[None]:
            tasks.append(spawn(work))
            return tasks[-1]

        link = Link("the peer", ground.clock, noted, follow)
        with link.using():
            waiting = spawn(link.ready())
            await ground.pass_time()
            tasks[0].cancel()
            with pytest.raises(LinkError, match="closed"):
                await waiting

    virtually(main)
