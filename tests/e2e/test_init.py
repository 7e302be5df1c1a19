"""From a machine with Postfix, Dovecot and nginx to all of them watched, in two commands."""

from __future__ import annotations

import json
from pathlib import Path

from tests.e2e.command import looksalive
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.service import Service

ALIVE_WITHIN_S = 20.0


def test_init_then_run(folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> None:
    """What init finds of real servers, plain and under TLS, the service then finds alive; a report has them all."""
    ports = [postfix.smtp_port, postfix.smtps_port, dovecot.imap_port, dovecot.pop3_port, nginx.http_port]
    wanted = [word for port in ports for word in ("--port", str(port))]
    made = looksalive("init", "--store", str(folder / "store"), *wanted, "--json")
    assert made.returncode == 0, made.stdout + made.stderr
    found = {one["binding"]: one["protocol"] for one in json.loads(made.stdout)["found"]}
    spoken = dict(zip(ports, ("smtp", "smtp", "imap", "pop3", "http"), strict=True))
    spoken.pop(postfix.smtps_port)  # TLS on an unusual port: not guessed
    assert found == {f"127.0.0.1:{port}": protocol for port, protocol in spoken.items()}
    with Service(folder / "store") as service:
        service.wait_all_alive(ALIVE_WITHIN_S)
        history = service.get("/api/v1/resources/default/smtp-1/history?minutes=2").json
        assert sum(bucket["ok"] for bucket in history["buckets"]) > 0
        shown = looksalive("status", "--url", service.url)
        assert "4 of 4 resources alive" in shown.stdout
        told = looksalive("events", "default/smtp-1", "--url", service.url, "--json")
        assert json.loads(told.stdout.splitlines()[-1])["to"] == "online"
        report = looksalive("report", "--since", "1h", "--url", service.url, "--json")
        assert [one["now"] for one in json.loads(report.stdout)["resources"]] == ["up"] * 4
    ended = looksalive("report", "--since", "1h", "--state-dir", str(folder / "state"), "--json")
    assert [one["uptime"] for one in json.loads(ended.stdout)["resources"]] == [1.0] * 4
