"""Services that other hands keep: hooks, resource agents, a supervisord; ended, and brought back by the service."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tests.e2e.ports import free_port
from tests.e2e.processes import kill_session, sessions_mentioning, stat_of
from tests.e2e.programs import absent
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.real import accepts
from tests.e2e.servers.supervisord import Supervisord, web_server
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

BACK_WITHIN_S = 15.0

START = """#!/bin/sh
setsid {command} &
echo $! >{folder}/pid
echo start >>{folder}/calls
"""
STOP = """#!/bin/sh
kill "$(cat {folder}/pid)"
echo stop >>{folder}/calls
while kill -0 "$(cat {folder}/pid)"; do sleep 0.1; done
"""
TERMINATE = """#!/bin/sh
kill -KILL -- "-$(cat {folder}/pid)" || true
echo terminate >>{folder}/calls
"""
STATUS = """#!/bin/sh
[ -f {folder}/pid ] || exit 3
kill -0 "$(cat {folder}/pid)" || exit 1
"""


def hooks(folder: Path, command: str) -> dict[str, Any]:
    """Write the four scripts of a daemon and the controller that runs them."""
    folder.mkdir(exist_ok=True)
    controller: dict[str, Any] = {"kind": "exec", "status_interval_s": 0.3}
    for name, text in {"start": START, "stop": STOP, "terminate": TERMINATE, "status": STATUS}.items():
        path = folder / name
        path.write_text(text.format(folder=folder, command=command))
        path.chmod(0o755)
        controller[name] = [str(path)]
    return controller


def failures(service: Service, id: str) -> list[str]:
    """List why a resource failed, oldest first."""
    return [each["reason"] for each in service.events() if each["id"] == id and each["to"] == "failed"]


def test_a_server_kept_by_hooks_is_brought_back(folder: Path, authority: Authority) -> None:
    """S3, S6, S16: nginx is started by a script, its dependent after it; killed whole or stopped, both come back."""
    nginx = Nginx(folder / "nginx", authority.good)
    store = folder / "store"
    write_metabase(store, {"/http/1": virtual_server(nginx.http_port)})
    web = hooks(folder / "web", " ".join(nginx.command))
    lone = hooks(folder / "lone", "sleep 1000")
    write_cluster(
        store,
        "evs1",
        {
            "web": {"type": "http", "parameters": {"virtual_server": "/http/1"}, "controller": web},
            "lone": {"type": "service", "depends_on": ["web"], "controller": lone},
        },
    )
    pid_file, lone_pid_file = folder / "web" / "pid", folder / "lone" / "pid"
    with Service(store) as service:
        service.wait_all_alive(BACK_WITHIN_S)
        online = [each["id"] for each in service.events() if each["to"] == "online"]
        assert online == ["evs1/web", "evs1/lone"]
        pid = int(pid_file.read_text())
        kill_session(pid)
        wait_until(lambda: pid_file.read_text().strip() not in ("", str(pid)), "another nginx", BACK_WITHIN_S)
        service.wait_all_alive(BACK_WITHIN_S)
        assert failures(service, "evs1/web")[0] in ("process_gone", "connect_refused", "listener_gone")
        lone_pid = int(lone_pid_file.read_text())
        os.kill(lone_pid, signal.SIGKILL)
        wait_until(lambda: lone_pid_file.read_text().strip() not in ("", str(lone_pid)), "another sleep", BACK_WITHIN_S)
        service.wait_all_alive(BACK_WITHIN_S)
        assert failures(service, "evs1/lone")[-1] == "process_gone"
        kept = pid_file.read_text(), lone_pid_file.read_text()
        calls = (folder / "web" / "calls").read_text()
        assert service.stop() == 0
        assert accepts(nginx.http_port)
        service.start()
        service.wait_all_alive(BACK_WITHIN_S)
        assert (pid_file.read_text(), lone_pid_file.read_text()) == kept  # S57: found running, not started again
        assert (folder / "web" / "calls").read_text() == calls


def test_a_resource_agent_is_brought_back(folder: Path) -> None:
    """S6: the state of ocf:heartbeat:Dummy is taken away behind our back: external_stop, and it is there again."""
    if not Path("/usr/lib/ocf/resource.d/heartbeat/Dummy").exists():
        absent("resource agents are not installed: apt-get install resource-agents")
    store, state = folder / "store", folder / "dummy.state"
    write_metabase(store, {})
    controller = {
        "kind": "ocf",
        "agent": "ocf:heartbeat:Dummy",
        "parameters": {"state": str(state)},
        "monitor_interval_s": 0.3,
    }
    write_cluster(store, "evs1", {"dummy": {"type": "service", "controller": controller}})
    with Service(store) as service:
        service.wait_for("evs1/dummy", alive=True)
        state.unlink()
        wait_until(state.exists, "the state file to be back", BACK_WITHIN_S)
        service.wait_for("evs1/dummy", alive=True)
        assert failures(service, "evs1/dummy") == ["external_stop"]
        assert service.stop() == 0
    assert state.exists()


def test_programs_of_a_supervisord_are_brought_back(folder: Path) -> None:
    """S4, S6, S57: killed or stopped by an administrator a program is brought back; left running it is gone on with."""
    port = free_port()
    programs = {"web": web_server(port, folder), "lone": ["/bin/sleep", "1000"]}
    store = folder / "store"
    write_metabase(store, {"/http/1": virtual_server(port)})
    with Supervisord(folder / "supervisord", programs) as supervisord, Service(store_of(store, supervisord)) as service:
        alive = service.wait_all_alive(BACK_WITHIN_S)
        pid = alive["evs1/web"]["pid"]
        assert stat_of(pid) is not None
        os.kill(pid, signal.SIGKILL)
        service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)
        service.wait_all_alive(BACK_WITHIN_S)
        assert failures(service, "evs1/web")[0] in ("process_gone", "connect_refused", "listener_gone")
        lone = service.resource("evs1/lone")["pid"]
        supervisord.control("stop", "lone")
        service.wait_for_another_process("evs1/lone", lone, BACK_WITHIN_S)
        assert failures(service, "evs1/lone")[-1] == "external_stop"
        kept = {id: each["pid"] for id, each in service.wait_all_alive(BACK_WITHIN_S).items()}
        begun = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - begun < 3
        service.start()
        after = service.wait_all_alive(BACK_WITHIN_S)
        assert {id: each["pid"] for id, each in after.items()} == kept


def store_of(store: Path, supervisord: Supervisord) -> Path:
    """Write the cluster of the two programs."""

    def program(name: str) -> dict[str, Any]:
        return {"kind": "supervisord", "socket": str(supervisord.socket), "program": name}

    write_cluster(
        store,
        "evs1",
        {
            "web": {"type": "http", "parameters": {"virtual_server": "/http/1"}, "controller": program("web")},
            "lone": {"type": "service", "depends_on": ["web"], "controller": program("lone")},
        },
    )
    return store


def test_hooks_that_hang_hold_nobody_up(folder: Path) -> None:
    """S52: a start hook that hangs is killed at the time-out, whole; a status hook that hangs is, when we end."""
    store, hang = folder / "store", folder / "hang"
    hang.write_text(f"#!/bin/sh\necho $$ >>{folder}/hanging\nsh -c 'sleep 1000; : {folder}'\n")
    hang.chmod(0o755)
    write_metabase(store, {})
    stuck = {"kind": "exec", "start": [str(hang)], "stop": ["true"]}
    mute = {
        "kind": "exec",
        "status_interval_s": 0.3,
        "start": ["true"],
        "stop": ["true"],
        "status": ["sh", "-c", f"[ ! -e {folder}/up ] || {hang}"],
    }
    policy = {"type": "service", "restart_action": "do-not-restart", "pending_timeout_s": 1}
    write_cluster(store, "evs1", {"stuck": {**policy, "controller": stuck}, "mute": {**policy, "controller": mute}})
    with Service(store) as service:
        service.wait_for("evs1/stuck", state="failed", reason="pending_timeout")
        service.wait_for("evs1/mute", alive=True)
        wait_until(lambda: not sessions_of(folder, service), "the start hook and its child to be gone", 5.0)
        (folder / "up").touch()
        wait_until(lambda: len((folder / "hanging").read_text().split()) == 2, "the status hook to hang", 15.0)
        assert sessions_of(folder, service)
        assert service.stop() == 0
    wait_until(lambda: not sessions_mentioning(folder), "the status hook and its child to be gone", 5.0)


def sessions_of(folder: Path, service: Service) -> set[int]:
    """List the sessions that work in the folder, our own service's left out."""
    return sessions_mentioning(folder) - {os.getsid(service.pid)}
