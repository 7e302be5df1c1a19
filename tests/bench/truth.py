"""What a prober in trouble says of servers that are healthy all the time: it may not know, it must not call one failed.

Each trouble lasts a number of probes or, where hardly any can be made, a number of seconds. One server more, which does
not count, is killed in the middle of each: how long that is not seen, with nothing but probes to see it by, is the
price of the patience.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.ports import free_port
from tests.e2e.servers import greeter
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.real import RealServer
from tests.e2e.service import Service
from tests.e2e.stalling import STALLS_S, TIMEOUT_S
from tests.e2e.starving import by_neighbours, by_quota
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

SERVERS = 100
PERIOD_S = 0.1
BETWEEN_STALLS_S = 0.5
STOPPED_S = 30.0
RUNNING_S = 10.0
STARVED_S = 30.0
DIES_AFTER_S = 10.0  # in the middle of the first stop, of the 30 s of starvation, of the stalls
FOUND_WITHIN_S = 120.0
MORTAL = "smtp-mortal"
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
    found_s: float  # after its death, the server that was killed


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
    with tempfile.TemporaryDirectory(prefix="latruth-") as name, _surroundings(Path(name)) as ground:
        rows = [_row(ground, neighbours, 0), _row(ground, quota, 0), _row(ground, stops, probes // 10)]
        rows.append(_row(ground, stalls, max(1, probes - sum(row.probes for row in rows))))
        return rows


def table(rows: list[Row]) -> str:
    """Write the rows and their sum for people."""
    lines = [f"{SERVERS} healthy servers, each every {PERIOD_S:g} s", _line("trouble", ("s", *_HEADS))]
    together = tuple(sum(column) for column in zip(*map(_numbers, rows), strict=True))
    found = [f"{row.found_s:.1f} s" for row in rows]
    for trouble, numbers, last in [
        *zip((row.trouble for row in rows), map(_numbers, rows), found, strict=True),
        ("together", together, ""),
    ]:
        lines.append(_line(trouble, (*(f"{number:.0f}" for number in numbers), last)))
    return "\n".join(lines)


_HEADS = ("probes", "false failures", "unknown", "edges", "a death found")


def _numbers(row: Row) -> tuple[float, ...]:
    return (row.seconds, row.probes, row.failures, row.unknowns, row.edges)


def _line(first: str, columns: tuple[str, ...]) -> str:
    return f"{first:<52}" + "".join(f"{column:>16}" for column in columns)


@dataclass(frozen=True)
class Ground:
    """The service, the one server that is to die, and the service's log."""

    service: Service
    mortal: RealServer
    log: Path

    def deaths(self) -> int:
        """Count how often the mortal one was told failed: the log is there however starved the service is."""
        return self.log.read_text(errors="replace").count(f"{MORTAL} went from online to failed")

    def die(self, enough: threading.Event) -> float:
        """Kill the mortal one after a while; return how long it took to be told, or raise TooLateError."""
        enough.wait(DIES_AFTER_S)
        before = self.deaths()
        self.mortal.kill()
        killed = time.monotonic()
        wait_until(lambda: self.deaths() > before, "the death to be told", FOUND_WITHIN_S)
        return time.monotonic() - killed


def _row(ground: Ground, trouble: Trouble, probes: int) -> Row:
    service, enough = ground.service, threading.Event()
    before, begun, edges = _counted(service), time.monotonic(), _edges(service)
    with ThreadPoolExecutor(1) as beside:
        death = beside.submit(ground.die, enough)
        said = trouble(service, probes)
        enough.set()  # where the trouble was shorter than that
        found_s = death.result()
    seconds = time.monotonic() - begun
    ground.mortal.start()
    service.wait_all_alive(30.0)
    made, failed, unknown = (now - was for now, was in zip(_counted(service), before, strict=True))
    return Row(said, seconds, made, failed, unknown, _edges(service) - edges, found_s)


def _counted(service: Service) -> tuple[int, ...]:
    samples = [
        (name, value) for (name, labels), value in service.metrics().items() if ("resource", MORTAL) not in labels
    ]
    return tuple(int(sum(value for name, value in samples if name == f"looksalive_{each}")) for each in COUNTERS)


def _edges(service: Service) -> int:
    return sum(each["id"] != f"default/{MORTAL}" for each in service.events())


@contextlib.contextmanager
def _surroundings(folder: Path) -> Iterator[Ground]:
    folder.chmod(0o755)
    port, dying, shown = free_port(), free_port(), Authority(folder).good
    quick: dict[str, Any] = {"poll_interval_s": PERIOD_S, "probe_timeout_s": TIMEOUT_S, "fall": 1}
    keys = {f"/smtp/{number}": virtual_server(port, **quick) for number in range(SERVERS)}
    write_metabase(folder / "store", keys | {"/smtp/mortal": virtual_server(dying, **quick)})

    def server(name: str, port: int) -> RealServer:
        own = folder / name
        own.mkdir()
        shown_by = (str(shown.certificate_file), str(shown.key_file))
        return RealServer(own, [sys.executable, str(greeter.__file__), str(port), *shown_by], (port,))

    program = (sys.executable, "-m", "tests.e2e.stalling")
    with (
        server("healthy", port),
        server("mortal", dying) as mortal,
        Service(folder / "store", "--kernel-events", "off", program=program) as service,
    ):
        service.wait_all_alive()
        yield Ground(service, mortal, folder / "looksalive.log")


def _let_pass(seconds: float) -> None:
    threading.Event().wait(seconds)
