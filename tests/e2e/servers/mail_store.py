"""Dovecot as an information store, and beside it the small service that says which virtual servers it has active.

`python -m tests.e2e.servers.mail_store GRPC_PORT HTTP_PORT DOVEADM_PORT`: each time it is asked it asks Dovecot itself,
by the HTTP API of doveadm, to open the mailbox that bears the virtual server's name. Active is what Dovecot can open.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import ThreadingHTTPServer
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2_grpc

from tests.e2e.ports import free_port
from tests.e2e.programs import need, need_root
from tests.e2e.servers.health import KNOWN, Servicer, Store, handler_of
from tests.e2e.servers.real import RealServer

KEY = "a key of this test"
DOVECOT_WITHIN_S = 0.4  # below the time-outs of who asks us: a frozen Dovecot makes an answer of ours, no silence

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
instance_name = looksalive-store
log_path = /dev/stderr
protocols =
ssl = no
first_valid_uid = 1
mail_location = maildir:{mail}/%u
doveadm_api_key = {key}
passdb {{
  driver = static
  args = password=unused
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={mail}/%u allow_all_users=yes
}}
service doveadm {{
  inet_listener http {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


class MailStore(RealServer):
    """A Dovecot without any protocol of its own: it keeps mailboxes under `mail`, and doveadm asks it."""

    def __init__(self, folder: Path, mail: Path) -> None:
        program = need("dovecot", "dovecot-core")
        need_root("Dovecot")
        folder.mkdir(mode=0o755)
        mail.mkdir(exist_ok=True)
        shutil.chown(mail, "nobody", "nogroup")
        self.doveadm_port = free_port()
        configuration = folder / "dovecot.conf"
        configuration.write_text(CONFIGURATION.format(folder=folder, mail=mail, key=KEY, port=self.doveadm_port))
        super().__init__(folder, [program, "-c", str(configuration), "-F"], (self.doveadm_port,))


class StoreHealth(RealServer):
    """The program below; it runs whether Dovecot does or not."""

    def __init__(self, folder: Path, store: MailStore) -> None:
        folder.mkdir()
        self.grpc_port, self.http_port = free_port(), free_port()
        self.grpc = f"grpc://127.0.0.1:{self.grpc_port}"
        self.http = f"http://127.0.0.1:{self.http_port}/active"
        self.index = f"http://127.0.0.1:{self.http_port}/index"
        words = [str(port) for port in (self.grpc_port, self.http_port, store.doveadm_port)]
        command = ["env", f"PYTHONPATH={Path(__file__).parents[3]}", sys.executable, "-m", __spec__.name, *words]
        super().__init__(folder, command, (self.grpc_port, self.http_port))


class Dovecot(Store):
    """The virtual servers whose mailboxes Dovecot opens, asked anew each time."""

    def __init__(self, doveadm_port: int) -> None:
        self._port = doveadm_port

    def names(self) -> list[str]:
        """Ask for all of them; an answer that is late, or none, names nobody."""
        field = {"mailboxMask": ["INBOX"], "field": ["messages"]}
        orders = [["mailboxStatus", {"user": name, **field}, name] for name in KNOWN]
        authorization = f"X-Dovecot-API {base64.b64encode(KEY.encode()).decode()}"
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DOVECOT_WITHIN_S)
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            connection.request("POST", "/doveadm/v1", json.dumps(orders), headers)
            answers = json.loads(connection.getresponse().read())
            return [name for kind, _, name in answers if kind == "doveadmResponse"]
        return []


def main(grpc_port: str, http_port: str, doveadm_port: str) -> None:
    """Serve for ever."""
    store = Dovecot(int(doveadm_port))
    server = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(Servicer(store), server)
    server.add_insecure_port(f"127.0.0.1:{grpc_port}")
    server.start()
    ThreadingHTTPServer(("127.0.0.1", int(http_port)), handler_of(store)).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
