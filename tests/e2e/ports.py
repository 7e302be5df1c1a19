"""Free TCP ports below the kernel's ephemeral range, so that no outgoing probe ever takes one between two starts."""

from __future__ import annotations

import os
import socket

FIRST, LAST = 20000, 32000

_next = FIRST + os.getpid() * 37 % (LAST - FIRST)


def free_port() -> int:
    """Return a loopback port that nobody listens on; never the same one twice in a run. Raises RuntimeError."""
    global _next  # noqa: PLW0603 - one counter a test run is the point
    for _ in range(LAST - FIRST):
        port = _next
        _next = FIRST + (port + 1 - FIRST) % (LAST - FIRST)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port between {FIRST} and {LAST}")
