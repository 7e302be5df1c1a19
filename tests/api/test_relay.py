"""The one writer of the stream, on a loop whose passes and time the test turns by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from probe.api.limits import Limits
from probe.api.relay import KEEP_ALIVE, PASS_BUDGET, PIECE_EVENTS_MAX, Reader, Relay, Seen
from tests.api.service import StaticService, failed, report

UP, DOWN = report("smtp"), failed("smtp")
MANY = 10_000


class HandLoop:
    """A loop that runs one pass, or up to a time, when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[Callable[[], None]] = []
        self.later: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def call_later(self, delay: float, callback: Callable[[], None]) -> None:
        self.later.append((self.now + delay, callback))

    def turn(self) -> None:
        """Run one pass."""
        due, self.soon = self.soon, []
        for callback in due:
            callback()

    def go_on(self, seconds: float) -> None:
        """Let time pass, each timer in its turn and each pass behind it."""
        until = self.now + seconds
        while self.later and min(self.later, key=lambda one: one[0])[0] <= until:
            due = min(self.later, key=lambda one: one[0])
            self.later.remove(due)
            self.now = due[0]
            due[1]()
            while self.soon:
                self.turn()
        self.now = until


class Wire(asyncio.Transport):
    """A connection and its transport in one: keeps what is written, is full when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.writing_paused = False
        self.written: list[bytes] = []
        self.aborted = False

    @property
    def transport(self) -> asyncio.Transport | None:
        return None if self.aborted else self

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    @property
    def seqs(self) -> list[int]:
        lines = b"".join(self.written).split(b"\n")
        return [int(line.removeprefix(b"id: ").partition(b"@")[0]) for line in lines if line.startswith(b"id: ")]


class Crowd:
    """A relay on a loop of our own, with readers that have joined it."""

    def __init__(self, stack: ExitStack, service: StaticService, limits: Limits | None = None) -> None:
        self.loop = HandLoop()
        self.service = service
        self.relay = Relay(service, limits or Limits(), lambda: self.loop)
        self._stack = stack

    def join(self, seen: int | None = None, *, chunked: bool = False) -> tuple[Wire, Reader]:
        wire = Wire()
        return wire, self._stack.enter_context(
            self.relay.joined(wire, None if seen is None else Seen(seen), chunked=chunked)
        )

    def passes(self) -> int:
        """Run passes until nothing is to be written; return how many it took."""
        count = 0
        while self.loop.soon:
            self.loop.turn()
            count += 1
        return count


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Keep the readers until the test has ended."""
    with ExitStack() as held:
        yield held


async def test_many_readers_are_written_to_in_slices(stack: ExitStack) -> None:
    """10,000 readers get an event, each once, at most `PASS_BUDGET` of them in one pass of the loop, none forgotten."""
    crowd = Crowd(stack, StaticService(UP))
    wires = [crowd.join()[0] for _ in range(MANY)]
    crowd.service.edge(DOWN)
    told = 0
    while crowd.loop.soon:
        crowd.loop.turn()
        now = sum(map(len, (wire.written for wire in wires)))
        assert now - told <= PASS_BUDGET
        told = now
    assert [wire.seqs for wire in wires] == [[1]] * MANY
    assert len({id(wire.written[0]) for wire in wires}) == 1  # the same bytes, made once


async def test_no_readers_task_is_woken_by_an_event(stack: ExitStack) -> None:
    """What a reader's task waits for stays as it is, and one callback is all that the loop is given."""
    crowd = Crowd(stack, StaticService(UP))
    readers = [crowd.join()[1] for _ in range(1000)]
    crowd.service.edge(DOWN)
    crowd.service.edge(UP)
    assert len(crowd.loop.soon) == 1
    crowd.passes()
    assert not any(reader.gone.done() for reader in readers)
    assert len(crowd.loop.later) == 1  # one timer for all of them


async def test_events_during_a_walk_are_told_together_by_the_next(stack: ExitStack) -> None:
    """However many edges come, each reader is written to at most twice for them, and misses none, in order."""
    crowd = Crowd(stack, StaticService(UP))
    wires = [crowd.join()[0] for _ in range(1000)]
    crowd.service.edge(DOWN)
    crowd.loop.turn()
    for _ in range(50):
        crowd.service.edge(UP)
    crowd.passes()
    assert {tuple(wire.seqs) for wire in wires} == {tuple(range(1, 52))}
    assert max(len(wire.written) for wire in wires) == 2


