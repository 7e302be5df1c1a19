"""The reference's whole group on real servers: none of them runs until the service starts it.

Below are an address, a name and a disk of its own; the store is a Dovecot whose mailboxes are on that disk; search asks
it; Postfix, nginx and a second Dovecot (pop3 and imap are one service) stand above it. A second group has nothing to do
with it but the node.
"""

from __future__ import annotations

import hashlib
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

from tests.e2e.command import looksalive
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.mail_store import MailStore, StoreHealth
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.service import Service

TOKEN = "four-legs-good"
GROUP, OTHER = "evs1", "evs2"
STORE = f"{GROUP}/store"
ABOVE = tuple(f"{GROUP}/{name}" for name in ("search", "smtp", "pop3", "imap", "http"))
BELOW = tuple(f"{GROUP}/{name}" for name in ("ip", "network", "disk", "sa", "mta", "routing"))
QUICK = ("poll_interval_s=0.5", "fast_interval_s=0.2", "probe_timeout_s=1")


class MailGroup:
    """A store folder, the servers of two groups, and the command line on them."""

    def __init__(self, folder: Path, disk: Path, authority: Authority) -> None:
        self.store, self.state, self._disk = folder / "store", folder / "state", disk
        self.store.mkdir()
        self.mail_store = MailStore(folder / "mail-store", disk / "mail")
        self.health = StoreHealth(folder / "health", self.mail_store)
        self._search = StoreHealth(folder / "search", self.mail_store)
        self._postfix = Postfix(folder / "postfix", authority.good)
        self._front = Dovecot(folder / "front", authority.good)
        self._web = Nginx(folder / "web", authority.good)
        self._other_web = Nginx(folder / "other-web", authority.good)
        self.hosts = folder / "hosts"
        self.hosts.write_text("127.0.0.1 localhost\n")
        self._sleep = folder / "sleep"  # named by its folder, so that one that nobody knows of is ended with it
        self._sleep.symlink_to("/bin/sleep")
        self.token, self._hashes = folder / "token", folder / "hashes"
        self.token.write_text(TOKEN)
        self._hashes.write_text(f"root:admin:{hashlib.sha256(TOKEN.encode()).hexdigest()}\n")

    @property
    def history(self) -> Path:
        """The journal of the service."""
        return self.state / "history.sqlite3"

    def command(self, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command on the store."""
        return looksalive(verb, *words, "--store", str(self.store), "--state-dir", str(self.state))

    def create(self, store_health: str, *more: str) -> subprocess.CompletedProcess[str]:
        """Make the whole group with one command; its virtual servers listen on the group's own address."""
        front = shlex.join(self._front.command)
        servers = {
            "sa": self._sleeping(1),
            "store": f"process:{shlex.join(self.mail_store.command)}",
            "mta": self._sleeping(2),
            "routing": self._sleeping(3),
            "search": f"process:{shlex.join(self._search.command)}",
            "smtp": f"process:{shlex.join(self._postfix.command)}",
            "pop3": f"process:{front}",
            "imap": f"process:{front}",
            "http": f"process:{shlex.join(self._web.command)}",
        }
        ports = {"smtp": self._postfix.smtp_port, "pop3": self._front.pop3_port}
        ports |= {"imap": self._front.imap_port, "http": self._web.http_port}
        words = ["--ip", "127.0.0.1/8", "--network-name", "mail.example.org", "--disk", str(self._disk)]
        words += ["network.controller=name", f"network.hosts_file={self.hosts}"]
        words += [f"--store-health={store_health}", f"--search-health={self._search.index}"]
        words += [f"--{name}-controller={controller}" for name, controller in servers.items()]
        words += [f"--{name}=*:{port}" for name, port in ports.items()]
        words += [f"{name}.{word}" for name in ports for word in QUICK]
        words += [f"{name}.{word}" for name in ("store", "search") for word in QUICK[:2]]
        return self.command("create", "system-attendant", GROUP, *words, *more)

    def create_other(self) -> subprocess.CompletedProcess[str]:
        """Make a second group: an attendant, a store of its own, and nginx above it."""
        words = [f"--without={name}" for name in ("search", "smtp", "pop3", "imap", "routing")]
        words += [f"--sa-controller={self._sleeping(4)}", f"--store-controller={self._sleeping(5)}"]
        words += [f"--http-controller=process:{shlex.join(self._other_web.command)}"]
        words += [f"--http=127.0.0.1:{self._other_web.http_port}", *(f"http.{word}" for word in QUICK)]
        return self.command("create", "system-attendant", OTHER, *words)

    def service(self) -> Service:
        """Run the store."""
        return Service(self.store, "--token-file", str(self._hashes))

    def ask(self, service: Service, verb: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command that asks the running service, as somebody who may."""
        return looksalive(verb, *words, "--url", service.url, "--token-file", str(self.token))

    def document(self, name: str) -> Any:
        """Read a file of the store."""
        return json.loads((self.store / name).read_text())

    def _sleeping(self, number: int) -> str:
        return f"process:{self._sleep} 100{number}"  # equal commands would be one service
