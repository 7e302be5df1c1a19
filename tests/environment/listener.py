"""A program that listens until it is killed: `python -m tests.environment.listener ADDRESS [shared]` prints its port.

With `shared` it forks: a second process holds the same listening socket, and its pid is printed behind the port.
"""

from __future__ import annotations

import os
import signal
import socket
import sys


def main() -> None:
    """Listen at a port of the kernel's choice until a signal ends it."""
    address = sys.argv[1]
    listening = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
    port = listening.getsockname()[1]
    other = os.fork() if "shared" in sys.argv else 0
    if not other and "shared" in sys.argv:
        signal.pause()
    sys.stdout.write(f"{port} {other}\n")
    sys.stdout.flush()
    signal.pause()


main()
