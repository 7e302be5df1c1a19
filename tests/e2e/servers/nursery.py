"""Many SMTP servers to be killed one by one: `python nursery.py PORT…` forks one for each port and prints their pids.

Forked from one small process they cost next to nothing; each holds its own listener alone. All end with our input.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import NoReturn

GREETING, FAREWELL = b"220 nursery ESMTP\r\n", b"221 bye\r\n"
PATIENCE_S = 5.0


def serve(listening: socket.socket) -> NoReturn:
    """Greet, hear one line, say goodbye; one client at a time, until killed."""
    while True:
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE_S)
            connection.sendall(GREETING)
            if connection.recv(512):
                connection.sendall(FAREWELL)


def main(ports: list[int]) -> None:
    """Fork the servers, say who they are, and end them when nobody wants us any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the killed ones leave no zombies
    pids = []
    for port in ports:
        with socket.create_server(("127.0.0.1", port)) as listening:
            pid = os.fork()
            if not pid:
                serve(listening)
        pids.append(pid)
    sys.stdout.write(" ".join(map(str, pids)) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main([int(port) for port in sys.argv[1:]])
