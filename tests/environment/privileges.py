"""Becoming nobody for good, for programs that show what works without privileges."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

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
