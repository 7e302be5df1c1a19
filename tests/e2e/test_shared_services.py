"""One real service for several resources: a Dovecot, a store with storage groups, virtual servers by the metabase."""

from __future__ import annotations

import hashlib
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ports import free_port
from tests.e2e.processes import signal_all, stat_of
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_metabase, write_whole
from tests.e2e.waiting import wait_until

TOKEN = "a-token-of-this-test"
BACK_WITHIN_S = 20.0

MOUNT = """#!/bin/sh
echo "$LOOKSALIVE_RESOURCE $LOOKSALIVE_HOOK $LOOKSALIVE_STORAGE_GROUP" >>{folder}/calls
case $LOOKSALIVE_HOOK in
  mount) touch {folder}/mounted-"$LOOKSALIVE_STORAGE_GROUP" ;;
  ready) [ -e {folder}/replayed-"$LOOKSALIVE_STORAGE_GROUP" ] || exit 1 ;;
  unmount) rm -f {folder}/mounted-"$LOOKSALIVE_STORAGE_GROUP" ;;
esac
"""


@pytest.fixture
def serve(folder: Path) -> Callable[[dict[str, dict[str, Any]]], Service]:
    """Write `cluster.json` with these groups, and make a service that takes verbs."""

    def make(groups: dict[str, dict[str, Any]]) -> Service:
        named = {name: {"resources": resources} for name, resources in groups.items()}
        (folder / "store").mkdir(exist_ok=True)
        cluster = {"schema_version": 1, "revision": 1, "groups": named}
        write_whole(folder / "store" / "cluster.json", json.dumps(cluster))
        token = folder / "token"
        token.write_text(f"tester:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
        return Service(folder / "store", "--token-file", str(token))

    return make


def ask(service: Service, verb: str, id: str) -> str:
    """Ask something of a resource; return where its operation is told."""
    answer = service.post(f"/api/v1/resources/{id}/{verb}", Authorization=f"Bearer {TOKEN}")
    assert answer.status == 202, answer.text
    return f"/api/v1/operations/{answer.json['operation']}"


Serve = Callable[[dict[str, dict[str, Any]]], Service]


def test_one_dovecot_for_two_groups(folder: Path, authority: Authority, serve: Serve) -> None:
    """S36, S42, S43, S57: started once for both, kept while one uses it, brought back for both, stopped last."""
    dovecot = Dovecot(folder / "dovecot", authority.good)
    write_metabase(
        folder / "store",
        {"/imap/1": virtual_server(dovecot.imap_port), "/pop3/1": virtual_server(dovecot.pop3_port)},
    )

    def member(protocol: str) -> dict[str, Any]:
        virtual = {"virtual_server": f"/{protocol}/1"}
        return {"type": protocol, "parameters": virtual, "controller": process(dovecot.command)}

    imap, pop3 = "evs1/imap", "evs2/pop3"
    with serve({"evs1": {"imap": member("imap")}, "evs2": {"pop3": member("pop3")}}) as service:
        both = service.wait_all_alive(BACK_WITHIN_S)
        pid = both[imap]["pid"]
        assert both[pop3]["pid"] == pid
        ask(service, "offline", imap)
        service.wait_for(imap, state="offline", pid=None)
        kept = service.resource(pop3)
        assert (kept["alive"], kept["pid"]) == (True, pid)
        ask(service, "online", imap)
        service.wait_for(imap, alive=True, pid=pid)
        assert service.failures(pop3) == []
        signal_all([pid], signal.SIGKILL)
        again = service.wait_for_another_process(imap, pid)["pid"]
        service.wait_for(pop3, BACK_WITHIN_S, alive=True, pid=again)
        service.kill()
        service.start()
        assert service.wait_all_alive(BACK_WITHIN_S)[pop3]["pid"] == again, "taken over, not started again"
        for id in (imap, pop3):
            ask(service, "offline", id)
        service.wait_for(pop3, state="offline", pid=None)
        assert not accepts(dovecot.imap_port)
        assert stat_of(again) is None


def test_one_store_mounts_the_groups_of_two(folder: Path, serve: Serve) -> None:
    """S21, S22, S42, S44: a second group's database comes into the running process; online is when it is replayed."""
    hook = folder / "hook"
    hook.write_text(MOUNT.format(folder=folder))
    hook.chmod(0o755)
    argv = [str(hook)]

    def member(name: str) -> dict[str, Any]:
        group = {"name": name, "mount": argv, "unmount": argv, "ready": argv}
        parameters = {"name": name, "storage_groups": [group]}
        store = process(["/bin/sh", "-c", f"# {folder}\nwhile :; do sleep 1; done"])
        return {"type": "information-store", "parameters": parameters, "controller": store, "auto_start": name == "sg1"}

    write_metabase(folder / "store", {})
    (folder / "replayed-sg1").touch()
    with serve({"evs1": {"store": member("sg1")}, "evs2": {"store": member("sg2")}}) as service:
        pid = service.wait_for("evs1/store", BACK_WITHIN_S, state="online")["pid"]
        ask(service, "online", "evs2/store")
        wait_until((folder / "mounted-sg2").exists, "the second to be mounted", BACK_WITHIN_S)
        service.wait_for("evs2/store", state="online-pending", progress="0 of 1: waiting for sg2")
        (folder / "replayed-sg2").touch()
        assert service.wait_for("evs2/store", BACK_WITHIN_S, state="online")["pid"] == pid
        ask(service, "offline", "evs1/store")
        service.wait_for("evs1/store", BACK_WITHIN_S, state="offline")
        assert not (folder / "mounted-sg1").exists()
        left = service.resource("evs2/store")
        assert (left["state"], left["pid"]) == ("online", pid)
        assert service.failures("evs2/store") == []
    assert not (folder / "mounted-sg2").exists(), "our end takes it offline in order"


def test_virtual_servers_by_the_metabase(folder: Path, serve: Serve) -> None:
    """S58, S59, S60: the service obeys the command and says so; smtp's offline ends it for both, one is back."""
    store = folder / "store"
    first, second = free_port(), free_port()
    write_metabase(store, {"/smtp/1": virtual_server(first), "/smtp/2": virtual_server(second)})
    agent = [sys.executable, "-m", "tests.e2e.servers.metabase_agent", str(store)]
    command = [*agent, f"/smtp/1={first}", f"/smtp/2={second}"]
    controller = {"kind": "metabase", "service": process(command, directory=str(Path(__file__).parents[2]))}

    def member(number: int) -> dict[str, Any]:
        return {"type": "smtp", "parameters": {"virtual_server": f"/smtp/{number}"}, "controller": controller}

    def runtime(key: str) -> dict[str, str]:
        return dict(json.loads((store / "runtime.json").read_text())["keys"].get(key, {}))

    with serve({"evs1": {"smtp": member(1)}, "evs2": {"smtp": member(2)}}) as service:
        both = service.wait_all_alive(BACK_WITHIN_S)
        pid = both["evs1/smtp"]["pid"]
        assert both["evs2/smtp"]["pid"] == pid
        assert runtime("/smtp/1") == {"command": "start", "state": "running"}
        ask(service, "offline", "evs1/smtp")
        service.wait_for("evs1/smtp", BACK_WITHIN_S, state="offline")
        assert service.wait_for_another_process("evs2/smtp", pid)["pid"] != pid
        assert ("online", "collateral") in service.failures("evs2/smtp")
        assert runtime("/smtp/1") == {"command": "stop", "state": "stopped"}
        assert not accepts(first), "its command keeps it down in the service that came back"


def test_an_upgrade_waits_for_the_service_to_be_free(folder: Path, serve: Serve) -> None:
    """S53: refused by name while another uses the service; else it runs with the service down, which is then back."""
    upgrade = folder / "upgrade"
    upgrade.write_text(
        f"#!/bin/sh\npgrep -f 'loop-in {folder}' >{folder}/running\necho $LOOKSALIVE_RESOURCE >{folder}/done\n"
    )
    upgrade.chmod(0o755)
    loop = ["/bin/sh", "-c", f"# loop-in {folder}\nwhile :; do sleep 1; done"]
    member = {"type": "service", "controller": process(loop, upgrade=[str(upgrade)])}
    write_metabase(folder / "store", {})
    with serve({"evs1": {"one": member}, "evs2": {"other": member}}) as service:
        pid = service.wait_all_alive(BACK_WITHIN_S)["evs1/one"]["pid"]
        operation = ask(service, "upgrade", "evs1/one")
        wait_until(lambda: service.get(operation).json["state"] == "failed", "a refusal", BACK_WITHIN_S)
        assert "the service is used by evs2/other" in service.get(operation).json["reason"]
        service.wait_for("evs1/one", BACK_WITHIN_S, alive=True, pid=pid)
        assert not (folder / "done").exists()
        ask(service, "offline", "evs2/other")
        service.wait_for("evs2/other", BACK_WITHIN_S, state="offline")
        ask(service, "upgrade", "evs1/one")
        service.wait_for_another_process("evs1/one", pid)
        assert (folder / "done").read_text() == "evs1/one\n"
        assert (folder / "running").read_text() == ""
