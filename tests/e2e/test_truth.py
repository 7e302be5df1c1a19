"""A fault of the prober never becomes a failure of the service: stalls and pauses of our own, on real sockets."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.servers import misbehaving
from tests.e2e.servers.misbehaving import Peer
from tests.e2e.service import Service
from tests.e2e.stalling import STALLS_S, TIMEOUT_S
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

SERVERS = 40
PROBES = 2000
PAUSE_S = 5.0
ANSWER_S = 0.05  # of every dialogue: there are always some under way when the loop stops


def thinks_first(peer: Peer, connection: socket.socket) -> None:
    """Greet a moment late, well within any time-out."""
    if peer.pause(ANSWER_S):
        misbehaving.says(b"220 hello\r\n")(peer, connection)


@pytest.fixture
def healthy() -> Iterator[Peer]:
    """A peer that is healthy all the time."""
    with Peer(thinks_first) as peer:
        yield peer


def watch(folder: Path, peer: Peer) -> Path:
    """Write a store in which one failure is an edge and a time-out comes soon."""
    quick = virtual_server(peer.port, poll_interval_s=0.1, probe_timeout_s=TIMEOUT_S, fall=1)
    write_metabase(folder / "store", {f"/smtp/{number}": quick for number in range(SERVERS)})
    return folder / "store"


def wait_for_rounds(peer: Peer, rounds: int) -> None:
    """Wait until every server was asked again, that many times."""
    served = peer.served
    wait_until(lambda: peer.served > served + rounds * SERVERS, f"{rounds} rounds of probes", 10.0)


def no_false_failure(service: Service, edges: int) -> None:
    """Hold it to: no failure was counted, no edge was told, everything is alive."""
    failures = {key: value for key, value in service.metrics().items() if "probe_failures_total" in key[0]}
    assert failures == {}
    assert len(service.events()) == edges
    assert all(each["alive"] for each in service.resources().values())


def test_a_stalled_event_loop_makes_no_false_failure(folder: Path, healthy: Peer) -> None:
    """0 of 2,000 probes of a healthy server fail while the loop is stalled for up to ten times the time-out."""
    program = (sys.executable, "-m", "tests.e2e.stalling")
    with Service(watch(folder, healthy), program=program) as service:
        service.wait_all_alive()
        edges, first = len(service.events()), healthy.served
        stalls = 0
        while healthy.served - first < PROBES or stalls < 2 * len(STALLS_S):
            service.signal(signal.SIGUSR1)
            stalls += 1
            wait_for_rounds(healthy, 1)
        no_false_failure(service, edges)


def test_a_pause_of_our_own_makes_no_false_failure(folder: Path, healthy: Peer) -> None:
    """SIGSTOP of looksalive for 5 s with dialogues under way and SIGCONT: not one false failure, not one edge."""
    with Service(watch(folder, healthy)) as service:
        service.wait_all_alive()
        edges = len(service.events())
        service.signal(signal.SIGSTOP)
        threading.Event().wait(PAUSE_S)  # the pause itself is what is tested
        service.signal(signal.SIGCONT)
        wait_for_rounds(healthy, 3)
        no_false_failure(service, edges)
