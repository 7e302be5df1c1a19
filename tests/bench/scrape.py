"""What reading everything costs: /metrics and /api/v1/status of many resources, beside `generate_latest`.

The stall is measured from outside: the worst answer of /livez, asked all the time on another connection, beyond the
usual one; and from inside, as the longest slice that `chunks` takes for the same number of resources.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from probe.lifecycle.report import ResourceReport
from probe.metrics import Metrics, chunks
from probe.values import Outcome, Reason, ResourceId, State
from tests.bench.asking import Beat
from tests.bench.ground import cpu_s, let_pass, on_core
from tests.bench.load import LargeService, Load, many_targets, serving
from tests.bench.sweep import RESOURCES_PER_GROUP

SERIES_MAX = 100_000  # that generate_latest is given
IDLE_S = 3.0
READ_BYTES = 2**20
BAR_STALL_S, BAR_RATIO = 0.015, 0.1
PAGES = (("/metrics", "identity"), ("/metrics", "gzip"), ("/api/v1/status", "identity"))


@dataclass(frozen=True)
class ScrapePlan:
    """Which sizes, and how often each page is read."""

    sizes: tuple[int, ...] = (10_000, 100_000)
    period_s: float = 60.0  # few probes beside what is measured
    reads: int = 5


@dataclass(frozen=True)
class Page:
    """One page of one size: medians over the reads, the stall the worst of them."""

    resources: int
    path: str
    encoding: str
    sent_bytes: int
    cpu_s: float
    took_s: float
    stall_s: float


@dataclass(frozen=True)
class Slices:
    """What it takes inside: to make the text of so many series in slices, and all at once by prometheus_client."""

    resources: int
    series: int
    slices: int
    cpu_s: float
    longest_s: float
    served_cpu_s: float  # of the service, for its own series, plain
    served_series: int
    generate_cpu_s: float  # of generate_latest, for `generated_series`
    generated_series: int

    @property
    def ratio(self) -> float:
        """How much of `generate_latest`'s CPU a series costs the service."""
        return (self.served_cpu_s / self.served_series) / (self.generate_cpu_s / self.generated_series)


def measure(plan: ScrapePlan, sources: Path, tell: Callable[[str], None]) -> tuple[list[Page], list[Slices]]:
    """Measure each size. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    pages, slices = [], []
    with many_targets(sources) as (_, server, folder):
        for size in plan.sizes:
            home = folder / str(size)
            home.mkdir()
            load = Load(size, plan.period_s, -(-size // RESOURCES_PER_GROUP))
            load.write(home / "store", server.ports)
            with serving(home, cores[-1]) as service:
                service.wait_all_online()
                of_size = [_page(plan, service, size, cores[0], *page) for page in PAGES]
                series = list(islice(_series(service), SERIES_MAX))
                served = sum(1 for line in _series(service) if not line.startswith("#"))
            for page in of_size:
                tell(line_of(page))
            with on_core(cores[-1]):
                slices.append(_slices(size, of_size[0].cpu_s, served, series))
            pages += of_size
    return pages, slices


def _page(plan: ScrapePlan, service: LargeService, size: int, core: int, path: str, encoding: str) -> Page:
    """Read a page for its cost with nothing beside it, then for its stall with /livez asked all the time."""
    begun, cpu = time.monotonic(), cpu_s(service.pid)
    let_pass(IDLE_S)
    idle = (cpu_s(service.pid) - cpu) / (time.monotonic() - begun)
    costs, sent, took, stalls = [], [], [], []
    with on_core(core):
        for _ in range(plan.reads):
            begun, cpu = time.monotonic(), cpu_s(service.pid)
            sent.append(_read(service, path, encoding))
            took.append(time.monotonic() - begun)
            costs.append(cpu_s(service.pid) - cpu - idle * took[-1])
        with Beat(service.port) as beat:
            let_pass(IDLE_S)
            usual_s = beat.since().median_s
            for _ in range(plan.reads):
                _read(service, path, encoding)
                stalls.append(beat.since().worst_s - usual_s)
    middle = [statistics.median(values) for values in (sent, costs, took)]
    return Page(size, path, encoding, int(middle[0]), middle[1], middle[2], max(stalls))


def _read(service: LargeService, path: str, encoding: str) -> int:
    """Read a page as it was sent and return its bytes."""
    sent = 0
    with service.asked(path, encoding) as answer:
        while piece := answer.read(READ_BYTES):
            sent += len(piece)
    return sent


def _series(service: LargeService) -> Iterator[str]:
    with service.asked("/metrics") as page:
        for line in page:
            yield line.decode()


class _Families:
    """Tells what was parsed: `generate_latest` has nothing to collect, only to write."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """Tell them."""
        return self._families

    describe = collect


def _slices(size: int, served_cpu_s: float, served_series: int, text: Sequence[str]) -> Slices:
    """Make both texts here, on this thread's CPU."""
    metrics, reports = Metrics(), list(_reports(size))
    for report in reports:
        metrics.declare(report.id)
        metrics.attempt(report.id)
    pieces, longest_s = list[int](), 0.0
    first = last = time.thread_time()
    for piece in chunks(metrics, reports):
        now = time.thread_time()
        longest_s, last = max(longest_s, now - last), now
        pieces.append(piece.count("\n"))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(text_string_to_metric_families("".join(text))))
    begun = time.thread_time()
    written = generate_latest(registry)
    generate_s = time.thread_time() - begun
    generated = sum(1 for line in written.splitlines() if not line.startswith(b"#"))
    return Slices(
        size, sum(pieces), len(pieces), last - first, longest_s, served_cpu_s, served_series, generate_s, generated
    )


