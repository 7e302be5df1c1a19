"""monit: it asks its hosts one after the other, once a cycle, so that the pace is what comes of that."""

from __future__ import annotations

import http.client
import re
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.ground import Window
from tests.bench.peers.contender import Course, Pace
from tests.bench.peers.course import program_of, run_real
from tests.bench.peers.own import POLITE
from tests.e2e.servers.real import RealServer
from tests.e2e.waiting import wait_until

TARGETS_MAX = 1000
CYCLE_S = 1.0  # the least that it knows; the checks of a cycle come on top
ANSWER_S = 10.0
FIRST_ROUND_S = 60.0
AUTHORIZATION = "Basic YmVuY2g6bG9va3NhbGl2ZQ=="
CONFIGURATION = """\
set daemon 1
set pidfile {folder}/pid
set idfile {folder}/id
set statefile {folder}/state
set httpd unixsocket {folder}/monit.sock
  allow bench:looksalive
"""
# Its `expect` waits 200 ms for more behind every greeting, one host after the other: its SMTP dialogue does not.
HOST = "check host t{number} with address {address}\n  if failed port {port} protocol smtp then alert\n"
# A host that was asked has a time that the answer took, one that was not has -1.
GOOD = re.compile(r'<service type="4">(?:(?!</service>).)*<status>0</status>(?:(?!</service>).)*<responsetime>\d')


class Monit(RealServer):
    """monit in the foreground; its state is asked over a unix socket."""

    def __init__(self, folder: Path, addresses: list[str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._socket = folder / "monit.sock"
        configuration = folder / "monitrc"
        parts = [address.rpartition(":") for address in addresses]
        hosts = (HOST.format(number=number, address=at, port=port) for number, (at, _, port) in enumerate(parts))
        configuration.write_text(CONFIGURATION.format(folder=folder) + "".join(hosts))
        configuration.chmod(0o600)  # or it refuses it
        super().__init__(folder, [program_of("monit", "monit"), "-I", "-c", str(configuration)], ())

    def pids(self) -> list[int]:
        """Name its one process."""
        return [self.pid]

    def wait_all_alive(self, targets: int) -> None:
        """Return when every host was checked and is well."""
        wait_until(lambda: self._alive() == targets, f"monit to find {targets} hosts well", FIRST_ROUND_S)

    def _alive(self) -> int:
        try:
            return len(GOOD.findall(self._status()))
        except (OSError, http.client.HTTPException):  # not there yet
            return 0

    def _status(self) -> str:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(ANSWER_S)
            asking.connect(str(self._socket))
            connection = http.client.HTTPConnection("localhost")
            connection.sock = asking
            connection.request("GET", "/_status?format=xml", headers={"Authorization": AUTHORIZATION})
            return connection.getresponse().read().decode("latin-1")


@dataclass(frozen=True)
class HostChecks:
    """Its SMTP dialogue: EHLO and QUIT."""

    name: str = "monit smtp"
    protocol: str = "smtp"
    ours: str = POLITE

    def run(self, course: Course, seconds: float) -> Window:
        """Measure it with a bounded number of targets."""
        bounded = replace(course, pace=Pace(min(course.pace.targets, TARGETS_MAX), CYCLE_S))
        return run_real(bounded, Monit(course.folder / "monit", bounded.addresses(self.protocol)), seconds)


CONTENDERS = (HostChecks(),)
