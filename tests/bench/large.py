"""A large store: until it serves and is ready, and until a change of one binding is in force."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from signal import SIGHUP

from tests.bench.asking import Beat
from tests.bench.ground import CheapServer, GroundError, cpu_s, let_pass, on_core, target
from tests.bench.load import READY_WITHIN_S, LargeService, Load, many_targets, serving
from tests.e2e.stores import Keys
from tests.e2e.waiting import TooLateError, wait_until

RELOADED = b"the store was reloaded: 0 added, 1 changed, 0 removed"
BEATS_ALONE_S = 2.0  # what is usual
AFTERWARDS_S = 1.0  # what a reload leaves behind to be done
BARS = (5.0, 0.5, 0.025)  # seconds: ready, in force, stall


@dataclass(frozen=True)
class LargePlan:
    """How large, and how often the change is made."""

    bindings: int = 100_000
    period_s: float = 60.0  # few probes beside what is measured
    groups: int = 1000
    reloads: int = 3


@dataclass(frozen=True)
class Reload:
    """One change of one binding: seconds to its being in force, the longest stall beyond the usual answer, and CPU."""

    in_force_s: float
    stall_s: float
    cpu_s: float


@dataclass(frozen=True)
class Start:
    """One start of a store: seconds to its ready line, to /readyz, and what its reloads took."""

    groups: int
    serves_s: float
    ready_s: float
    stall_s: float
    reloads: tuple[Reload, ...]
    ends_s: float = math.nan  # on SIGTERM
    failure: str = ""  # what went wrong instead


def measure(plan: LargePlan, sources: Path, tell: Callable[[str], None]) -> list[Start]:
    """Measure with groups, and with everything in one group. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    starts = []
    with many_targets(sources) as (_, server, folder):
        for groups in dict.fromkeys((plan.groups, 1)):
            load = Load(plan.bindings, plan.period_s, groups)
            try:
                starts.append(_start(plan, load, server, folder / str(groups), cores))
                tell(line_of(starts[-1]))
            except TooLateError as late:  # which is a result, and the other start is another one
                starts.append(Start(groups, math.inf, math.inf, math.inf, (), math.inf, str(late).partition("\n")[0]))
    return starts


def _start(plan: LargePlan, load: Load, server: CheapServer, folder: Path, cores: list[int]) -> Start:
    folder.mkdir()
    load.write(folder / "store", server.ports)
    keys = load.keys(server.ports)
    with serving(folder, cores[-1], log_level="info") as service:
        serves_s = time.monotonic() - service.started_at
        with on_core(cores[0]), Beat(service.port) as beat:
            ready_s = service.wait_ready()
            first_round = beat.since()
            service.wait_all_online()
            beat.since()
            let_pass(BEATS_ALONE_S)
            usual_s = beat.since().median_s
            reloads = [_reload(number, load, service, beat, usual_s, keys, server) for number in range(plan.reloads)]
        service.must_be_online()
    return Start(load.groups, serves_s, ready_s, first_round.worst_s - usual_s, tuple(reloads), service.ends_s)


def _reload(
    number: int, load: Load, service: LargeService, beat: Beat, usual_s: float, keys: Keys, server: CheapServer
) -> Reload:
    binding = f"{target(load.resources + number)}:{server.port}"
    keys["/smtp/0"] = {"bindings": [binding]}
    idle = _idle_core_share(service)
    log = (service.store.parent / "looksalive.log").open("rb")
    with log:
        log.seek(0, os.SEEK_END)
        fresh = service.store.parent / "fresh"
        fresh.mkdir(exist_ok=True)
        written = load.write_metabase(fresh, keys, number + 2)
        beat.since()
        begun, cpu = time.monotonic(), cpu_s(service.pid)
        written.replace(service.store / "metabase.json")
        service.signal(SIGHUP)
        wait_until(lambda: any(RELOADED in line for line in log), "the change to be in force", READY_WITHIN_S)
        in_force_s = time.monotonic() - begun
        let_pass(AFTERWARDS_S)
        spent_s = cpu_s(service.pid) - cpu - idle * (time.monotonic() - begun)
        stall_s = beat.since().worst_s - usual_s
    if binding not in service.get("/api/v1/metabase/smtp/0").text:
        raise GroundError("the service tells another binding than the store has now")
    return Reload(in_force_s, stall_s, spent_s)


def _idle_core_share(service: LargeService) -> float:
    begun, cpu = time.monotonic(), cpu_s(service.pid)
    let_pass(BEATS_ALONE_S)
    return (cpu_s(service.pid) - cpu) / (time.monotonic() - begun)


HEADING = (
    "| groups | serves | ready | of that, the first round | its longest stall | change in force | stall | CPU | ends |"
)


def table(plan: LargePlan, starts: list[Start]) -> str:
    """Write a line a start, and the bars."""
    lines = [
        f"{plan.bindings} bindings; one of them is changed {plan.reloads} times (worst of each shown)",
        "at the default log level; `serves` is the ready line, `ready` is /readyz: every binding has been asked once",
        "",
        HEADING,
        "|---:" * 9 + "|",
        *map(line_of, starts),
        "",
    ]
    for what, bar, values in (
        ("ready", BARS[0], [start.ready_s for start in starts]),
        ("a change in force", BARS[1], [one.in_force_s for start in starts for one in start.reloads]),
        ("stall of a change", BARS[2], [one.stall_s for start in starts for one in start.reloads]),
    ):
        worst = max(values, default=math.inf)
        verdict = "holds" if worst <= bar and not any(start.failure for start in starts) else "DOES NOT HOLD"
        lines.append(f"{what}: at most {worst:.3f} s, bar {bar:g} s: {verdict}")
    return "\n".join(lines)


def line_of(start: Start) -> str:
    """Write one start."""
    if start.failure:
        return f"| {start.groups} | {start.failure} |{' |' * 7}"
    worst = [max(getattr(one, name) for one in start.reloads) for name in ("in_force_s", "stall_s", "cpu_s")]
    cells = [
        f"{start.groups}",
        f"{start.serves_s:.2f} s",
        f"{start.ready_s:.2f} s",
        f"{start.ready_s - start.serves_s:.2f} s",
        f"{start.stall_s * 1e3:.0f} ms",
        f"{worst[0]:.3f} s",
        f"{worst[1] * 1e3:.0f} ms",
        f"{worst[2]:.2f} s",
        f"{start.ends_s:.2f} s",
    ]
    return f"| {' | '.join(cells)} |"
