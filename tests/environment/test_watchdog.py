"""The watchdog over a loop that beats, or does not."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from probe.environment.clock import LoopClock
from probe.environment.watchdog import EXIT_STUCK, TICK_S, Watchdog, stacks


def stick(seconds: float) -> None:
    """Block the loop."""
    threading.Event().wait(seconds)


async def test_a_loop_that_beats_is_left_alone() -> None:
    """Slow is not stuck: stalls below the limit end nothing, and closing ends the thread."""
    ended: list[int] = []
    watchdog = Watchdog(LoopClock(), 2.0, ended.append)
    watchdog.start()
    await asyncio.sleep(0)
    stick(1.0)
    await asyncio.sleep(1.2)
    watchdog.close()
    watchdog.close()
    assert not ended
    assert all(thread.name != "watchdog" for thread in threading.enumerate())


async def test_a_loop_that_is_stuck_is_told_and_ended(caplog: pytest.LogCaptureFixture) -> None:
    """Past the limit: one entry with the stack of what blocks, then the end with its status."""
    caplog.set_level(logging.CRITICAL)
    ended: list[int] = []
    watchdog = Watchdog(LoopClock(), 1.0, ended.append)
    watchdog.start()
    await asyncio.sleep(0)
    stick(1.0 + 4 * TICK_S)
    watchdog.close()
    assert ended == [EXIT_STUCK]
    (told, _) = caplog.messages
    assert "stick(1.0 + 4 * TICK_S)" in told


def test_the_stacks_name_the_threads() -> None:
    """Every thread is there by its name."""
    go_on = threading.Event()
    waiting = threading.Thread(target=go_on.wait, name="the waiting one")
    waiting.start()
    text = stacks()
    go_on.set()
    waiting.join()
    assert "MainThread:" in text
    assert "the waiting one:" in text