def _reports(size: int) -> Iterator[ResourceReport]:
    for number in range(size):
        yield ResourceReport(
            ResourceId(f"g{number // RESOURCES_PER_GROUP}", f"smtp-{number}"), "smtp", "none", State.ONLINE,
            State.ONLINE, True, Outcome.ALIVE, False, Reason.MATCHED, "220 ready", 1.0, None, 1.7e9, 0, 2, None, (), (),
        )  # fmt: skip


def table(pages: list[Page], slices: list[Slices]) -> str:
    """Write a line a page, a line a size for the inside, and the bars."""
    lines = [
        "CPU of the service beyond what it has to do anyway; the stall is the worst /livez beyond the usual one",
        "",
        "| resources | page | encoding | MB | CPU | took | stall |",
        "|---:|---|---|---:|---:|---:|---:|",
        *map(line_of, pages),
        "",
        "| resources | series | slices | CPU of all | longest slice | served/series | generate_latest/series | ratio |",
        "|---:" * 8 + "|",
    ]
    for each in slices:
        cells = [
            f"{each.resources}",
            f"{each.series}",
            f"{each.slices}",
            f"{each.cpu_s:.2f} s",
            f"{each.longest_s * 1e3:.1f} ms",
            f"{each.served_cpu_s / each.served_series * 1e6:.2f} us",
            f"{each.generate_cpu_s / each.generated_series * 1e6:.2f} us",
            f"{each.ratio:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    worst = max(page.stall_s for page in pages if page.path == "/metrics")
    ratio = max(each.ratio for each in slices)
    return "\n".join([*lines, "", _held("stall of a scrape, ms", worst * 1e3, BAR_STALL_S * 1e3),
                      _held("CPU of a scrape as part of generate_latest's", ratio, BAR_RATIO)])  # fmt: skip


def _held(what: str, value: float, bar: float) -> str:
    return f"{what}: {value:.3g}, at most {bar:g}: {'holds' if value <= bar else 'DOES NOT HOLD'}"


def line_of(page: Page) -> str:
    """Write one page."""
    cells = [
        f"{page.resources}",
        page.path,
        page.encoding,
        f"{page.sent_bytes / 1e6:.1f}",
        f"{page.cpu_s * 1e3:.0f} ms",
        f"{page.took_s:.2f} s",
        f"{page.stall_s * 1e3:.1f} ms",
    ]
    return f"| {' | '.join(cells)} |"
