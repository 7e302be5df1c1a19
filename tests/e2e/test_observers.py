"""What is no conversation, end to end: an address, a name, a disk, a program, in a network namespace of their own."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.mounts import tmpfs
from tests.e2e.service import Service
from tests.e2e.stores import write_cluster, write_metabase
from tests.environment.namespace import INTERFACE, inside, ip, name_of, network_namespace

QUICK = {"poll_interval_s": 0.3, "fast_interval_s": 0.1}
ADDRESS = "192.0.2.7"
HOSTS = "127.0.0.1 localhost\n"


@pytest.fixture
def namespace() -> Iterator[str]:
    """A network namespace with a pair of interfaces."""
    with network_namespace(name_of("e2e")) as name:
        yield name


@pytest.fixture
def disk(folder: Path) -> Iterator[Path]:
    """A small tmpfs."""
    with tmpfs(folder / "disk", "1m", name="la-e2e") as place:
        yield place


def write_store(folder: Path, disk: Path) -> Path:
    """A group: address <- name <- program -> disk."""
    (folder / "hosts").write_text(HOSTS, encoding="ascii")
    (folder / "healthy").touch()
    store = folder / "store"
    write_metabase(store, {})
    resources: dict[str, dict[str, Any]] = {
        "ip": {
            "type": "ip-address",
            "controller": {"kind": "address"},
            "parameters": {"address": f"{ADDRESS}/24", "interface": INTERFACE},
        },
        "name": {
            "type": "network-name",
            "depends_on": ["ip"],
            "controller": {"kind": "name"},
            "parameters": {"name": "mail.example.org", "hosts_file": str(folder / "hosts")},
        },
        "disk": {"type": "physical-disk", "parameters": {"mount_point": str(disk), "free_bytes_min": 4096}},
        "queue": {
            "type": "exec",
            "depends_on": ["name", "disk"],
            "controller": {"kind": "exec", "start": ["/bin/true"], "stop": ["/bin/true"]},
            "parameters": {"argv": ["/usr/bin/test", "-e", str(folder / "healthy")]},
        },
    }
    write_cluster(store, "evs1", {name: {**each, **QUICK} for name, each in resources.items()})
    return store


def edges(service: Service, id: str) -> list[tuple[str, str]]:
    """The states that a resource has gone to, each with its reason."""
    return [(each["to"], each["reason"]) for each in service.events() if each["id"] == id and each["kind"] == "state"]


def test_the_group_comes_up_in_order_and_mends_its_address(namespace: str, folder: Path, disk: Path) -> None:
    """S6, S13, S16: address, then name, then the rest; an address taken away is `address_missing`, then there again."""

    def body() -> None:
        with Service(write_store(folder, disk)) as service:
            service.wait_all_alive(20)
            online = [each["id"] for each in service.events() if each["to"] == "online"]
            assert online.index("evs1/ip") < online.index("evs1/name") < online.index("evs1/queue")
            assert f"{ADDRESS}\tmail.example.org\t# looksalive evs1/name" in (folder / "hosts").read_text("ascii")
            shown = service.resource("evs1/disk")
            assert (shown["verdict"], shown["reason"]) == ("alive", "matched")
            assert "la-e2e (tmpfs)" in shown["evidence"]
            assert service.get("/readyz").status == 200
            assert service.get("/api/v1/resources/evs1/disk/transcript").status in (200, 404)

            ip("-n", namespace, "address", "del", f"{ADDRESS}/24", "dev", INTERFACE)
            service.wait(lambda _: ("failed", "address_missing") in edges(service, "evs1/ip"), "its failure", 20)
            service.wait_all_alive(20)
            assert ADDRESS in ip("-n", namespace, "address", "show", "dev", INTERFACE)
            assert service.failures("evs1/ip") == [("online", "address_missing")]
            assert service.metric("probe_failures_total", resource="ip", reason="address_missing") >= 1
        assert ADDRESS in ip("-n", namespace, "address", "show", "dev", INTERFACE)  # no child of ours
        assert (folder / "hosts").read_text("ascii").startswith(HOSTS)

    inside(namespace, body)


def test_disk_program_and_name_fail_and_come_back(namespace: str, folder: Path, disk: Path) -> None:
    """S13, S64: a read-only disk, a program that says no, a name that is gone: each its reason, once, and back."""

    def body() -> None:
        with Service(write_store(folder, disk)) as service:
            service.wait_all_alive(20)
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            found = service.wait_for("evs1/disk", 20, state="failed")
            assert (found["reason"], "read-only" in found["evidence"]) == ("disk_failed", True)
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            service.wait_all_alive(20)

            with contextlib.suppress(OSError), (disk / "filler").open("wb", buffering=0) as filler:
                while True:
                    filler.write(b"\0" * 4096)
            found = service.wait_for("evs1/disk", 20, state="failed")
            assert (found["reason"], "no space" in found["evidence"]) == ("disk_failed", True)
            (disk / "filler").unlink()
            service.wait_all_alive(20)

            (folder / "healthy").unlink()
            service.wait(lambda _: ("failed", "not_serving") in edges(service, "evs1/queue"), "its failure", 20)
            (folder / "healthy").touch()
            service.wait_all_alive(20)

            (folder / "hosts").write_text(HOSTS, encoding="ascii")
            service.wait(lambda _: ("failed", "dns_nxdomain") in edges(service, "evs1/name"), "its failure", 20)
            service.wait_all_alive(20)
            assert "# looksalive evs1/name" in (folder / "hosts").read_text("ascii")
            assert [reason for _, reason in service.failures("evs1/disk")] == ["disk_failed", "disk_failed"]

    inside(namespace, body)


def test_controllers_are_for_their_type_alone(folder: Path) -> None:
    """`validate` says that a kind is not for a type, and what its resource lacks, all at once."""
    store = folder / "store"
    write_metabase(store, {})
    write_cluster(
        store,
        "evs1",
        {
            "ip": {"type": "ip-address", "controller": {"kind": "address"}, "parameters": {"address": "192.0.2.7/24"}},
            "name": {"type": "network-name", "controller": {"kind": "name"}, "parameters": {"name": "a.example"}},
            "job": {"type": "exec", "controller": {"kind": "address"}, "parameters": {"argv": ["/bin/true"]}},
        },
    )
    done = looksalive("validate", "--store", str(store))
    told = done.stdout + done.stderr
    assert done.returncode != 0
    assert "evs1/ip: parameters.interface: is missing: controller address adds the address to it" in told
    assert "evs1/name: parameters.hosts_file: is missing: without it controller name has nothing to write" in told
    assert "evs1/name: parameters.name: leads nowhere: the resource depends on no ip-address" in told
    assert "evs1/job: controller.kind: controller address is only for the type ip-address, not exec" in told
