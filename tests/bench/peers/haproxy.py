"""HAProxy's health checks: one backend whose servers are the targets, no traffic."""

from __future__ import annotations

import csv
import io
import socket
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import Window
from tests.bench.peers.contender import Course
from tests.bench.peers.course import program_of, run_real
from tests.bench.peers.own import BANNER, GET, POLITE
from tests.e2e.servers.real import RealServer
from tests.e2e.waiting import wait_until

ANSWER_S = 10.0
FIRST_ROUND_S = 30.0  # beyond the period
ALIVE = "L7OK"
CONFIGURATION = """\
global
  nbthread 1
  maxconn 1000
  spread-checks 5
  stats socket {socket} level user
defaults
  mode tcp
  timeout connect 5s
  timeout server 5s
  timeout check 5s
backend targets
{check}
{servers}
"""
# A plain string is the cheapest of HAProxy's ways to look for a greeting.
TCP_CHECK = "  option tcp-check\n  tcp-check expect string 220"
SMTPCHK = "  option smtpchk HELO probe.example.org"
HTTPCHK = "  option httpchk GET /"


class HealthChecks(RealServer):
    """HAProxy in the foreground, one thread; it listens nowhere, its state is asked over a unix socket."""

    def __init__(self, folder: Path, check: str, addresses: list[str], period_s: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._socket = folder / "haproxy.sock"
        inter = f"check inter {round(period_s * 1000)}ms"
        servers = "\n".join(f"  server s{number} {address} {inter}" for number, address in enumerate(addresses))
        configuration = folder / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.format(socket=self._socket, check=check, servers=servers))
        super().__init__(folder, [program_of("haproxy", "haproxy"), "-db", "-f", str(configuration)], ())
        self._give_up_s = period_s + FIRST_ROUND_S

    def wait_all_alive(self, targets: int) -> None:
        """Return when every server was checked and is up; it calls them up before the first check, too."""
        wait_until(lambda: self._alive() == targets, f"HAProxy to find {targets} servers up", self._give_up_s)

    def pids(self) -> list[int]:
        """Name its one process."""
        return [self.pid]

    def _alive(self) -> int:
        try:
            rows = csv.DictReader(io.StringIO(self._ask("show stat")))
        except OSError:  # not there yet
            return 0
        return sum(row["status"] == "UP" and row["check_status"] == ALIVE for row in rows)

    def _ask(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(ANSWER_S)
            asking.connect(str(self._socket))
            asking.sendall(command.encode() + b"\n")
            pieces = []
            while piece := asking.recv(2**16):
                pieces.append(piece)
            return b"".join(pieces).decode()


@dataclass(frozen=True)
class HAProxy:
    """One kind of check."""

    name: str
    protocol: str
    ours: str
    check: str

    def run(self, course: Course, seconds: float) -> Window:
        """Measure it."""
        addresses = course.addresses(self.protocol)
        checks = HealthChecks(course.folder / "haproxy", self.check, addresses, course.pace.period_s)
        return run_real(course, checks, seconds)


CONTENDERS = (
    HAProxy("HAProxy tcp-check expect", "smtp", BANNER, TCP_CHECK),
    HAProxy("HAProxy smtpchk", "smtp", POLITE, SMTPCHK),
    HAProxy("HAProxy httpchk", "http", GET, HTTPCHK),
)
