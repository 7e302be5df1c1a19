"""Many small servers of our own to kill, and the service's word on each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.ports import free_port
from tests.e2e.servers import nursery
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server


class Listeners:
    """So many SMTP servers, each a process with a listener of its own; resource `/smtp/N` asks the N-th."""

    def __init__(self, count: int) -> None:
        self.ports = [free_port() for _ in range(count)]
        self.pids: list[int] = []

    @property
    def keys(self) -> dict[str, dict[str, Any]]:
        """The metabase keys that ask them."""
        return {f"/smtp/{number}": virtual_server(port) for number, port in enumerate(self.ports)}

    def kill(self, number: int) -> float:
        """SIGKILL the N-th and return the wall clock of the moment before."""
        at = time.time()
        os.kill(self.pids[number], signal.SIGKILL)
        return at

    def __enter__(self) -> Self:
        pipe = subprocess.PIPE
        command = [sys.executable, str(Path(nursery.__file__)), *map(str, self.ports)]
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        assert self._process.stdout is not None
        self.pids = [int(pid) for pid in self._process.stdout.readline().split()]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()


def failures(service: Service) -> dict[str, list[dict[str, Any]]]:
    """Return the failures published so far, by resource."""
    found: dict[str, list[dict[str, Any]]] = {}
    after = 0
    while page := service.get(f"/api/v1/events?after={after}").json["events"]:
        after = page[-1]["seq"]
        for event in page:
            if event["kind"] == "state" and event["to"] == "failed":
                found.setdefault(event["id"], []).append(event)
    return found
