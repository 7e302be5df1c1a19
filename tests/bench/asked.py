"""Being asked all the time: what /isalive at a pace does to the probes beside it."""

from __future__ import annotations

import os
import statistics
from dataclasses import dataclass
from pathlib import Path

from tests.bench.asking import Answers, answers_of, ask_at_pace
from tests.bench.ground import CheapServer, Window, let_pass, on_core
from tests.bench.load import (
    Buckets,
    LargeService,
    Load,
    many_targets,
    quantile,
    serving,
    watch_lags,
)

ASKED_ALREADY_S = 1.0  # before the window begins, and after it has ended
BAR_S = 0.005


@dataclass(frozen=True)
class AskedPlan:
    """How often /isalive is asked, and what is probed meanwhile."""

    rate: float = 2000.0
    resources: int = 1000
    period_s: float = 1.0
    seconds: float = 20.0
    rounds: int = 3


@dataclass(frozen=True)
class Turn:
    """One window, with or without the asking."""

    window: Window
    probe_lag: Buckets
    loop_lag: Buckets
    answers: Answers | None

    @property
    def probe_lag_p99_s(self) -> float:
        """The probes' lag."""
        return quantile(self.probe_lag, 0.99)


def measure(plan: AskedPlan, sources: Path) -> list[tuple[Turn, Turn]]:
    """Return rounds of a window alone and a window asked, of one service. Raises GroundError, TooLateError."""
    cores = sorted(os.sched_getaffinity(0))
    load = Load(plan.resources, plan.period_s)
    with many_targets(sources) as (_, server, folder):
        load.write(folder / "store", server.ports)
        with serving(folder, cores[-1]) as service:
            service.wait_all_online()
            let_pass(plan.period_s)
            rounds = [
                (_turn(plan, server, service, None), _turn(plan, server, service, (cores[0], load.id_of(0))))
                for _ in range(plan.rounds)
            ]
            service.must_be_online()
    return rounds


def _turn(plan: AskedPlan, server: CheapServer, service: LargeService, asker: tuple[int, str] | None) -> Turn:
    asking = None
    if asker is not None:
        core, id = asker
        with on_core(core):
            asking = ask_at_pace(service.port, f"/isalive/{id}", plan.rate, plan.seconds + 2 * ASKED_ALREADY_S)
    let_pass(ASKED_ALREADY_S)
    seen = watch_lags(server, service, plan.seconds)
    return Turn(*seen, answers_of(asking) if asking else None)


HEADING = (
    "| round | /isalive/s | not asked | probes/s | of a core | probe lag p50 | p99 | loop lag p99 "
    "| answer p50 | p99 | worst |"
)


def table(plan: AskedPlan, rounds: list[tuple[Turn, Turn]]) -> str:
    """Write both windows of each round and the median difference."""
    lines = [
        f"{plan.resources} resources every {plan.period_s:g} s, alone and beside {plan.rate:g} /isalive a second",
        f"windows of {plan.seconds:g} s; times in ms, quantiles of lags even within their bucket",
        "",
        HEADING,
        "|---:" * 11 + "|",
    ]
    for number, turns in enumerate(rounds, 1):
        lines += [_line(plan, number, turn) for turn in turns]
    more = statistics.median(asked.probe_lag_p99_s - alone.probe_lag_p99_s for alone, asked in rounds)
    verdict = "holds" if more < BAR_S else "DOES NOT HOLD"
    return "\n".join([*lines, "", f"probe lag p99: {more * 1e3:+.2f} ms, less than {BAR_S * 1e3:g} ms: {verdict}"])


def _line(plan: AskedPlan, number: int, turn: Turn) -> str:
    answers = turn.answers
    lags = [quantile(turn.probe_lag, 0.5), turn.probe_lag_p99_s, quantile(turn.loop_lag, 0.99)]
    cells = [
        f"{number}",
        f"{answers.good / (plan.seconds + 2 * ASKED_ALREADY_S):.0f}" if answers else "0",
        f"{answers.skipped}" if answers else "-",
        f"{turn.window.rate:.0f}",
        f"{turn.window.core_share:.0%}",
        *(f"{lag * 1e3:.2f}" for lag in lags),
        *(f"{took * 1e3:.2f}" for took in ((answers.p50_s, answers.p99_s, answers.worst_s) if answers else ())),
        *([] if answers else ["-", "-", "-"]),
    ]
    return f"| {' | '.join(cells)} |"
