"""Seats, the turnstile and shared frames, each by itself."""

from __future__ import annotations

import asyncio

import pytest

from probe.api.errors import Problem
from probe.api.fanout import FRAMES_KEPT, Frames, Seats, Turnstile
from tests.api.service import StaticService, failed, report


async def test_a_turnstile_lets_a_slice_through_in_each_pass() -> None:
    """Of many tasks that wake at once at most so many go on in one pass of the loop, in their order, and all do."""
    turnstile = Turnstile(50)
    loop = asyncio.get_running_loop()
    passes: list[list[int]] = [[]]
    over = False

    def tick() -> None:
        passes.append([])
        if not over:
            loop.call_soon(tick)

    async def reader(number: int) -> None:
        await turnstile.enter()
        passes[-1].append(number)

    loop.call_soon(tick)
    await asyncio.gather(*map(reader, range(1000)))
    over = True
    assert max(map(len, passes)) == 50
    assert [number for one in passes for number in one] == list(range(1000))


async def test_a_reader_that_goes_takes_no_turn() -> None:
    """A cancelled waiter neither blocks the ones behind it nor uses up their turns."""
    turnstile = Turnstile(1)
    tasks = [asyncio.ensure_future(turnstile.enter()) for _ in range(10)]
    await asyncio.sleep(0)
    for task in tasks[2:8]:
        task.cancel()
    async with asyncio.timeout(2):
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in results] == [False] * 2 + [True] * 6 + [False] * 2


async def test_seats_end_with_us() -> None:
    """Clearing the seats cancels whoever holds one, and nobody else; a full room is a 503."""
    seats = Seats(1, "streams")

    async def sit() -> None:
        with seats.taken():
            await asyncio.get_running_loop().create_future()

    sitting = asyncio.ensure_future(sit())
    await asyncio.sleep(0)
    with pytest.raises(Problem) as refused, seats.taken():
        pass
    assert refused.value.status == 503
    seats.clear()
    await asyncio.wait([sitting])
    assert sitting.cancelled()
    with seats.taken():
        pass


async def test_frames_are_shared_and_bounded() -> None:
    """The same event gives the same bytes, made once; only the last ones are kept."""
    service, frames = StaticService(report("smtp")), Frames()
    events = [service.edge(failed("smtp")) for _ in range(FRAMES_KEPT + 10)]
    first = frames.of(events[0])
    assert frames.of(events[0]) is first
    for event in events[1:]:
        frames.of(event)
    assert frames.of(events[-1]) is frames.of(events[-1])
    again = frames.of(events[0])
    assert again == first
    assert again is not first