async def test_a_full_reader_is_passed_over_and_caught_up(stack: ExitStack) -> None:
    """Nothing is written to a full transport; when it has drained, all that it lacks comes in order and in pieces."""
    crowd = Crowd(stack, StaticService(UP))
    (slow, reader), (quick, _) = crowd.join(), crowd.join()
    slow.writing_paused = True
    for _ in range(2 * PIECE_EVENTS_MAX + 50):
        crowd.service.edge(DOWN)
    crowd.passes()
    assert (slow.written, quick.seqs) == ([], list(range(1, 2 * PIECE_EVENTS_MAX + 51)))
    slow.writing_paused = False
    reader.drained()
    crowd.passes()
    assert slow.seqs == quick.seqs
    assert len(slow.written) == 3


async def test_a_reader_that_stays_full_is_cut(stack: ExitStack) -> None:
    """Full for `write_s`: its connection is aborted and its task ends; one that drained in between is kept."""
    crowd = Crowd(stack, StaticService(UP), Limits(write_s=30, keep_alive_s=15))
    (stuck, lost), (slow, kept) = crowd.join(), crowd.join()
    crowd.service.edge(DOWN)
    stuck.writing_paused = slow.writing_paused = True
    crowd.passes()
    crowd.loop.go_on(29)
    assert not stuck.aborted
    slow.writing_paused = False
    kept.drained()
    crowd.passes()
    slow.writing_paused = True
    crowd.loop.go_on(15)
    assert (stuck.aborted, lost.gone.done()) == (True, True)
    assert (slow.aborted, kept.gone.done()) == (False, False)


async def test_signs_of_life_are_spread(stack: ExitStack) -> None:
    """With 1,000 silent readers each hears something at least every `keep_alive_s`, few in one turn, by one timer."""
    crowd = Crowd(stack, StaticService(UP), Limits(keep_alive_s=15))
    wires = [crowd.join()[0] for _ in range(1000)]
    told = 0
    for _ in range(150):
        crowd.loop.go_on(0.1)
        now = sum(len(wire.written) for wire in wires)
        assert now - told <= PASS_BUDGET
        told = now
        assert len(crowd.loop.later) == 1
    assert min(wire.written.count(KEEP_ALIVE) for wire in wires) >= 1
    assert max(wire.written.count(KEEP_ALIVE) for wire in wires) <= 2


async def test_who_was_told_something_needs_no_sign_of_life(stack: ExitStack) -> None:
    """An event counts as a sign of life."""
    crowd = Crowd(stack, StaticService(UP), Limits(keep_alive_s=15))
    wire, _ = crowd.join()
    for _ in range(10):
        crowd.service.edge(DOWN)
        crowd.passes()
        crowd.loop.go_on(7)
    assert KEEP_ALIVE not in wire.written


async def test_catching_up_many_holds_nobody_up(stack: ExitStack) -> None:
    """While readers from far behind are caught up, those who are not get what is new, and each pass stays bounded."""
    service = StaticService(UP)
    for _ in range(500):
        service.edge(DOWN)
    crowd = Crowd(stack, service)
    now, _ = crowd.join()
    late = [crowd.join(seen=number % 400)[0] for number in range(1000)]
    crowd.loop.turn()
    service.edge(UP)
    for _ in range(50):
        before = sum(len(wire.written) for wire in late)
        crowd.loop.turn()
        assert sum(len(wire.written) for wire in late) - before <= PASS_BUDGET
        assert now.seqs == [501]  # in the first pass, although hundreds wait for what is old
    crowd.passes()
    assert [wire.seqs for wire in late] == [list(range(number % 400 + 1, 502)) for number in range(1000)]


async def test_who_has_gone_is_not_written_to(stack: ExitStack) -> None:
    """A reader that goes in the middle of a walk costs the others nothing, and its task is told."""
    crowd = Crowd(stack, StaticService(UP))
    (gone, reader), (there, _) = crowd.join(), crowd.join(chunked=True)
    crowd.service.edge(DOWN)
    gone.aborted = True
    crowd.passes()
    assert (gone.written, reader.gone.done(), there.seqs) == ([], True, [1])
    head, _, rest = there.written[0].partition(b"\r\n")
    assert (int(head, 16), rest[-2:]) == (len(rest) - 2, b"\r\n")  # RFC 9112 section 7.1
