"""The reference's whole group from one command, on real servers: made, validated, brought online in order, deleted."""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import looksalive
from tests.e2e.ports import free_port
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import accepts
from tests.e2e.service import Service

TOKEN = "correct-horse"
PROTOCOLS = ("search", "smtp", "pop3", "imap", "http")
QUICK = ("probe_timeout_s=1", "poll_interval_s=0.5", "fast_interval_s=0.2")


class Reference:
    """A store folder, and the real servers that its group is to start."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.store, self.state = folder / "store", folder / "state"
        self.store.mkdir()
        self.postfix = Postfix(folder / "postfix", authority.good)
        self.dovecot = Dovecot(folder / "dovecot", authority.good)
        self.nginx = Nginx(folder / "nginx", authority.good)
        self.index_port = free_port()
        (folder / "index").mkdir()
        (folder / "index" / "handle").write_text('{"handle": "0x2a"}')
        index = [sys.executable, "-m", "http.server", "-b", "127.0.0.1", "-d", str(folder / "index")]
        self.index = [*index, str(self.index_port)]
        self.token = folder / "token"
        self.token.write_text(TOKEN)
        self.hashes = folder / "hashes"
        self.hashes.write_text(f"root:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")

    def command(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the store."""
        return looksalive(verb, *words, "--store", str(self.store), "--state-dir", str(self.state))

    def create(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Make the whole group with one command."""
        servers = {"store": self.dovecot.command, "smtp": self.postfix.command, "http": self.nginx.command}
        controllers = {**servers, "search": self.index}
        words = [f"--{name}-controller=process:{shlex.join(argv)}" for name, argv in controllers.items()]
        ports = {
            "smtp": self.postfix.smtp_port,
            "pop3": self.dovecot.pop3_port,
            "imap": self.dovecot.imap_port,
            "http": self.nginx.http_port,
        }
        words += [f"--{name}=127.0.0.1:{port}" for name, port in ports.items()]
        words += [f"{name}.{word}" for name in ports for word in QUICK]
        words.append(f"--search-health=http://127.0.0.1:{self.index_port}/handle")
        return self.command("create", "system-attendant", "evs1", *words, *more)

    def service(self) -> Service:
        """Run the store."""
        return Service(self.store, "--token-file", str(self.hashes))

    def document(self, name: str) -> Any:
        """Read a file of the store."""
        return json.loads((self.store / name).read_text())


@pytest.fixture
def reference(folder: Path, authority: Authority) -> Reference:
    """The servers, none of which runs yet."""
    return Reference(folder, authority)


def test_one_command_makes_the_group_and_it_comes_online_in_order(reference: Reference) -> None:
    """S15 to S19: one command makes twelve resources less the three nobody gave, with their dependencies and directory
    objects; `run` starts the real servers, the store before what stands on it; `delete --force` stops and removes all.
    """
    made = reference.create()
    assert (made.returncode, made.stderr) == (0, "")
    again = reference.create()
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "nothing to write: it is so already")
    checked = looksalive("validate", "--store", str(reference.store))
    assert checked.stdout == "ok: 4 virtual servers, 9 resources in 1 group\n", checked.stderr
    assert len(reference.document("directory.json")["objects"]) == 9
    with reference.service() as service:
        resources = service.wait_all_alive(60.0)
        assert len(resources) == 9
        online = [each["id"].partition("/")[2] for each in service.events() if each["to"] == "online"]
        assert online.index("sa") < online.index("store") < min(online.index(name) for name in PROTOCOLS)
        begun = [each["id"].partition("/")[2] for each in service.events() if each["to"] == "online-pending"]
        assert begun.index("store") < min(begun.index(name) for name in ("search", "smtp", "http"))
        client = ("--url", service.url.rstrip("/"), "--token-file", str(reference.token))
        refused = reference.command("delete", "evs1", "--yes", *client)
        assert refused.returncode == 1
        assert "evs1/smtp is online" in refused.stderr
        assert "take it offline first (looksalive offline evs1 --wait), or pass --force" in refused.stderr
        unasked = reference.command("delete", "evs1", "--yes")
        assert unasked.returncode == 3
        assert "a looksalive runs on the state folder" in unasked.stderr
        gone = reference.command("delete", "evs1", "--yes", "--force", *client)
        assert gone.returncode == 0, gone.stderr
        service.wait(lambda resources: not resources, "nothing left", 20.0)
        assert not accepts(reference.postfix.smtp_port)
        assert not accepts(reference.dovecot.imap_port)
    assert reference.document("cluster.json")["groups"] == reference.document("metabase.json")["keys"] == {}
    assert reference.document("directory.json")["objects"] == {}


def test_a_running_service_is_changed_over_the_network(reference: Reference) -> None:
    """DESIGN 4: an admin makes a virtual server over HTTP and it is watched; a program, a path or a running resource is
    refused with what to do instead; the metabase is patched at its revision.
    """
    assert reference.command("create", "tcp", "g/one", "--binding", "127.0.0.1:9").returncode == 0
    key = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    port = reference.nginx.http_port
    with reference.nginx, reference.service() as service:
        body: dict[str, Any] = {"type": "http", "server": {"bindings": [f"127.0.0.1:{port}"], "poll_interval_s": 0.5}}
        made = service.ask("POST", "/api/v1/resources/g/web", body, key)
        assert (made.status, made.json["resources"]) == (201, ["g/web"])
        service.wait_for("g/web", alive=True)
        body["controller"] = {"kind": "process", "command": ["/bin/sh"]}
        refused = service.ask("POST", "/api/v1/resources/g/shell", body, key)
        assert (refused.status, refused.json["error"]["code"]) == (403, "only_on_the_store")
        assert "run it on the store: looksalive create http g/shell" in refused.json["error"]["message"]
        running = service.ask("DELETE", "/api/v1/resources/g/web", {}, key)
        assert (running.status, running.json["error"]["code"]) == (409, "not_offline")
        path = "/api/v1/metabase/http/g-web"
        tag = service.get(path).headers["ETag"]
        patched = service.ask("PATCH", path, {"expect_status": "500"}, key | {"If-Match": tag})
        assert patched.status == 200
        assert service.ask("PATCH", path, {"rise": 1}, key | {"If-Match": tag}).status == 412
        assert service.ask("PATCH", path, {"rise": 1}, key).status == 428
        service.wait_for("g/web", state="failed", reason="http_status")
        service.ask("POST", "/api/v1/resources/g/web/offline", {}, key)
        service.wait_for("g/web", state="offline")
        assert service.ask("DELETE", "/api/v1/resources/g/web", {}, key).status == 200
        service.wait(lambda resources: "g/web" not in resources, "g/web is gone")
    assert list(reference.document("metabase.json")["keys"]) == ["/tcp/g-one"]
