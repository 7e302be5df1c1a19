"""A stuck event loop ends the process for its supervisor; the services run on, and the next start adopts them."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.processes import stat_of
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase

LIMIT_S = 2
STUCK = (sys.executable, "-m", "tests.e2e.stuck")
SERVER = "import socket, sys\ns = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()"


def write_store(folder: Path) -> Path:
    """A store with one service of our own that only accepts."""
    port = free_port()
    write_metabase(folder / "store", {"/tcp/1": virtual_server(port)})
    command = process([sys.executable, "-c", SERVER, str(port)])
    resource = {"type": "tcp", "parameters": {"virtual_server": "/tcp/1"}, "controller": command}
    write_cluster(folder / "store", "own", {"accepting": resource})
    return folder / "store"


def test_a_stuck_loop_ends_us_and_no_service(folder: Path) -> None:
    """Exit status 70 after `--watchdog-s`, with the blocking call's stack in the log; the service is adopted."""
    store = write_store(folder)
    with Service(store, "--watchdog-s", str(LIMIT_S), program=STUCK) as service:
        pid = service.wait_all_alive()["own/accepting"]["pid"]
        service.signal(signal.SIGUSR1)
        assert service.ended(LIMIT_S + 4.0) == 70
        assert "stuck for 2 s" in service.log
        assert "stick_for_good" in service.log
    assert stat_of(pid) is not None
    with Service(store) as service:
        assert service.wait_all_alive()["own/accepting"]["pid"] == pid


def test_a_stopped_process_is_not_stuck(folder: Path) -> None:
    """SIGSTOP for longer than the limit and SIGCONT: we were not there, which is no fault of the loop."""
    with Service(write_store(folder), "--watchdog-s", str(LIMIT_S), program=STUCK) as service:
        service.wait_all_alive()
        service.signal(signal.SIGSTOP)
        threading.Event().wait(LIMIT_S + 1.5)  # the stop itself is what is tested
        service.signal(signal.SIGCONT)
        service.wait_all_alive()
        threading.Event().wait(1.0)
        assert "stuck" not in service.log
        assert service.stop() == 0


def test_without_a_limit_it_only_waits(folder: Path) -> None:
    """`LOOKSALIVE_WATCHDOG_S=0`: a stuck loop is left alone."""
    with Service(write_store(folder), program=STUCK, LOOKSALIVE_WATCHDOG_S="0") as service:
        service.wait_all_alive()
        service.signal(signal.SIGUSR1)
        threading.Event().wait(2.5)
        assert stat_of(service.pid) is not None
        service.kill()
