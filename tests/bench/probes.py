"""What a probe costs the whole service, next to the floor at the same pace, and what the event loop has to bear.

Contenders are interleaved and the ratio is taken within a round, so that what the machine does besides hits both.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import (
    CheapServer,
    Ground,
    GroundError,
    build,
    cpu_s,
    floor_us_per_probe,
    let_pass,
    on_core,
    target,
)
from tests.e2e.ports import free_port
from tests.e2e.service import Service
from tests.e2e.stores import write_metabase

LAG = "looksalive_event_loop_lag_seconds_bucket"
FIRST_ROUND_MARGIN_S = 30.0


@dataclass(frozen=True)
class Plan:
    """How much is measured and how long."""

    bindings: int = 1000
    period_s: float = 10.0
    seconds: float = 20.0
    rounds: int = 3
    polite: bool = True


@dataclass(frozen=True)
class Round:
    """One window of the service and one of the floor."""

    probes: int
    us_per_probe: float
    floor_us: float
    lag_p99_s: float
    lag_max_s: float
    resident_bytes: float

    @property
    def ratio(self) -> float:
        """How many times the floor's CPU a probe costs."""
        return self.us_per_probe / self.floor_us


Buckets = dict[float, float]


def measure(plan: Plan, sources: Path) -> list[Round]:
    """Run the rounds, server on the first core, the contender on the last. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="labench-") as name:
        folder = Path(name)
        ground = build(sources, folder)
        with CheapServer(ground, folder, free_port(), cores[0]) as server:
            _write_store(plan, folder / "store", server.port)
            return [_round(plan, ground, server, folder, cores[-1]) for _ in range(plan.rounds)]


def _write_store(plan: Plan, store: Path, port: int) -> None:
    keys = {f"/smtp/{number}": {"bindings": [f"{target(number)}:{port}"]} for number in range(plan.bindings)}
    write_metabase(store, keys, probe_timeout_s=5.0, poll_interval_s=plan.period_s, polite=plan.polite)


def _round(plan: Plan, ground: Ground, server: CheapServer, folder: Path, core: int) -> Round:
    service = Service(folder / "store", "--log-level", "warning")
    with contextlib.ExitStack() as running:
        with on_core(core):
            running.enter_context(service)
        service.wait_all_alive(plan.period_s + FIRST_ROUND_MARGIN_S)
        lag_before = _lag(service)
        cpu_before, accepted_before = cpu_s(service.pid), server.accepted
        let_pass(plan.seconds)
        cpu, probes = cpu_s(service.pid) - cpu_before, server.accepted - accepted_before
        lag = {bound: count - lag_before.get(bound, 0) for bound, count in _lag(service).items()}
        resident = service.metrics()["process_resident_memory_bytes", frozenset()]
        if not all(each["alive"] for each in service.resources().values()) or not probes:
            raise GroundError(f"not every target stayed alive ({probes} probes): the figures would mean nothing")
    floor = floor_us_per_probe(
        ground, server.port, targets=plan.bindings, period_s=plan.period_s, seconds=plan.seconds, core=core
    )
    return Round(probes, cpu * 1e6 / probes, floor, quantile(lag, 0.99), quantile(lag, 1.0), resident)


def _lag(service: Service) -> Buckets:
    samples = service.metrics().items()
    return {float(dict(labels)["le"]): value for (name, labels), value in samples if name == LAG}


def quantile(buckets: Buckets, share: float) -> float:
    """Return the upper bound of the cumulative histogram's bucket that holds the quantile; 0 when it is empty."""
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    return next((bound for bound in bounds if buckets[bound] >= share * total), 0.0) if total else 0.0


def table(plan: Plan, rounds: list[Round]) -> str:
    """Write the rounds and their medians for people."""
    rate = plan.bindings / plan.period_s
    manners = "polite" if plan.polite else "rude"
    windows = f"{plan.rounds} rounds of {plan.seconds:g} s, one core for the prober"
    lines = [
        f"{plan.bindings} bindings every {plan.period_s:g} s ({rate:g} probes/s), {manners}; {windows}",
        " round  probes  service us/probe  floor us/probe  ratio   lag p99   lag max",
    ]
    for number, each in enumerate(rounds, 1):
        lines.append(
            f"{number:>6} {each.probes:>7} {each.us_per_probe:>17.1f} {each.floor_us:>15.1f} {each.ratio:>6.2f} "
            f"{_milliseconds(each.lag_p99_s):>9} {_milliseconds(each.lag_max_s):>9}"
        )
    ratio = statistics.median(each.ratio for each in rounds)
    lag = max(each.lag_p99_s for each in rounds)
    memory = max(each.resident_bytes for each in rounds) / 2**20
    lines.append(
        f"median ratio {ratio:.2f}; event loop lag p99 at most {_milliseconds(lag)}; resident {memory:.0f} MiB"
    )
    return "\n".join(lines)


def _milliseconds(seconds: float) -> str:
    return f"<{seconds * 1000:g} ms"
