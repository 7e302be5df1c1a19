"""Calls that block, each in a thread of its own: joined by their key, cancelled without harm, bounded."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import sys
import threading

import pytest

from probe.environment.threads import DaemonThreads
from tests.environment.until import until

ENDS_WITHIN_S = 30


async def test_a_call_returns_and_raises_through_the_thread() -> None:
    """What the call returns or raises is the caller's; it ran on another thread."""
    threads = DaemonThreads()
    assert await threads.run("a", threading.get_ident) != threading.get_ident()
    with pytest.raises(FileNotFoundError):
        await threads.run("a", lambda: open("/nonesuch").close())
    assert threads.count == 0


async def test_a_call_that_hangs_is_never_made_twice() -> None:
    """S65: while a call hangs the next ones of its key wait for it; a cancel ends the waiting; all get its answer."""
    threads, hangs, calls = DaemonThreads(), threading.Event(), []

    def call() -> str:
        calls.append(1)
        hangs.wait()
        return "back"

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await threads.run("nfs", call)
    assert threads.count == 1
    waiting = [asyncio.ensure_future(threads.run("nfs", call)) for _ in range(3)]
    assert await threads.run("other", lambda: "quick") == "quick"
    assert len(calls) == 1
    waiting[0].cancel()
    hangs.set()
    assert await asyncio.gather(*waiting[1:]) == ["back", "back"]
    assert threads.count == 0
    assert await threads.run("nfs", call) == "back"
    assert len(calls) == 2


async def test_the_loop_goes_on_meanwhile() -> None:
    """S51: a call that blocks keeps nobody but its caller."""
    threads, hangs = DaemonThreads(), threading.Event()
    waiting = asyncio.ensure_future(threads.run("slow", hangs.wait))
    await asyncio.sleep(0)
    assert not waiting.done()
    hangs.set()  # which a blocked loop would never come to
    assert await waiting


async def test_too_many_hanging_calls_are_refused() -> None:
    """Beyond the bound a call is refused as our own lack, EAGAIN; room comes back when one returns."""
    threads, hangs = DaemonThreads(threads_max=2), threading.Event()
    waiting = [asyncio.ensure_future(threads.run(key, hangs.wait)) for key in "ab"]
    await asyncio.sleep(0)
    with pytest.raises(OSError, match="have not returned") as raised:
        await threads.run("c", lambda: None)
    assert raised.value.errno == errno.EAGAIN
    hangs.set()
    await asyncio.gather(*waiting)
    await until(lambda: not threads.count, "both to be gone")
    assert await threads.run("c", lambda: 3) == 3


def test_a_thread_that_hangs_does_not_keep_us_from_ending() -> None:
    """S51: the interpreter ends although a call never returns."""
    program = (
        "import asyncio, threading\n"
        "from probe.environment.threads import DaemonThreads\n"
        "async def main():\n"
        "    try:\n"
        "        async with asyncio.timeout(0.05):\n"
        "            await DaemonThreads().run('k', threading.Event().wait)\n"
        "    except TimeoutError:\n"
        "        print('gave up')\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=ENDS_WITHIN_S, check=True
    )
    assert done.stdout == "gave up\n"
