"""A real slapd for a test: its own configuration and database in a folder, on a loopback port of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.certificates import Certificate
from tests.e2e.waiting import wait_until

SUFFIX = "dc=example,dc=org"
BASE = f"ou=looksalive,{SUFFIX}"
ADMIN, PASSWORD = f"cn=admin,{SUFFIX}", "sesame, open"
READER = f"cn=reader,{SUFFIX}"
START_S_MAX = 30.0

_CONFIGURATION = """\
include /etc/ldap/schema/core.schema
pidfile {folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
{tls}
database mdb
suffix "{suffix}"
directory {folder}/db
rootdn "{admin}"
rootpw "{password}"
maxsize 33554432
access to attrs=userPassword by anonymous auth by * none
access to * by * read
"""
_ENTRIES = f"""\
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
dc: example
o: Example

dn: {BASE}
objectClass: organizationalUnit
ou: looksalive

dn: {READER}
objectClass: person
objectClass: simpleSecurityObject
cn: reader
sn: reader
userPassword: {PASSWORD}
"""


class Slapd:
    """The server, stopped and started again on the same data; `kill` is SIGKILL."""

    def __init__(self, folder: Path, certificate: Certificate | None = None) -> None:
        self._program = need("slapd", "slapd")
        self._modify = need("ldapmodify", "ldap-utils")
        self._folder = folder
        (folder / "db").mkdir(parents=True)
        self.port = free_port()
        self.tls_port = free_port()
        tls = ""
        if certificate is not None:
            key, leaf = certificate.key_file, certificate.certificate_file
            tls = f"TLSCertificateFile {leaf}\nTLSCertificateKeyFile {key}\n"
        values = {"folder": folder, "suffix": SUFFIX, "admin": ADMIN, "password": PASSWORD, "tls": tls}
        (folder / "slapd.conf").write_text(_CONFIGURATION.format(**values))
        self._urls = f"ldap://127.0.0.1:{self.port}/" + (f" ldaps://127.0.0.1:{self.tls_port}/" if tls else "")
        (folder / "password").write_text(PASSWORD)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()
        self.edit(_ENTRIES, "-a")

    @property
    def url(self) -> str:
        """Where our objects are."""
        return f"ldap://127.0.0.1:{self.port}/{BASE}"

    @property
    def tls_url(self) -> str:
        """The same over TLS."""
        return f"ldaps://localhost:{self.tls_port}/{BASE}"

    @property
    def password_file(self) -> str:
        """The administrator's password, in a file."""
        return str(self._folder / "password")

    def start(self) -> None:
        """Start in the foreground and wait until it listens."""
        argv = [self._program, "-d", "0", "-f", str(self._folder / "slapd.conf"), "-h", self._urls]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        wait_until(self._listens, f"slapd on port {self.port}", START_S_MAX)

    def signal(self, number: int) -> None:
        """Signal it: SIGSTOP is a server that hangs."""
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        """Let it die as a power cut would."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self.kill()

    def edit(self, ldif: str, *flags: str) -> None:
        """Change entries as another tool does: ldapmodify, as the administrator."""
        argv = [
            self._modify,
            "-x",
            "-H",
            f"ldap://127.0.0.1:{self.port}",
            "-D",
            ADMIN,
            "-y",
            self.password_file,
            *flags,
        ]
        subprocess.run(argv, input=ldif.encode(), check=True, capture_output=True, timeout=60)

    def show(self, dn: str) -> str:
        """Show one entry's attributes as ldapsearch does."""
        argv = [need("ldapsearch", "ldap-utils"), "-x", "-LLL", "-o", "ldif-wrap=no", "-H"]
        argv += [f"ldap://127.0.0.1:{self.port}", "-s", "base", "-b", dn]
        return subprocess.run(argv, check=True, capture_output=True, timeout=60).stdout.decode()

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0
