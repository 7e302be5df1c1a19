"""Run a command whose every `connect` is refused with EPERM: `python -m tests.truth.sandbox COMMAND...`."""

from __future__ import annotations

import os
import sys

from tests.truth.ground import forbid_connect

if __name__ == "__main__":
    forbid_connect()
    os.execvp(sys.argv[1], sys.argv[1:])
