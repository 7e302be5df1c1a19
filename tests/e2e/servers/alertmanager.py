"""Alertmanager itself, and the webhook that it tells."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.real import RealServer

CONFIGURATION = """\
route: {{receiver: test, group_by: ["..."], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: test
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Webhook:
    """Whoever is paged: `told` has every alert of every notification, as (status, labels)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, str]]] = []
        told = self.told

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                told.extend((alert["status"], alert["labels"]) for alert in body["alerts"])
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Alertmanager(RealServer):
    """One node without a cluster; tells `url` of every alert by itself, at once."""

    def __init__(self, folder: Path, url: str) -> None:
        program = need("prometheus-alertmanager", "prometheus-alertmanager")
        self.port = free_port()
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "alertmanager.yml"
        configuration.write_text(CONFIGURATION.format(url=url))
        command = [
            program,
            f"--config.file={configuration}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        super().__init__(folder, command, (self.port,))
