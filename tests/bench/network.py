"""A network of our own to measure in: nobody else's connections, and no packet filter that counts them all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

INSIDE = "LOOKSALIVE_BENCH_NETWORK"  # set where it is ours already


def enter_own_network(words: Sequence[str]) -> None:
    """Run the benchmarks again in a network namespace of their own, as root; else go on in the one that is.

    A packet filter that tracks connections costs every probe of every contender, and once its table is full of probes
    that were made, it drops packets.
    """
    if os.environ.get(INSIDE):
        subprocess.run([_tool("ip"), "link", "set", "lo", "up"], check=True)
    elif os.geteuid() == 0 and _tool("unshare") and _tool("ip"):
        command = [_tool("unshare"), "--net", "--", sys.executable, "-m", "tests.bench", *words]
        os.execve(command[0], command, os.environ | {INSIDE: "yes"})


def _tool(name: str) -> str:
    return shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") or ""
