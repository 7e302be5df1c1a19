"""HAProxy: `http_port` answers every request itself."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.real import RealServer

CONFIGURATION = """\
global
  nbthread 2
defaults
  mode http
  timeout client 10s
  timeout connect 1s
  timeout server 10s
frontend page
  bind 127.0.0.1:{http}
  http-request return status 200 content-type text/plain string "all is well"
"""


class HAProxy(RealServer):
    """HAProxy in the foreground, one process of two threads that share the listener."""

    def __init__(self, folder: Path) -> None:
        program = need("haproxy", "haproxy")
        self.http_port = free_port()
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "haproxy.cfg"
        configuration.write_text(CONFIGURATION.format(http=self.http_port))
        super().__init__(folder, [program, "-db", "-f", str(configuration)], (self.http_port,))
