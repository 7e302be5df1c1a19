"""Prometheus itself, scraping one page every half second."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import urlopen

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.real import RealServer

QUERY_S = 5.0

CONFIGURATION = """\
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
scrape_configs:
  - job_name: looksalive
    static_configs: [{{targets: ["{target}"]}}]
"""
ALERTING = """\
rule_files: ["{rules}"]
alerting:
  alertmanagers:
    - static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


class Prometheus(RealServer):
    """Its own data folder and port; `query` asks its HTTP API; with `rules` it tells the Alertmanager on a port."""

    def __init__(self, folder: Path, url: str, rules: Path | None = None, alertmanager_port: int = 0) -> None:
        program = need("prometheus", "prometheus")
        self.port = free_port()
        folder.mkdir(mode=0o755, exist_ok=True)
        configuration = folder / "prometheus.yml"
        alerting = "" if rules is None else ALERTING.format(rules=rules, port=alertmanager_port)
        configuration.write_text(CONFIGURATION.format(target=urlsplit(url).netloc) + alerting)
        command = [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        super().__init__(folder, command, (self.port,))

    def query(self, expression: str) -> dict[tuple[tuple[str, str], ...], float]:
        """Return the instant vector of an expression: value by sorted labels. Raises OSError while it is not ready."""
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query={quote(expression)}", timeout=QUERY_S) as answer:
            result = json.load(answer)["data"]["result"]
        return {tuple(sorted(each["metric"].items())): float(each["value"][1]) for each in result}
