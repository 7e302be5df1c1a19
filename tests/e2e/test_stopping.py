"""Ends of looksalive itself: what it must stop and what it must leave."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import descendants, sessions_mentioning, stat_of
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import accepts
from tests.e2e.service import STOPS_WITHIN_S, Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

STUBBORN = "trap '' TERM INT HUP; while :; do sleep 0.2; done"


def two_servers(folder: Path, authority: Authority) -> tuple[Path, Postfix, Nginx]:
    """Write a store with Postfix under the process controller and nginx depending on it."""
    postfix, nginx = Postfix(folder / "postfix", authority.good), Nginx(folder / "nginx", authority.good)
    store = folder / "store"
    write_metabase(store, {"/smtp/1": virtual_server(postfix.smtp_port), "/http/1": virtual_server(nginx.http_port)})
    write_cluster(
        store,
        "evs1",
        {
            "smtp": {
                "type": "smtp",
                "parameters": {"virtual_server": "/smtp/1"},
                "controller": process(postfix.command),
            },
            "http": {
                "type": "http",
                "depends_on": ["smtp"],
                "parameters": {"virtual_server": "/http/1"},
                "controller": process(nginx.command),
            },
        },
    )
    return store, postfix, nginx


def pids(service: Service) -> dict[str, int]:
    """Return the pid of every resource's service."""
    return {id: each["pid"] for id, each in service.resources().items()}


def test_sigterm_stops_what_is_ours_and_exits_zero(folder: Path, authority: Authority) -> None:
    """SIGTERM ends the run within 5 s with status 0, and nothing that it had started is left."""
    store, postfix, nginx = two_servers(folder, authority)
    with Service(store) as service:
        service.wait_all_alive(30.0)
        assert service.stop() == 0
    assert not sessions_mentioning(folder)
    assert not any(accepts(port) for port in (*postfix.ports, *nginx.ports))


def test_sigterm_leaves_a_service_that_is_not_ours(folder: Path, postfix: Postfix) -> None:
    """A service with controller `none` is as it was after the run has ended."""
    write_metabase(folder / "store", {"/smtp/1": virtual_server(postfix.smtp_port)})
    with Service(folder / "store") as service:
        service.wait_all_alive()
        assert service.stop() == 0
    assert accepts(postfix.smtp_port)


@pytest.mark.parametrize("script", [STUBBORN, f"({STUBBORN}) & {STUBBORN}"], ids=["alone", "with-a-child"])
def test_sigterm_while_a_stubborn_service_is_still_pending(script: str, folder: Path) -> None:
    """A service that ignores TERM and never became alive is killed, with its children, within the same 5 s."""
    store = folder / "store"
    write_metabase(store, {"/smtp/1": virtual_server(9)})
    smtp: dict[str, Any] = {
        "type": "smtp",
        "parameters": {"virtual_server": "/smtp/1"},
        "controller": process(["/bin/sh", "-c", f"# {folder}\n{script}"], kill_after_s=60),
    }
    write_cluster(store, "evs1", {"smtp": smtp})
    with Service(store) as service:
        service.wait_for("evs1/smtp", state="online-pending")
        wait_until(lambda: sessions_mentioning(folder), "the stubborn service", 5.0)
        begun = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begun < STOPS_WITHIN_S + 0.5
    assert not sessions_mentioning(folder)


def test_sigterm_right_after_the_ready_line(folder: Path, authority: Authority) -> None:
    """Stopping in the middle of the first start leaves nothing behind either."""
    store, _, _ = two_servers(folder, authority)
    with Service(store) as service:
        assert service.stop() == 0
    assert not sessions_mentioning(folder)


@pytest.mark.parametrize("way", ["--leave-running", "SIGKILL"])
def test_what_is_left_running_is_adopted_by_the_next_start(way: str, folder: Path, authority: Authority) -> None:
    """After `--leave-running` or kill -9 the services run on, and the next start adopts the very same processes."""
    store, postfix, nginx = two_servers(folder, authority)
    options = [way] if way.startswith("--") else []
    with Service(store, *options) as service:
        service.wait_all_alive(30.0)
        before = pids(service)
        if options:
            assert service.stop() == 0
        else:
            service.kill()
    assert all(stat_of(pid) is not None for pid in before.values())
    assert all(accepts(port) for port in (*postfix.ports, *nginx.ports))
    with Service(store) as again:
        again.wait_all_alive(30.0)
        assert pids(again) == before
        assert {each["restarts"] for each in again.resources().values()} == {0}
        os.kill(before["evs1/http"], signal.SIGKILL)  # an adopted one is watched like our own child
        again.wait_for_another_process("evs1/http", before["evs1/http"])
        assert again.stop() == 0
    assert not sessions_mentioning(folder)


def test_no_helper_process_is_left(folder: Path, postfix: Postfix) -> None:
    """A run that only observes starts no process at all."""
    write_metabase(folder / "store", {"/smtp/1": virtual_server(postfix.smtp_port)})
    with Service(folder / "store") as service:
        service.wait_all_alive()
        assert descendants(service.pid) == []
