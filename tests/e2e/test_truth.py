"""A fault of the prober never becomes a failure of the service: stalls and pauses of our own, on real sockets."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.ports import free_port
from tests.e2e.servers import greeter
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.real import RealServer
from tests.e2e.service import Service
from tests.e2e.stalling import STALLS_S, TIMEOUT_S
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

SERVERS = 50
UPGRADED = 10  # of them go through STARTTLS: five answers a dialogue
PROBES = 2000
STALLS = 2 * len(STALLS_S)
PAUSE_S = 5.0


@pytest.fixture
def store(folder: Path, authority: Authority) -> Iterator[Path]:
    """A store in which one failure is an edge and a time-out comes soon, on a server that is healthy all the time."""
    port = free_port()
    quick = virtual_server(port, poll_interval_s=0.1, probe_timeout_s=TIMEOUT_S, fall=1)
    upgraded = {**quick, "poll_interval_s": 0.2, "starttls": "required", "tls": {"ca_file": str(authority.ca_file)}}
    keys = {f"/smtp/{number}": upgraded if number < UPGRADED else quick for number in range(SERVERS)}
    write_metabase(folder / "store", keys)
    shown = authority.good
    command = [sys.executable, str(greeter.__file__), str(port), str(shown.certificate_file), str(shown.key_file)]
    with RealServer(folder, command, (port,)):
        yield folder / "store"


def probed(service: Service) -> float:
    """Return how many probes were started."""
    samples = service.metrics().items()
    return sum(value for (name, _), value in samples if name == "looksalive_probe_attempts_total")


def wait_for_probes(service: Service, probes: int) -> None:
    """Wait until so many more probes were started."""
    begun = probed(service)
    wait_until(lambda: probed(service) >= begun + probes, f"{probes} more probes", 20.0)


def no_false_failure(service: Service, edges: int) -> None:
    """Hold it to: no failure was counted, no edge was told, everything is alive."""
    failures = {key: value for key, value in service.metrics().items() if "probe_failures_total" in key[0]}
    assert failures == {}
    assert len(service.events()) == edges
    assert all(each["alive"] for each in service.resources().values())


def test_a_stalled_event_loop_makes_no_false_failure(store: Path) -> None:
    """0 of 2,000 probes of a healthy server fail while the loop is stalled for up to ten times the time-out."""
    program = (sys.executable, "-m", "tests.e2e.stalling")
    with Service(store, program=program) as service:
        service.wait_all_alive()
        edges = len(service.events())
        for _ in range(STALLS):
            service.signal(signal.SIGUSR1)
            wait_for_probes(service, PROBES // STALLS)
        no_false_failure(service, edges)


def test_a_pause_of_our_own_makes_no_false_failure(store: Path) -> None:
    """SIGSTOP of looksalive for 5 s with dialogues under way and SIGCONT: not one false failure, not one edge."""
    with Service(store) as service:
        service.wait_all_alive()
        edges = len(service.events())
        service.signal(signal.SIGSTOP)
        threading.Event().wait(PAUSE_S)  # the pause itself is what is tested
        service.signal(signal.SIGCONT)
        wait_for_probes(service, 3 * SERVERS)
        no_false_failure(service, edges)
