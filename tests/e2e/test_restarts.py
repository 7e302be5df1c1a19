"""Real servers that are ours: started in dependency order, brought back after a kill, given up after the budget."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import kill_session, session_members, stat_of
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

BACK_WITHIN_S = 20.0


def own_servers(folder: Path, authority: Authority) -> tuple[Path, Postfix, Dovecot, Nginx]:
    """Write a store in which Dovecot (imap, and pop3 that is only observed) comes first, then Postfix and nginx."""
    postfix = Postfix(folder / "postfix", authority.good)
    dovecot = Dovecot(folder / "dovecot", authority.good)
    nginx = Nginx(folder / "nginx", authority.good)
    store = folder / "store"
    write_metabase(
        store,
        {
            "/imap/1": virtual_server(dovecot.imap_port),
            "/pop3/1": virtual_server(dovecot.pop3_port),
            "/smtp/1": virtual_server(postfix.smtp_port),
            "/http/1": virtual_server(nginx.http_port),
        },
    )

    def resource(type: str, **more: Any) -> dict[str, Any]:
        return {"type": type, "parameters": {"virtual_server": f"/{type}/1"}, **more}

    write_cluster(
        store,
        "evs1",
        {
            "imap": resource("imap", controller=process(dovecot.command)),
            "pop3": resource("pop3", depends_on=["imap"], controller={"kind": "none"}),
            "smtp": resource("smtp", depends_on=["imap"], controller=process(postfix.command)),
            "http": resource("http", depends_on=["smtp"], controller=process(nginx.command)),
        },
    )
    return store, postfix, dovecot, nginx


def test_real_servers_are_started_in_order_and_brought_back(folder: Path, authority: Authority) -> None:
    """S16, S54: providers are online before dependents start; each kill -9 is seen, named and mended by itself."""
    store, postfix, dovecot, nginx = own_servers(folder, authority)
    with Service(store) as service:
        service.wait_all_alive(30.0)
        online = [each["id"] for each in service.events() if each["to"] == "online"]
        assert online.index("evs1/imap") < online.index("evs1/smtp") < online.index("evs1/http")
        for name, server in (("http", nginx), ("smtp", postfix), ("imap", dovecot)):
            id = f"evs1/{name}"
            pid = service.resource(id)["pid"]
            kill_session(os.getsid(pid))
            service.wait_for_another_process(id, pid, BACK_WITHIN_S)
            assert all(accepts(port) for port in server.ports)
            resources = service.wait_all_alive(BACK_WITHIN_S)  # whoever depends on it is back too
            failure = next(each for each in service.events() if each["id"] == id and each["to"] == "failed")
            assert failure["from"] == "online"
            assert failure["reason"] in ("process_gone", "listener_gone", "connect_refused"), failure
        assert [resources[f"evs1/{name}"]["restarts"] for name in ("smtp", "http")] == [1, 1]
        assert service.metric("restarts_total", group="evs1", resource="smtp") == 1


def test_killing_the_main_process_alone_leaves_no_orphan_serving(folder: Path, authority: Authority) -> None:
    """nginx's worker outlives its main process and holds the port: it is ended before the next one is started."""
    nginx = Nginx(folder / "nginx", authority.good)
    store = folder / "store"
    write_metabase(store, {"/http/1": virtual_server(nginx.http_port)})
    parameters = {"virtual_server": "/http/1"}
    web = {"type": "http", "parameters": parameters, "controller": process(nginx.command)}
    write_cluster(store, "evs1", {"web": web})
    with Service(store) as service:
        pid = service.wait_for("evs1/web", alive=True)["pid"]
        workers = [member for member in session_members(os.getsid(pid)) if member != pid]
        assert workers
        os.kill(pid, signal.SIGKILL)
        service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)
        assert not [worker for worker in workers if stat_of(worker) is not None]


def test_a_frozen_server_of_ours_is_restarted(folder: Path, authority: Authority) -> None:
    """S64, S67: SIGSTOP is found by the check, verified, and mended by a restart, since the server is ours."""
    postfix = Postfix(folder / "postfix", authority.good)
    store = folder / "store"
    write_metabase(store, {"/smtp/1": virtual_server(postfix.smtp_port)})
    controller = process(postfix.command, kill_after_s=1)
    smtp = {"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}, "controller": controller}
    write_cluster(store, "evs1", {"smtp": smtp})
    with Service(store) as service:
        pid = service.wait_for("evs1/smtp", alive=True)["pid"]
        for member in session_members(os.getsid(pid)):
            os.kill(member, signal.SIGSTOP)
        service.wait_for_another_process("evs1/smtp", pid, BACK_WITHIN_S)
        failure = next(each for each in service.events() if each["to"] == "failed")
        assert failure["reason"] == "banner_timeout"
        wait_until(lambda: stat_of(pid) is None, "the frozen Postfix to be gone", 5.0)


@pytest.mark.parametrize("threshold", [0, 2])
def test_a_server_that_cannot_start_is_given_up_after_its_budget(threshold: int, folder: Path) -> None:
    """S54: after the first start `restart_threshold` more attempts are made, then it stays failed."""
    store = folder / "store"
    attempts = folder / "attempts"
    write_metabase(store, {"/smtp/1": virtual_server(9)})
    command = ["/bin/sh", "-c", f"echo started >>{attempts}; exit 1"]
    smtp = {
        "type": "smtp",
        "parameters": {"virtual_server": "/smtp/1"},
        "controller": process(command),
        "restart_threshold": threshold,
    }
    write_cluster(store, "evs1", {"smtp": smtp})
    with Service(store) as service:
        service.wait(
            lambda all_: all_["evs1/smtp"]["state"] == "failed" and all_["evs1/smtp"]["restarts"] == threshold,
            "the budget to be spent",
            BACK_WITHIN_S,
        )
        assert attempts.read_text().count("started") == 1 + threshold
        assert service.get("/livez").status == 200
