"""The command with an event loop that can be stalled on purpose: SIGUSR1 blocks it for the next of STALLS_S.

Run as `python -m tests.e2e.stalling ARGUMENT ...`. A Python signal handler runs in the loop's own thread between two
steps of the interpreter, so nothing of the loop moves while it sleeps, as with any slow call in a callback.
"""

from __future__ import annotations

import itertools
import signal
import sys
import time

from probe.cli import main as carry_out

TIMEOUT_S = 0.4
STALLS_S = tuple(TIMEOUT_S * times for times in (0.5, 1.5, 4, 10))  # up to ten times the time-out


def main() -> int:
    """Install the stall and carry out the command line."""
    stalls = itertools.cycle(STALLS_S)
    signal.signal(signal.SIGUSR1, lambda *_: time.sleep(next(stalls)))
    return carry_out()


if __name__ == "__main__":
    sys.exit(main())
