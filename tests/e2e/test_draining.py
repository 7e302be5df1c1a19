"""`looksalive drain` as a preStop hook, on a real server: what ends then is planned."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.e2e.command import looksalive
from tests.e2e.processes import kill_session
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.nginx import Nginx
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase

TOKEN = "token-for-tests"


def test_what_ends_during_a_drain_stays_down_until_its_end(folder: Path, authority: Authority) -> None:
    """While stops are planned a killed server is failed with its reason, not restarted and not to blame; then it is."""
    nginx = Nginx(folder / "nginx", authority.good)
    write_metabase(folder / "store", {"/http/1": virtual_server(nginx.http_port)})
    web = {"type": "http", "parameters": {"virtual_server": "/http/1"}, "controller": process(nginx.command)}
    write_cluster(folder / "store", "evs1", {"web": web})
    hashes, secret = folder / "tokens", folder / "token"
    hashes.write_text(f"tester:operator:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")
    secret.write_text(TOKEN)
    with Service(folder / "store", "--token-file", str(hashes)) as service:
        client = ("--url", service.url, "--token-file", str(secret))
        pid = service.wait_for("evs1/web", alive=True)["pid"]
        assert service.get("/readyz").status == 200
        done = looksalive("drain", "--wait", *client)
        assert (done.returncode, done.stdout) == (0, "the stops to come are planned\n"), done.stderr
        ready = service.get("/readyz")
        assert (ready.status, service.get("/livez").status) == (503, 200)
        assert ready.json["error"]["message"].startswith("draining")
        kill_session(os.getsid(pid))
        failed = service.wait_for("evs1/web", state="failed")
        assert failed["reason"] in ("process_gone", "listener_gone")  # whichever the kernel tells first
        assert failed["restarts"] == 0
        assert service.metric("draining") == 1
        assert service.metric("resource_state", group="evs1", resource="web", state="failed") == 1
        assert service.get("/livez/evs1/web").status == 200
        refused = looksalive("restart", "evs1/web", *client)
        assert refused.returncode == 1
        assert "drain --off" in refused.stderr
        assert service.resource("evs1/web")["state"] == "failed"
        done = looksalive("drain", "--off", "--json", *client)
        assert (done.returncode, json.loads(done.stdout)) == (0, {"on": False, "pending": []})
        back = service.wait_for_another_process("evs1/web", pid)
        assert back["restarts"] == 1
        assert service.get("/readyz").status == 200
        assert service.metric("draining") == 0
    with closing(sqlite3.connect(folder / "state" / "history.sqlite3")) as journal:
        asked = journal.execute(
            "SELECT who, verb, granted FROM audit WHERE verb LIKE 'planned%' ORDER BY id"
        ).fetchall()
    assert asked == [("tester", "planned on", 1), ("tester", "planned off", 1)]
