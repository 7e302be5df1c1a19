"""The command as a sidecar without any privilege: uid 65534, no capability, never to gain one.

Run as `python -m tests.e2e.unprivileged ARGUMENT ...`; what is left of our privileges goes to stderr first. The
interpreter may live where only root looks, so whatever is imported late is imported before.
"""

from __future__ import annotations

import encodings.ascii
import encodings.idna  # noqa: F401 - imported late, by the first look-up
import sys

import uvloop  # noqa: F401 - imported late, by `run`

import probe.cli.run  # noqa: F401 - imported late
from probe.cli import main as carry_out
from tests.environment.privileges import give_up_privileges

if __name__ == "__main__":
    sys.stderr.write(give_up_privileges() + "\n")
    sys.exit(carry_out())
