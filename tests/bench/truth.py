"""What a prober in trouble says of servers that are healthy all the time: it may not know, it must not call one failed.

Each trouble lasts a number of probes or, where hardly any can be made, a number of seconds.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.servers import greeter
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.real import RealServer
from tests.e2e.service import Service
from tests.e2e.stalling import STALLS_S, TIMEOUT_S
from tests.e2e.starving import by_neighbours, by_quota
from tests.e2e.stores import virtual_server, write_metabase

SERVERS = 100
PERIOD_S = 0.1
BETWEEN_STALLS_S = 0.5
STOPPED_S = 30.0
RUNNING_S = 10.0
STARVED_S = 30.0
COUNTERS = ("probe_attempts_total", "probe_failures_total", "probe_unknown_total")


@dataclass(frozen=True)
class Row:
    """What was counted during one trouble."""

    trouble: str
    seconds: float
    probes: int
    failures: int
    unknowns: int
    edges: int


Trouble = Callable[[Service, int], str]  # the least number of probes -> what was done, for people


def stalls(service: Service, probes: int) -> str:
    """Stall the loop by up to ten time-outs, again and again, until so many probes were made."""
    until, number = _counted(service)[0] + probes, 0
    while _counted(service)[0] < until:
        service.signal(signal.SIGUSR1)
        _let_pass(STALLS_S[number % len(STALLS_S)] + BETWEEN_STALLS_S)
        number += 1
    return f"{number} stalls of {STALLS_S[0]:g} to {STALLS_S[-1]:g} s (time-out {TIMEOUT_S:g} s)"


def stops(service: Service, probes: int) -> str:
    """Stop the whole process, let it run on, until so many probes were made; once at least."""
    until, number = _counted(service)[0] + probes, 0
    while not number or _counted(service)[0] < until:
        service.signal(signal.SIGSTOP)
        _let_pass(STOPPED_S)
        service.signal(signal.SIGCONT)
        _let_pass(RUNNING_S)
        number += 1
    return f"{number} times stopped for {STOPPED_S:g} s"


def neighbours(service: Service, _probes: int) -> str:
    """Leave it at the worst priority beside busy processes."""
    with by_neighbours(service.pid) as how:
        _let_pass(STARVED_S)
    return how


def quota(service: Service, _probes: int) -> str:
    """Leave it a small share of a processor."""
    with by_quota(service.pid) as how:
        _let_pass(STARVED_S)
    return how


def measure(probes: int) -> list[Row]:
    """Run the troubles one after the other; the stalls make up what the others leave of `probes`."""
    with tempfile.TemporaryDirectory(prefix="latruth-") as name, _surroundings(Path(name)) as service:
        rows = [_row(service, neighbours, 0), _row(service, quota, 0), _row(service, stops, probes // 10)]
        rows.append(_row(service, stalls, max(1, probes - sum(row.probes for row in rows))))
        return rows


def table(rows: list[Row]) -> str:
    """Write the rows and their sum for people."""
    lines = [f"{SERVERS} healthy servers, each every {PERIOD_S:g} s", _line("trouble", ("s", *_HEADS))]
    together = tuple(sum(column) for column in zip(*map(_numbers, rows), strict=True))
    for trouble, numbers in [*((row.trouble, _numbers(row)) for row in rows), ("together", together)]:
        lines.append(_line(trouble, tuple(f"{number:.0f}" for number in numbers)))
    return "\n".join(lines)


_HEADS = ("probes", "false failures", "unknown", "edges")


def _numbers(row: Row) -> tuple[float, ...]:
    return (row.seconds, row.probes, row.failures, row.unknowns, row.edges)


def _line(first: str, columns: tuple[str, ...]) -> str:
    return f"{first:<52}" + "".join(f"{column:>16}" for column in columns)


def _row(service: Service, trouble: Trouble, probes: int) -> Row:
    before, begun, edges = _counted(service), time.monotonic(), len(service.events())
    said = trouble(service, probes)
    seconds = time.monotonic() - begun
    service.wait_all_alive(30.0)
    made, failed, unknown = (now - was for now, was in zip(_counted(service), before, strict=True))
    return Row(said, seconds, made, failed, unknown, len(service.events()) - edges)


def _counted(service: Service) -> tuple[int, ...]:
    samples = service.metrics().items()
    return tuple(
        int(sum(value for (name, _), value in samples if name == f"looksalive_{counter}")) for counter in COUNTERS
    )


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[Service]:
    folder.chmod(0o755)
    port, shown = free_port(), Authority(folder).good
    keys = {
        f"/smtp/{number}": virtual_server(port, poll_interval_s=PERIOD_S, probe_timeout_s=TIMEOUT_S, fall=1)
        for number in range(SERVERS)
    }
    write_metabase(folder / "store", keys)
    command = [sys.executable, str(greeter.__file__), str(port), str(shown.certificate_file), str(shown.key_file)]
    program = (sys.executable, "-m", "tests.e2e.stalling")
    with RealServer(folder, command, (port,)), Service(folder / "store", program=program) as service:
        service.wait_all_alive()
        yield service


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)
