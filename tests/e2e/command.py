"""The command as a user runs it: a program with arguments, an exit status and two streams."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "probe.cli")
ENDS_WITHIN_S = 30.0


def surroundings(**variables: str) -> dict[str, str]:
    """Return the environment of the command: ours, the project importable, and `variables`."""
    return os.environ | {"PYTHONPATH": str(PROJECT), **variables}


def looksalive(*arguments: str, timeout_s: float = ENDS_WITHIN_S) -> subprocess.CompletedProcess[str]:
    """Run the command to its end. Raises TimeoutExpired."""
    return subprocess.run(
        [*COMMAND, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        env=surroundings(),
        cwd="/",
        check=False,
    )
