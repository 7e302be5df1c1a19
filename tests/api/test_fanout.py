"""Seats and shared frames, each by itself."""

from __future__ import annotations

import asyncio

import pytest

from probe.api.errors import Problem
from probe.api.fanout import FRAMES_KEPT, Frames, Seats
from tests.api.service import StaticService, failed, report


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
