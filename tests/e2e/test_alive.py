"""The main job: `looksalive run` on a store of one's own finds real servers alive."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

from tests.e2e.servers import misbehaving
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.misbehaving import Peer
from tests.e2e.servers.nginx import PAGE, Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase, write_whole
from tests.e2e.waiting import wait_until

FOUR_LINES = """\
{{"schema_version": 1, "revision": 1, "keys": {{
  "/smtp/1": {{"bindings": ["127.0.0.1:{smtp}"]}},
  "/imap/1": {{"bindings": ["127.0.0.1:{imap}"]}},
  "/http/1": {{"bindings": ["127.0.0.1:{http}"]}}}}}}
"""


def test_every_protocol_of_every_real_server_is_alive(
    folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx, authority: Authority
) -> None:
    """S9, S29-S31, S35: SMTP, IMAP, POP3 and HTTP, plain, upgraded and over TLS, each alive and verified."""
    mail = {"tls": {"ca_file": str(authority.ca_file)}}
    keys = {
        "/smtp": mail,
        "/imap": mail,
        "/pop3": mail,
        "/http": mail,
        "/smtp/plain": virtual_server(postfix.smtp_port),
        "/smtp/upgraded": virtual_server(postfix.smtp_port, starttls="required"),
        "/smtp/secure": virtual_server(secure=(postfix.smtps_port,)),
        "/imap/plain": virtual_server(dovecot.imap_port),
        "/imap/upgraded": virtual_server(dovecot.imap_port, starttls="required"),
        "/imap/secure": virtual_server(secure=(dovecot.imaps_port,)),
        "/pop3/plain": virtual_server(dovecot.pop3_port),
        "/pop3/upgraded": virtual_server(dovecot.pop3_port, starttls="required"),
        "/pop3/secure": virtual_server(secure=(dovecot.pop3s_port,)),
        "/http/plain": virtual_server(nginx.http_port, body_match=PAGE),
        "/http/secure": virtual_server(secure=(nginx.https_port,)),
        "/tcp/plain": virtual_server(postfix.smtp_port),
    }
    write_metabase(folder / "store", keys)
    with Service(folder / "store") as service:
        resources = service.wait_all_alive()
        assert len(resources) == 12
        assert {each["state"] for each in resources.values()} == {"online"}
        for id in resources:
            answer = service.get(f"/isalive/{id}")
            assert (answer.status, answer.json["alive"], answer.json["verdict"]) == (200, True, "alive")
            assert service.get(f"/looksalive/{id}").status == 200
        for name in ("smtp-upgraded", "smtp-secure", "imap-upgraded", "imap-secure", "pop3-upgraded", "http-secure"):
            assert service.metric("tls_verified", group="default", resource=name) == 1
        assert service.get("/readyz").status == 200


def test_one_file_of_four_lines_is_enough(folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> None:
    """A metabase of four lines, without a cluster.json and with every default, watches real servers at once."""
    store = folder / "store"
    store.mkdir()
    text = FOUR_LINES.format(smtp=postfix.smtp_port, imap=dovecot.imap_port, http=nginx.http_port)
    assert len(text.splitlines()) == 4
    write_whole(store / "metabase.json", text)
    with Service(store) as service:
        assert set(service.wait_all_alive()) == {"default/smtp-1", "default/imap-1", "default/http-1"}


def test_isalive_answers_from_the_cache_while_a_check_hangs(folder: Path) -> None:
    """S7: readers get the last verdict at once and cost no probe, even while the only check hangs."""
    hang = threading.Event()

    def greets_until_told(peer: Peer, connection: socket.socket) -> None:
        if hang.is_set():
            misbehaving.silent(peer, connection)
        else:
            misbehaving.says(b"220 hello\r\n")(peer, connection)

    with Peer(greets_until_told) as peer:
        server = virtual_server(peer.port, poll_interval_s=0.5, probe_timeout_s=30.0, fall=1)
        write_metabase(folder / "store", {"/smtp/1": server})
        with Service(folder / "store") as service:
            service.wait_all_alive()
            hang.set()
            before = peer.served
            hanging = _wait_for_another(peer, before)
            slowest = 0.0
            for _ in range(200):
                begun = time.monotonic()
                answer = service.get("/isalive/default/smtp-1")
                slowest = max(slowest, time.monotonic() - begun)
                assert (answer.status, answer.json["alive"]) == (200, True)
            assert slowest < 0.5
            assert peer.served == hanging  # S65: the hung check is the only one


def _wait_for_another(peer: Peer, before: int) -> int:
    wait_until(lambda: peer.served > before, "the check that hangs", 5.0)
    return peer.served
