"""Postfix: `smtp_port` (plain, STARTTLS offered) and `smtps_port` (TLS on connect)."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need, need_root
from tests.e2e.servers.certificates import Certificate
from tests.e2e.servers.real import RealServer

HOSTNAME = "mail.example.org"
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = {hostname}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
maillog_file = /dev/stdout
smtpd_tls_security_level = may
smtpd_tls_cert_file = {certificate.certificate_file}
smtpd_tls_key_file = {certificate.key_file}
smtpd_tls_session_cache_database =
"""

MASTER = """\
127.0.0.1:{smtp} inet n - n - - smtpd
127.0.0.1:{smtps} inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
postlog unix-dgram n - n - 1 postlogd
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
cleanup unix n - n - 0 cleanup
proxymap unix - - n - - proxymap
"""


class Postfix(RealServer):
    """`master` in the foreground with configuration, queue and data directories of its own."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        program = need("/usr/lib/postfix/sbin/master", "postfix")
        need_root("Postfix")
        self.smtp_port, self.smtps_port = free_port(), free_port()
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "conf"
        configuration.mkdir()
        (configuration / "main.cf").write_text(MAIN.format(folder=folder, certificate=certificate, hostname=HOSTNAME))
        (configuration / "master.cf").write_text(MASTER.format(smtp=self.smtp_port, smtps=self.smtps_port))
        _make_queue(folder)
        super().__init__(folder, [program, "-c", str(configuration), "-d"], (self.smtp_port, self.smtps_port))


def _make_queue(folder: Path) -> None:
    """Make what `postfix check` would make, which takes it a second and the mail system's own groups."""
    owner = pwd.getpwnam("postfix").pw_uid
    queue = folder / "queue"
    queue.mkdir()
    (queue / "pid").mkdir()
    for name in (*QUEUES, "public", "maildrop"):
        (queue / name).mkdir(mode=0o700)
        os.chown(queue / name, owner, -1)
    (folder / "data").mkdir(mode=0o700)
    os.chown(folder / "data", owner, -1)
