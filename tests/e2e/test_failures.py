"""What happens to a real server that is only observed: killed, frozen, thawed, started again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase

Server = Postfix | Dovecot | Nginx

KINDS: dict[str, tuple[Callable[[Path, Authority], Server], str]] = {
    "smtp": (lambda folder, authority: Postfix(folder, authority.good), "smtp_port"),
    "imap": (lambda folder, authority: Dovecot(folder, authority.good), "imap_port"),
    "pop3": (lambda folder, authority: Dovecot(folder, authority.good), "pop3_port"),
    "http": (lambda folder, authority: Nginx(folder, authority.good), "http_port"),
}


@pytest.mark.parametrize(
    ("protocol", "kernel_events", "gone"),
    [*((protocol, "auto", "listener_gone") for protocol in KINDS), ("smtp", "off", "connect_refused")],
)
def test_killed_frozen_and_back(
    protocol: str, kernel_events: str, gone: str, folder: Path, authority: Authority
) -> None:
    """S32, S63, S64: SIGSTOP is a time-out, SIGCONT alive; kill -9 gone, started again alive; one edge each."""
    make, port = KINDS[protocol]
    server = make(folder / "server", authority)
    write_metabase(folder / "store", {f"/{protocol}/1": virtual_server(getattr(server, port))})
    id = f"default/{protocol}-1"
    with server, Service(folder / "store", "--kernel-events", kernel_events) as service:
        service.wait_for(id, alive=True, state="online")
        server.freeze()
        service.wait_for(id, alive=False, state="failed", reason="banner_timeout")
        assert service.get(f"/isalive/{id}").status == 503
        server.thaw()
        service.wait_for(id, alive=True, state="online", reason="matched")
        server.kill()
        service.wait_for(id, alive=False, state="failed", reason=gone)
        server.start()
        service.wait_for(id, alive=True, state="online")
        edges = [(each["to"], each["reason"]) for each in service.events() if each["id"] == id and each["to"] != ""]
        settled = [edge for edge in edges if edge[0] in ("online", "failed")]
        assert settled == [
            ("online", "matched"),
            ("failed", "banner_timeout"),
            ("online", "matched"),
            ("failed", gone),
            ("online", "matched"),
        ]
