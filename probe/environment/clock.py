"""The real clock and the real chance."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Callable

TIMER_RESOLUTION = 1000  # steps a second; libuv's timers know whole milliseconds


class LoopClock:
    """`Clock` over the running event loop, asyncio's or uvloop's; both count as `time.monotonic` does.

    Raises RuntimeError without a running loop.
    """

    now = staticmethod(time.monotonic)  # not loop.time(): uvloop's is as old as the pass, and would hide a stall
    wall = staticmethod(time.time)

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    def call_at(self, when: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Call once when `when` is reached, rounded up to the next millisecond; the handle cancels it."""
        return self._loop.call_at(math.ceil(when * TIMER_RESOLUTION) / TIMER_RESOLUTION, call)

    async def sleep(self, seconds: float) -> None:
        """Wait; with 0 let one pass of the loop go by."""
        await asyncio.sleep(seconds)


class SystemRandomness:
    """`Randomness` for spreading work; nothing secret is made of it."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - jitter, not a secret

    def uniform(self, low: float, high: float) -> float:
        """Return a number between the two."""
        return self._random.uniform(low, high)
