"""Dovecot: `imap_port` and `pop3_port` (plain, STARTTLS and STLS offered), `imaps_port` and `pop3s_port`."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need, need_root
from tests.e2e.servers.certificates import Certificate
from tests.e2e.servers.real import RealServer

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = looksalive
log_path = /dev/stderr
protocols = imap pop3
listen = 127.0.0.1
ssl = yes
ssl_cert = <{certificate.certificate_file}
ssl_key = <{certificate.key_file}
mail_location = maildir:{folder}/mail/%u
passdb {{
  driver = static
  args = password=unused
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={folder}/mail/%u
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = {pop3s}
    ssl = yes
  }}
}}
"""


class Dovecot(RealServer):
    """`dovecot -F`; nobody can log in, and a probe never does."""

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        need("/usr/lib/dovecot/imap-login", "dovecot-imapd")
        need("/usr/lib/dovecot/pop3-login", "dovecot-pop3d")
        program = need("dovecot", "dovecot-core")
        need_root("Dovecot")
        self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port = (free_port() for _ in range(4))
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=folder,
                certificate=certificate,
                imap=self.imap_port,
                imaps=self.imaps_port,
                pop3=self.pop3_port,
                pop3s=self.pop3s_port,
            )
        )
        ports = (self.imap_port, self.imaps_port, self.pop3_port, self.pop3s_port)
        super().__init__(folder, [program, "-c", str(configuration), "-F"], ports)
