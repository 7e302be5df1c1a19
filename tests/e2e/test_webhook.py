"""Our own notifications, from a real service to a real receiver."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.receiver import Receiver
from tests.e2e.servers.relay import needing
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

SECRET = b"a secret of the tests, long enough"
DEPENDENTS = ("a", "b", "c", "d")
WITHIN_S = 20.0


def write_group(store: Path, port: int, behind: list[int]) -> None:
    """Write a store's server, and four that stand on it."""
    keys = {f"/http/{name}": virtual_server(each) for name, each in zip(DEPENDENTS, behind, strict=True)}
    write_metabase(store, {"/imap/store": virtual_server(port), **keys})
    observed = {"controller": {"kind": "none"}}
    resources = {
        name: {"type": "http", "depends_on": ["store"], "parameters": {"virtual_server": f"/http/{name}"}, **observed}
        for name in DEPENDENTS
    }
    resources["store"] = {"type": "imap", "parameters": {"virtual_server": "/imap/store"}, **observed}
    write_cluster(store, "evs1", resources)


def test_a_cause_with_four_dependents_is_one_alert_and_is_taken_back(
    folder: Path, authority: Authority, nginx: Nginx
) -> None:
    """One signed message for the frozen cause, also when the receiver is away at first, and one when it is back."""
    store = Dovecot(folder / "dovecot", authority.good)
    secret = folder / "secret"
    secret.write_bytes(SECRET + b"\n")
    gates = [needing(store.imap_port, nginx.http_port) for _ in DEPENDENTS]
    write_group(folder / "store", store.imap_port, [gate.port for gate in gates])
    with Receiver() as receiver, store, gates[0], gates[1], gates[2], gates[3]:
        told = ("--webhook-url", receiver.url, "--webhook-secret-file", str(secret))
        with Service(folder / "store", *told) as service:
            service.wait_all_alive(WITHIN_S)
            receiver.status, receiver.location = 307, receiver.url + "/elsewhere"
            store.freeze()
            service.wait(lambda all: {one["state"] for one in all.values()} == {"failed"}, "all failed", WITHIN_S)
            wait_until(lambda: len(receiver.messages) > 1, "a second try", WITHIN_S)
            assert {message.path for message in receiver.messages} == {"/hook"}, "no redirect is followed"
            receiver.status, receiver.location = 200, ""
            wait_until(lambda: service.metric("webhook_sent_total") == 1, "the message to be taken", WITHIN_S)
            assert set(receiver.alerts) == {("firing", "store")}
            first = receiver.messages[-1]
            stamp, digest = (part.partition("=")[2] for part in first.headers["X-Looksalive-Signature"].split(","))
            signed = f"{stamp}.".encode() + first.body
            assert digest == hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
            assert first.json["alerts"][0]["labels"]["root_cause"] == "evs1/store"
            assert first.json["alerts"][0]["generatorURL"] == f"{service.url}api/v1/resources/evs1/store"
            tries = len(receiver.messages)
            store.thaw()
            service.wait_all_alive(WITHIN_S)
            wait_until(lambda: service.metric("webhook_sent_total") == 2, "the end to be taken", WITHIN_S)
            assert receiver.alerts[tries:] == [("resolved", "store")]
            assert service.stop() == 0


def test_an_open_alert_is_taken_back_by_the_next_run(folder: Path, authority: Authority) -> None:
    """We are killed with an alert open; the server comes back meanwhile; the next run says so, and nothing else."""
    nginx = Nginx(folder / "nginx", authority.good)
    write_metabase(folder / "store", {"/http/1": virtual_server(nginx.http_port)})
    with Receiver() as receiver:
        with Service(folder / "store", "--webhook-url", receiver.url) as service:
            wait_until(lambda: service.metric("webhook_sent_total") == 1, "the alert", WITHIN_S)
            service.kill()
        with nginx, Service(folder / "store", "--webhook-url", receiver.url) as service:
            wait_until(lambda: len(receiver.alerts) == 2, "its end", WITHIN_S)
            assert service.metric("webhook_sent_total") == 1
        assert receiver.alerts == [("firing", "http-1"), ("resolved", "http-1")]


def test_a_webhook_that_cannot_be_is_refused(folder: Path) -> None:
    """A bad address ends the start with the mend and without being shown; a missing secret is named."""
    write_metabase(folder / "store", {"/http/1": virtual_server(free_port())})
    run = ("run", "--store", str(folder / "store"), "--state-dir", str(folder / "state"), "--listen", "127.0.0.1:0")
    done = looksalive(*run, "--webhook-url", "hooks.example.org/KEY")
    assert (done.returncode, "https://HOST" in done.stderr, "KEY" in done.stderr) == (2, True, False)
    done = looksalive(*run, "--webhook-url", "http://127.0.0.1:1/", "--webhook-secret-file", str(folder / "none"))
    assert (done.returncode, f"cannot read {folder / 'none'}" in done.stderr) == (2, True)
