"""Debian's resource agents keep the address and a service of a group, in a network namespace of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.programs import absent
from tests.e2e.service import Service
from tests.e2e.stores import QUICK, process, write_cluster, write_metabase
from tests.environment.namespace import INTERFACE, inside, ip, name_of, network_namespace

AGENTS = Path("/usr/lib/ocf/resource.d/heartbeat")
ADDRESS = "192.0.2.7"
BACK_WITHIN_S = 30.0


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with a pair of interfaces."""
    for agent in ("Dummy", "IPaddr2"):
        if not (AGENTS / agent).exists():
            absent("resource agents are not installed: apt-get install resource-agents")
    with network_namespace(name_of("ocf")) as name:
        yield name


def write_store(folder: Path, port: int) -> Path:
    """A group: IPaddr2 gives it its address, a web server listens there and nowhere else, Dummy stands on that."""
    store, state = folder / "store", folder / "dummy.state"
    write_metabase(store, {"/http/1": {"bindings": [f"*:{port}"]}})

    def agent(name: str, **parameters: Any) -> dict[str, Any]:
        return {"kind": "ocf", "agent": f"ocf:heartbeat:{name}", "parameters": parameters, "monitor_interval_s": 0.3}

    given = {"ip": ADDRESS, "cidr_netmask": 24, "nic": INTERFACE, "arp_count": 1, "arp_interval": 1}
    web = [sys.executable, "-m", "http.server", "-b", ADDRESS, "-d", str(folder / "pages"), str(port)]
    (folder / "pages").mkdir()
    resources: dict[str, dict[str, Any]] = {
        "ip": {
            "type": "ip-address",
            "parameters": {"address": f"{ADDRESS}/24", "interface": INTERFACE},
            "controller": agent("IPaddr2", **given),
            "poll_interval_s": QUICK["poll_interval_s"],
            "fast_interval_s": QUICK["fast_interval_s"],
        },
        "web": {
            "type": "http",
            "depends_on": ["ip"],
            "parameters": {"virtual_server": "/http/1"},
            "controller": process(web),
        },
        "job": {"type": "service", "depends_on": ["web"], "controller": agent("Dummy", state=str(state))},
    }
    write_cluster(store, "evs1", resources)
    return store


def addresses(namespace: str) -> str:
    """Show what the interface has."""
    return ip("-n", namespace, "-4", "address", "show", "dev", INTERFACE)


def test_agents_keep_an_address_and_a_service(namespace: str, folder: Path) -> None:
    """S3, S6, S16, S33, S43: IPaddr2 gives the group its address, a wildcard binding means that one; taken away behind
    our back it is the one cause, what stands on it goes down and comes up after it; Dummy's state likewise, alone.
    """

    def body() -> None:
        with Service(write_store(folder, free_port())) as service:
            first = service.wait_all_alive(BACK_WITHIN_S)
            online = [each["id"] for each in service.events() if each["to"] == "online"]
            assert online == ["evs1/ip", "evs1/web", "evs1/job"]
            assert f"inet {ADDRESS}/24" in addresses(namespace)
            assert first["evs1/web"]["evidence"].startswith("HTTP")
            seq, pid = service.events()[-1]["seq"], first["evs1/web"]["pid"]
            ip("-n", namespace, "address", "delete", f"{ADDRESS}/24", "dev", INTERFACE)
            service.wait_for_another_process("evs1/web", pid, BACK_WITHIN_S)
            service.wait_all_alive(BACK_WITHIN_S)
            assert f"inet {ADDRESS}/24" in addresses(namespace)
            found = [each for each in service.events() if each["seq"] > seq]
            failed = [each for each in found if each["to"] == "failed"]
            causes = [(each["id"], each["reason"]) for each in failed if each["root_cause"] is None]
            assert causes in ([("evs1/ip", "external_stop")], [("evs1/ip", "address_missing")])
            left = {each["id"]: each["root_cause"] for each in found if each["from"] == "online"}
            assert left == {"evs1/ip": None, "evs1/web": "evs1/ip", "evs1/job": "evs1/ip"}
            assert [each["id"] for each in found if each["to"] == "online"] == online
            seq, pid = service.events()[-1]["seq"], service.resource("evs1/web")["pid"]
            (folder / "dummy.state").unlink()
            service.wait(lambda _: (folder / "dummy.state").exists(), "Dummy's state to be back", BACK_WITHIN_S)
            service.wait_all_alive(BACK_WITHIN_S)
            later = [each for each in service.events() if each["seq"] > seq]
            told = [(each["id"], each["reason"]) for each in later if each["to"] == "failed"]
            assert told == [("evs1/job", "external_stop")]
            assert service.resource("evs1/web")["pid"] == pid
        assert ADDRESS in addresses(namespace), "what an agent keeps outlives us"

    inside(namespace, body)


def test_a_mistake_in_an_agent_s_parameters_is_told_before(namespace: str, folder: Path) -> None:
    """S10: what the agents say of themselves is what a store is checked against, at validation."""
    del namespace
    store = write_store(folder, free_port())
    cluster = store / "cluster.json"
    cluster.write_text(cluster.read_text().replace('"cidr_netmask"', '"cidr_netmak"'))
    told = looksalive("validate", "--store", str(store))
    assert told.returncode == 78
    assert 'evs1/ip: controller.parameters: IPaddr2 has no parameter "cidr_netmak"' in told.stderr
    assert 'did you mean "cidr_netmask"?' in told.stderr
