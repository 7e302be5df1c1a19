"""blackbox_exporter, asked by a real Prometheus that keeps what it hears: neither is of use without the other."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

from tests.bench.ground import GroundError, Window
from tests.bench.peers.contender import Course, Pace
from tests.bench.peers.course import program_of, run_real
from tests.bench.peers.own import BANNER, GET
from tests.e2e.ports import free_port
from tests.e2e.servers.real import RealServer
from tests.e2e.waiting import TooLateError, wait_until

QUERY_S = 10.0
FIRST_ROUND_S = 15.0  # beyond two periods
PERIOD_S_MIN = 1.0  # half a second of each scrape's time-out is kept back by the exporter
RATE_MAX = 800.0  # what one core carries of both; much above it every scrape times out, and it checks nothing
HALVINGS_MAX = 4
MODULES = """\
modules:
  banner: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: "^220"}]}}
  get: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, follow_redirects: false}}
"""
CONFIGURATION = """\
global: {{scrape_interval: {interval}ms, scrape_timeout: {interval}ms}}
scrape_configs:
  - job_name: blackbox
    metrics_path: /probe
    params: {{module: [{module}]}}
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "127.0.0.1:{port}"}}
    static_configs: [{{targets: {targets}}}]
"""


class Exporter(RealServer):
    """blackbox_exporter with two modules."""

    def __init__(self, folder: Path) -> None:
        program = program_of("prometheus-blackbox-exporter", "prometheus-blackbox-exporter")
        folder.mkdir(parents=True, exist_ok=True)
        modules = folder / "blackbox.yml"
        modules.write_text(MODULES)
        self.port = free_port()
        command = [program, f"--config.file={modules}", f"--web.listen-address=127.0.0.1:{self.port}"]
        super().__init__(folder, [*command, "--log.level=error"], (self.port,))


class Prometheus(RealServer):
    """Prometheus, scraping the exporter once a period for each target."""

    def __init__(self, folder: Path, exporter_port: int, module: str, targets: list[str], period_s: float) -> None:
        program = program_of("prometheus", "prometheus")
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "prometheus.yml"
        interval = round(period_s * 1000)
        configuration.write_text(
            CONFIGURATION.format(interval=interval, module=module, port=exporter_port, targets=json.dumps(targets))
        )
        self.port = free_port()
        command = [
            program,
            f"--config.file={configuration}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=error",
        ]
        super().__init__(folder, command, (self.port,))

    def alive(self) -> int:
        """Count the targets whose last probe succeeded."""
        query = quote("count(probe_success == 1)")
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/query?query={query}", timeout=QUERY_S) as answer:
            result = json.load(answer)["data"]["result"]
        return int(result[0]["value"][1]) if result else 0


class Pair:
    """Both programs, as one that checks."""

    def __init__(self, folder: Path, module: str, targets: list[str], period_s: float) -> None:
        self._exporter = Exporter(folder / "exporter")
        self._prometheus = Prometheus(folder / "prometheus", self._exporter.port, module, targets, period_s)
        self._give_up_s = 2 * period_s + FIRST_ROUND_S

    def pids(self) -> list[int]:
        """Name both."""
        return [self._exporter.pid, self._prometheus.pid]

    def start(self) -> None:
        """Start both."""
        self._exporter.start()
        try:
            self._prometheus.start()
        except BaseException:
            self._exporter.stop()
            raise

    def stop(self) -> None:
        """Stop both."""
        try:
            self._prometheus.stop()
        finally:
            self._exporter.stop()

    def wait_all_alive(self, targets: int) -> None:
        """Return when the last probe of every target succeeded."""
        wait_until(lambda: self._alive() == targets, f"Prometheus to find {targets} alive", self._give_up_s)

    def _alive(self) -> int:
        try:
            return self._prometheus.alive()
        except OSError:  # it answers queries only when it is ready
            return 0


@dataclass(frozen=True)
class Blackbox:
    """One module of the exporter."""

    name: str
    protocol: str
    ours: str
    module: str

    def run(self, course: Course, seconds: float) -> Window:
        """Measure it at the largest pace it carries: where it falls behind, its probes fail, then half as many."""
        period_s = max(course.pace.period_s, PERIOD_S_MIN)
        targets = int(min(course.pace.rate, RATE_MAX) * period_s)
        for _ in range(HALVINGS_MAX):
            slower = replace(course, pace=Pace(targets, period_s))
            pair = Pair(course.folder / "prometheus", self.module, slower.addresses(self.protocol), period_s)
            try:
                return run_real(slower, pair, seconds)
            except TooLateError:
                targets = max(1, targets // 2)
            finally:
                shutil.rmtree(course.folder / "prometheus")
        raise GroundError(f"{self.name} did not even find {targets * 2} targets alive every {period_s:g} s")


CONTENDERS = (
    Blackbox("Prometheus + blackbox tcp", "smtp", BANNER, "banner"),
    Blackbox("Prometheus + blackbox http", "http", GET, "get"),
)
