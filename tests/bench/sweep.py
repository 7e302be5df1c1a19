"""Flat as the work grows: what each of N resources costs, beside the floor at the same load."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import CheapServer, Ground, Window, floor, let_pass
from tests.bench.load import (
    Buckets,
    LargeService,
    Load,
    many_targets,
    quantile,
    serving,
    watch_lags,
)

RESOURCES_PER_GROUP = 100
SAMPLES = 20  # of the open descriptors, in a window


@dataclass(frozen=True)
class SweepPlan:
    """Which sizes, how often each resource is asked, how long each is measured."""

    sizes: tuple[int, ...] = (1000, 10_000, 50_000, 100_000)
    period_s: float = 10.0
    seconds: float = 30.0
    groups: int | None = None  # None: one for each hundred resources; 0: all in `default`
    polite: bool = False
    options: tuple[str, ...] = ()  # of `run`

    def load(self, size: int) -> Load:
        """Return the load of one size."""
        groups = -(-size // RESOURCES_PER_GROUP) if self.groups is None else self.groups
        return Load(size, self.period_s, groups, self.polite)


@dataclass(frozen=True)
class Size:
    """What was measured at one size. Lags are those of the window with a scrape at each of its ends."""

    resources: int
    ready_s: float
    window: Window
    floor: Window
    probe_lag: Buckets
    loop_lag: Buckets
    resident_bytes: int
    descriptors: int

    @property
    def ratio(self) -> float:
        """How many times the floor's CPU a probe costs."""
        return self.window.us_per_probe / self.floor.us_per_probe


def measure(plan: SweepPlan, sources: Path, tell: Callable[[str], None]) -> tuple[int, list[Size]]:
    """Return the memory of a service that watches one resource, and each size. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    with many_targets(sources) as (ground, server, folder):
        empty = _empty(plan, folder / "empty", server.ports, cores[-1])
        sizes = []
        for size in plan.sizes:
            sizes.append(_size(plan, plan.load(size), ground, server, folder / str(size), cores[-1]))
            tell(line_of(sizes[-1], empty))
        return empty, sizes


def _empty(plan: SweepPlan, folder: Path, ports: Sequence[int], core: int) -> int:
    folder.mkdir()
    Load(1, plan.period_s).write(folder / "store", ports)
    with serving(folder, core, *plan.options) as service:
        service.wait_ready()
        return service.resident_bytes()


def _size(plan: SweepPlan, load: Load, ground: Ground, server: CheapServer, folder: Path, core: int) -> Size:
    folder.mkdir()
    load.write(folder / "store", server.ports)
    with serving(folder, core, *plan.options) as service:
        ready_s = service.wait_ready()
        service.wait_all_online()
        let_pass(plan.period_s)  # the first round was asked all at once, the next one is spread
        open_at_once: list[int] = []
        window, probe_lag, loop_lag = watch_lags(server, service, plan.seconds, _counting(service, open_at_once))
        service.must_be_online()
        resident = service.resident_bytes()
    beside = floor(ground, server.port, targets=load.resources, period_s=plan.period_s, seconds=plan.seconds, core=core)
    return Size(load.resources, ready_s, window, beside, probe_lag, loop_lag, resident, max(open_at_once))


def _counting(service: LargeService, into: list[int]) -> Callable[[float], None]:
    def count(seconds: float) -> None:
        begun = time.monotonic()
        for number in range(1, SAMPLES + 1):
            into.append(service.descriptors())
            let_pass(begun + number * seconds / SAMPLES - time.monotonic())

    return count


HEADING = (
    "| resources | probes/s | CPU µs/probe | of a core | floor µs/probe | x floor | lag p50 | p99 | max | loop lag p99 "
    "| RSS MB | bytes/resource | descriptors | ready |\n|" + "---:|" * 14
)


def table(plan: SweepPlan, empty: int, sizes: list[Size]) -> str:
    """Write a line a size as a Markdown table."""
    manners = "polite" if plan.polite else "rude"
    lines = [
        f"each resource every {plan.period_s:g} s, {manners}; windows of {plan.seconds:g} s",
        "lags in ms, the largest as its bucket's bound, with a scrape at each end of the window",
        f"a service of one resource holds {empty / 1e6:.0f} MB",
        "",
        HEADING,
        *(line_of(size, empty) for size in sizes),
        "",
        *bars(sizes, empty),
    ]
    return "\n".join(lines)


def bars(sizes: list[Size], empty: int) -> Iterator[str]:
    """Hold the largest size against its bars, and its cost against that of a tenth."""
    large = max(sizes, key=lambda size: size.resources)
    held = [
        ("times the floor", large.ratio, 2.0),
        ("of one core", large.window.core_share, 0.6),
        ("probe lag p99, ms", quantile(large.probe_lag, 0.99) * 1e3, 25.0),
        ("bytes a resource", (large.resident_bytes - empty) / large.resources, 6 * 1024),
    ]
    cost, tenths = large.window.us_per_probe, [size for size in sizes if size.resources * 10 == large.resources]
    held += [("CPU of a probe, times that at a tenth", cost / tenth.window.us_per_probe, 1.0) for tenth in tenths]
    for what, value, bar in held:
        verdict = "holds" if value <= bar else "DOES NOT HOLD"
        yield f"{large.resources} resources, {what}: {value:.4g}, at most {bar:g}: {verdict}"


def line_of(size: Size, empty: int) -> str:
    """Write one size."""
    lags = [quantile(size.probe_lag, share) for share in (0.5, 0.99)] + [largest(size.probe_lag)]
    cells = [
        f"{size.resources}",
        f"{size.window.rate:.0f}",
        f"{size.window.us_per_probe:.1f}",
        f"{size.window.core_share:.1%}",
        f"{size.floor.us_per_probe:.1f}",
        f"{size.ratio:.2f}",
        *(f"{lag * 1e3:.1f}" for lag in [*lags, quantile(size.loop_lag, 0.99)]),
        f"{size.resident_bytes / 1e6:.0f}",
        f"{(size.resident_bytes - empty) / size.resources:.0f}",
        f"{size.descriptors}",
        f"{size.ready_s:.1f} s",
    ]
    return f"| {' | '.join(cells)} |"


def largest(buckets: Buckets) -> float:
    """Return the bound of the highest bucket that counted anything; 0 of none."""
    total = max(buckets.values(), default=0)
    return min((bound for bound, count in buckets.items() if total and count >= total), default=0.0)
