"""Telling the service manager how we are (sd_notify(3)): ready, reloading, stopping, alive.

Rules:
1. Without NOTIFY_SOCKET nothing is told, and nobody minds.
2. A message that cannot be sent is lost: we serve whether or not a manager listens. The first loss is logged.
3. WATCHDOG=1 is sent from the event loop itself, twice as often as the manager wants it: a stuck loop falls silent,
   and the manager ends us. WATCHDOG_PID, where it is set, must be ours.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping, MutableMapping

from probe.environment import Clock, Timer

PINGS_PER_WATCHDOG = 2
VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

log = logging.getLogger(__name__)


class Supervision:
    """The manager that started us, or nobody."""

    def __init__(self, clock: Clock, environment: MutableMapping[str, str]) -> None:
        """Take the variables out of `environment`: what we start is not to speak for us."""
        self._clock = clock
        self._path = environment.get("NOTIFY_SOCKET", "")
        self._interval_s = _interval_s(environment)
        for name in VARIABLES:
            environment.pop(name, None)
        self._timer: Timer | None = None
        self._lost = False
        self._socket: socket.socket | None = None
        if self._path[:1] in ("/", "@"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        elif self._path:
            log.warning("NOTIFY_SOCKET is neither a path nor an abstract name: nothing is told to the service manager")

    @property
    def listens(self) -> bool:
        """Whether there is somebody to tell."""
        return self._socket is not None

    def ready(self, status: str) -> None:
        """Say that we serve, and begin to say that we are alive."""
        self._tell("READY=1", f"STATUS={status}")
        if self.listens and self._interval_s and self._timer is None:
            self._ping()

    def reloading(self) -> None:
        """Say that the store is read again; `ready` follows. The time is what Type=notify-reload compares."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that we end."""
        self._tell("STOPPING=1")

    def close(self) -> None:
        """Tell nothing more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _ping(self) -> None:
        self._tell("WATCHDOG=1")
        self._timer = self._clock.call_at(self._clock.now() + self._interval_s, self._ping)

    def _tell(self, *lines: str) -> None:
        if self._socket is None:
            return
        address = "\0" + self._path[1:] if self._path.startswith("@") else self._path
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            self._socket.sendto(message.encode("utf-8", "replace"), address)
        except OSError as error:
            if not self._lost:
                log.warning("the service manager cannot be told: %s", error.strerror or error)
            self._lost = True


def _interval_s(environment: Mapping[str, str]) -> float:
    """Read how often to say that we are alive; 0: the manager does not want it from us."""
    text, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not (text.isascii() and text.isdigit()) or (pid and pid != str(os.getpid())):
        return 0.0
    return int(text) / 1_000_000 / PINGS_PER_WATCHDOG
