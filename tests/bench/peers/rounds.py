"""One interleaved run: every contender once a round, each round in another order, ratios within a round only."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.bench.ground import CheapServer, Window, build
from tests.bench.peers import haproxy, monit, own, prometheus
from tests.bench.peers.contender import Contender, Course, Pace
from tests.e2e.ports import free_port

CONTENDERS: tuple[Contender, ...] = (
    *own.FLOORS,
    *own.CONTENDERS,
    *haproxy.CONTENDERS,
    *prometheus.CONTENDERS,
    *monit.CONTENDERS,
)
PROTOCOL = {"banner": "smtp", "get": "http"}
# What one of ours costs at most as a multiple of another contender.
BARS = (
    (own.BANNER, "HAProxy tcp-check expect", 1.0),
    (own.BANNER, "C floor banner", 2.0),
    (own.BANNER, "Prometheus + blackbox tcp", 1 / 15),
    (own.GET, "HAProxy httpchk", 1.0),
    (own.GET, "Prometheus + blackbox http", 1 / 15),
)

Round = dict[str, Window]


@dataclass(frozen=True)
class PeersPlan:
    """Who is measured at what pace and how long."""

    targets: int = 5000
    rate: float = 2500.0
    seconds: float = 20.0
    rounds: int = 5
    only: str | None = None  # `banner` or `get`
    without: tuple[str, ...] = ()  # beginnings of names

    def contenders(self) -> list[Contender]:
        """List who takes part."""
        left_out = tuple(name.lower() for name in self.without)
        wanted = {PROTOCOL[self.only]} if self.only else set(PROTOCOL.values())
        return [
            one for one in CONTENDERS if one.protocol in wanted and not one.name.lower().startswith(left_out or "-")
        ]


def measure(plan: PeersPlan, sources: Path, tell: Callable[[str], None]) -> list[Round]:
    """Run the rounds, server on the first core, the contender on the last. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    contenders, rounds = plan.contenders(), []
    with tempfile.TemporaryDirectory(prefix="labench-") as name:
        folder = Path(name)
        ground = build(sources, folder)
        with CheapServer(ground, folder, free_port(), cores[0], free_port()) as server:
            course = Course(ground, server, folder, cores[-1], Pace(plan.targets, plan.targets / plan.rate))
            for number in range(plan.rounds):
                first = number % len(contenders)
                windows: Round = {}
                for contender in (*contenders[first:], *contenders[:first]):
                    window = windows[contender.name] = contender.run(course, plan.seconds)
                    tell(f"round {number + 1}: {contender.name:<28} {window.us_per_probe:8.1f} us/probe")
                rounds.append(windows)
    return rounds


def table(plan: PeersPlan, rounds: Sequence[Round]) -> str:
    """Write medians, extremes and ratios as a Markdown table, and the bars below it."""
    floors = {one.protocol: one.name for one in own.FLOORS}
    lines = [
        f"{plan.targets} targets, {plan.rate:g} probes/s; {len(rounds)} rounds of {plan.seconds:g} s",
        "A core for the server, one for the prober; CPU of all its processes, probes as the server counts them.",
        "",
        "| prober | probes/s | CPU µs/probe, median (min-max) | x C floor | x ours |",
        "|---|---:|---:|---:|---:|",
    ]
    for one in plan.contenders():
        windows = [each[one.name] for each in rounds]
        costs = [window.us_per_probe for window in windows]
        rate = statistics.median(window.rate for window in windows)
        beside = [_ratios(rounds, one.name, floors[one.protocol]), _ratios(rounds, one.name, one.ours)]
        cells = [one.name, f"{rate:.0f}", f"{statistics.median(costs):.1f} ({min(costs):.1f}-{max(costs):.1f})"]
        lines.append(f"| {' | '.join([*cells, *map(_spread, beside)])} |")
    return "\n".join([*lines, "", *_held(rounds)])


def _held(rounds: Sequence[Round]) -> list[str]:
    lines = []
    for ours, theirs, bar in BARS:
        if ratios := _ratios(rounds, ours, theirs):
            verdict = "holds" if statistics.median(ratios) <= bar else "DOES NOT HOLD"
            lines.append(f"{ours} / {theirs}: {_spread(ratios)}, at most {bar:.3g}: {verdict}")
    return lines


def _ratios(rounds: Sequence[Round], name: str, beside: str) -> list[float]:
    both = [each for each in rounds if name in each and beside in each]
    return [each[name].us_per_probe / each[beside].us_per_probe for each in both]


def _spread(values: Sequence[float]) -> str:
    if not values:
        return "-"
    digits = 2 if statistics.median(values) >= 0.2 else 3
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"
