"""A store and what stands on it, on real servers: one cause is one event, one sentence, one restart and one alert."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import COMMAND, surroundings
from tests.e2e.servers.alertmanager import Alertmanager, Webhook
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.prometheus import Prometheus
from tests.e2e.servers.real import accepts
from tests.e2e.servers.relay import needing
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until
from tests.house import ROOT

RULES = ROOT / "deploy" / "prometheus" / "looksalive.rules.yml"
DEPENDENTS = ("smtp", "pop3", "imap", "http")
STORE = "evs1/store"
ALIKE: dict[str, Any] = {"poll_interval_s": 1.0, "probe_timeout_s": 0.5, "fast_interval_s": 0.1}  # as the defaults


class Reference:
    """The reference's group: a store of its own, and four servers that say nothing without it."""

    def __init__(self, folder: Path, authority: Authority, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> None:
        (folder / "store-server").mkdir(mode=0o755)
        self.store = Dovecot(folder / "store-server" / "dovecot", authority.good)
        behind = (postfix.smtp_port, dovecot.pop3_port, dovecot.imap_port, nginx.http_port)
        port = self.store.imap_port
        self.gates = [needing(port, each) for each in behind]
        keys = {f"/{name}/1": virtual_server(gate.port) for name, gate in zip(DEPENDENTS, self.gates, strict=True)}
        write_metabase(folder / "store", {"/imap/store": virtual_server(port), **keys}, **ALIKE)
        observed = {"controller": {"kind": "none"}}
        children = {
            name: {
                "type": name,
                "depends_on": ["store"],
                "parameters": {"virtual_server": f"/{name}/1"},
                **observed,
            }
            for name in DEPENDENTS
        }
        store = {"type": "imap", "parameters": {"virtual_server": "/imap/store"}, **observed}
        write_cluster(folder / "store", "evs1", {"store": store, **children})
        self.service = Service(folder / "store", "--log-format", "text")
        self.log_file = folder / "looksalive.log"


@pytest.fixture
def reference(
    folder: Path, authority: Authority, postfix: Postfix, dovecot: Dovecot, nginx: Nginx
) -> Iterator[Reference]:
    """The group at work: every resource alive."""
    made = Reference(folder, authority, postfix, dovecot, nginx)
    with ExitStack() as stack:
        stack.enter_context(made.store)
        for gate in made.gates:
            stack.enter_context(gate)
        stack.enter_context(made.service)
        made.service.wait_all_alive(20.0)
        yield made


def freeze(reference: Reference) -> None:
    """Freeze the store and wait until all five are failed."""
    reference.store.freeze()
    reference.service.wait(
        lambda resources: all(each["state"] == "failed" for each in resources.values()), "all five failed", 15.0
    )


def livez(service: Service) -> dict[str, int]:
    """Ask /livez of every resource."""
    return {name: service.get(f"/livez/evs1/{name}").status for name in ("store", *DEPENDENTS)}


def readyz(service: Service) -> dict[str, int]:
    """Ask /readyz of every resource."""
    return {name: service.get(f"/readyz/evs1/{name}").status for name in ("store", *DEPENDENTS)}


def test_a_frozen_store_is_the_one_to_blame(reference: Reference) -> None:
    """One event and one sentence name the cause; /livez fails for the store alone; after the thaw nobody is blamed.

    All five are asked alike: that the store is told first is not a matter of who looks more often.
    """
    service = reference.service
    everybody = dict.fromkeys(("store", *DEPENDENTS), 200)
    assert livez(service) == readyz(service) == everybody
    freeze(reference)
    failures = [each for each in service.events() if each["to"] == "failed"]
    assert [(each["id"], each["reason"]) for each in failures if each["root_cause"] is None] == [
        (STORE, "banner_timeout")
    ]
    told = {each["id"]: (each["reason"], each["root_cause"]) for each in failures if each["id"] != STORE}
    assert told == {f"evs1/{name}": ("dependency_down", STORE) for name in DEPENDENTS}
    assert len(failures) == 5
    sentences = [line for line in reference.log_file.read_text().splitlines() if "from online to failed" in line]
    assert len([line for line in sentences if f"because {STORE} is down" not in line]) == 1
    assert livez(service) == everybody | {"store": 503}
    assert readyz(service) == dict.fromkeys(everybody, 503)
    seq = service.events()[-1]["seq"]
    reference.store.thaw()
    service.wait_all_alive(15.0)
    after = [(each["id"], each["to"]) for each in service.events() if each["seq"] > seq]
    assert sorted(after) == sorted((f"evs1/{name}", "online") for name in everybody), "each came back, and said no more"
    assert livez(service) == readyz(service) == everybody


def test_one_cause_is_one_alert(reference: Reference, folder: Path) -> None:
    """A real Prometheus and Alertmanager page once for a cause with four dependents, and say when it is over."""
    rules = folder / "looksalive.rules.yml"
    rules.write_text(RULES.read_text().replace("for: 1m", "for: 1s"))  # the rules as published, but for the patience
    with (
        Webhook() as webhook,
        Alertmanager(folder / "alertmanager", webhook.url) as alertmanager,
        Prometheus(folder / "prometheus", reference.service.url, rules, alertmanager.port) as prometheus,
    ):

        def seen(expression: str, value: float) -> bool:
            try:
                return list(prometheus.query(expression).values()) == [value]
            except OSError:
                return False  # it accepts before it answers

        wait_until(lambda: seen("sum(looksalive_resource_alive)", 5), "five alive in Prometheus", 15.0)
        freeze(reference)
        long = 'sum(min_over_time(looksalive_resource_state{state="failed"}[3s]))'
        wait_until(lambda: seen(long, 5), "all five failed for three times the patience", 20.0)
        wait_until(lambda: webhook.told, "the page", 10.0)
        told = [(status, labels["alertname"], labels["resource"]) for status, labels in webhook.told]
        assert told == [("firing", "LooksaliveResourceFailed", "store")]
        assert list(prometheus.query("count(ALERTS)").values()) == [1], "none is pending either"
        assert webhook.told[0][1]["severity"] == "critical"
        reference.store.thaw()
        reference.service.wait_all_alive(15.0)
        wait_until(lambda: len(webhook.told) > 1, "the end of the page", 20.0)
        told = [(status, labels["alertname"], labels["resource"]) for status, labels in webhook.told]
        assert told[1:] == [("resolved", "LooksaliveResourceFailed", "store")]
        assert prometheus.query("ALERTS") == {}


def test_wait_is_the_gate_of_the_start_order(folder: Path, authority: Authority) -> None:
    """An entrypoint of `looksalive wait --for alive ... && exec` starts a real server only after the one it needs."""
    store, front = Dovecot(folder / "dovecot", authority.good), Nginx(folder / "nginx", authority.good)
    keys = {"/imap/1": virtual_server(store.imap_port), "/http/1": virtual_server(front.http_port)}
    write_metabase(folder / "store", keys)
    observed = {"controller": {"kind": "none"}}
    resources = {
        "store": {"type": "imap", "parameters": {"virtual_server": "/imap/1"}, **observed},
        "web": {"type": "http", "depends_on": ["store"], "parameters": {"virtual_server": "/http/1"}, **observed},
    }
    write_cluster(folder / "store", "evs1", resources)
    with Service(folder / "store") as service:
        service.wait_for(STORE, state="failed")
        service.wait_for("evs1/web", state="failed", root_cause=STORE)
        gate = [*COMMAND, "wait", "--for", "alive", STORE, "--timeout", "30", "--url", service.url]
        entrypoint = subprocess.Popen(
            ["/bin/sh", "-c", '"$@" && exec $SERVER', "sh", *gate],
            env=surroundings(SERVER=" ".join(front.command)),
            cwd="/",
            start_new_session=True,  # ended with the folder, which its command line names
        )
        assert not accepts(front.http_port)
        with store:
            service.wait_for("evs1/web", alive=True, timeout_s=20.0)
            assert entrypoint.poll() is None
            online = [each["id"] for each in service.events() if each["to"] == "online"]
            assert online == [STORE, "evs1/web"]
            entrypoint.terminate()
            assert entrypoint.wait(10.0) == 0
