"""The command with an event loop that sticks for good: SIGUSR1 blocks it, as a call that never returns does.

Run as `python -m tests.e2e.stuck ARGUMENT ...`.
"""

from __future__ import annotations

import signal
import sys
import threading

from probe.cli import main as carry_out


def stick_for_good(*_: object) -> None:
    """Never return."""
    threading.Event().wait()


def main() -> int:
    """Install the block and carry out the command line."""
    signal.signal(signal.SIGUSR1, stick_for_good)
    return carry_out()


if __name__ == "__main__":
    sys.exit(main())
