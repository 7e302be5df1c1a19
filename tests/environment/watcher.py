"""A program that watches listeners as somebody without any privilege: `python -m tests.environment.watcher`.

It gives up everything first, says so, says when it listens, and then prints each death as `ADDRESS PORT`. It ends when
its standard input does, so that it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import sys

from probe.environment import Gone
from probe.environment.netlink import NetlinkListeners
from tests.environment.privileges import give_up_privileges


async def watch() -> None:
    """Print every death until our input ends."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)

    def told(deaths: list[Gone]) -> None:
        for gone in deaths:
            say(f"{gone.address} {gone.port}")

    NetlinkListeners().open(told, lambda: say("overrun"))
    say("listening")
    await ended.wait()


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


say(give_up_privileges())
asyncio.run(watch())
