"""A program that watches listeners as somebody without any privilege: `python -m tests.environment.watcher`.

It gives up everything first, says so, says when it listens, and then prints each death as `ADDRESS PORT`. It ends when
its standard input does, so that it never outlives whoever started it.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from pathlib import Path

from probe.environment import Gone
from probe.environment.netlink import NetlinkListeners

NOBODY = 65534
PR_SET_NO_NEW_PRIVS = 38


def give_up_privileges() -> str:
    """Become nobody for good (where we are root), and return what the kernel says we have left."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    wanted = ("CapEff:", "CapPrm:", "NoNewPrivs:")
    lines = Path("/proc/self/status").read_text().splitlines()
    return " ".join("".join(line.split()) for line in lines if line.startswith(wanted))


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
