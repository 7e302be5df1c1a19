"""Being asked is measured, in miniature; its figures are for people."""

from __future__ import annotations

import math

import pytest

from tests.bench.asked import AskedPlan, Turn, measure, table
from tests.bench.asking import Answers, quantile_of
from tests.bench.ground import Window
from tests.e2e.command import PROJECT

GROUND = PROJECT.parent / "shared" / "bench"


def lag(bound: float) -> dict[float, float]:
    """Return a histogram of values that are even up to a bound."""
    return {bound: 100.0, math.inf: 100.0}


@pytest.mark.parametrize(("bound", "verdict"), [(0.011, "holds"), (0.03, "DOES NOT HOLD")])
def test_the_difference_is_between_the_windows_of_a_round(bound: float, verdict: str) -> None:
    """Less than 5 ms more at the 99th percentile holds, more does not."""
    alone = Turn(Window(1000, 1.0, 0.1), lag(0.01), lag(0.01), None)
    asked = Turn(Window(1000, 1.0, 0.3), lag(bound), lag(0.01), Answers(2000, 2000, 0, 0.001, 0.002, 0.003))
    assert table(AskedPlan(), [(alone, asked)]).endswith(verdict)


def test_a_quantile_is_one_of_the_values() -> None:
    """The 99th percentile of a hundred values is the second largest; of none there is none."""
    assert quantile_of(list(range(1, 101)), 0.99) == 99
    assert math.isnan(quantile_of([], 0.5))


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_service_is_asked() -> None:
    """A hundred requests a second beside 40 probes a second are answered, and the probes go on."""
    plan = AskedPlan(rate=100.0, resources=20, period_s=0.5, seconds=2.0, rounds=1)
    ((alone, asked),) = measure(plan, GROUND)
    assert alone.answers is None
    assert asked.answers is not None
    assert asked.answers.good == asked.answers.asked > 100
    assert 0 < asked.answers.p50_s <= asked.answers.worst_s
    assert min(alone.probe_lag_p99_s, asked.probe_lag_p99_s) > 0
    assert min(alone.window.probes, asked.window.probes) > 40
