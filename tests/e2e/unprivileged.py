"""The command as a sidecar without any privilege: uid 65534, no capability, never to gain one.

Run as `python -m tests.e2e.unprivileged ARGUMENT ...`; what is left of our privileges goes to stderr first. The
interpreter may live where only root looks, so whatever is imported late is imported before.
"""

from __future__ import annotations

import ctypes
import encodings.ascii
import encodings.idna  # noqa: F401 - imported late, by the first look-up
import os
import sys
from pathlib import Path

import uvloop  # noqa: F401 - imported late, by `run`

import probe.cli.run  # noqa: F401 - imported late
from probe.cli import main as carry_out

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


if __name__ == "__main__":
    sys.stderr.write(give_up_privileges() + "\n")
    sys.exit(carry_out())
