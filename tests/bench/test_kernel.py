"""The benchmark of kernel events works, in miniature; its figures are for people."""

from __future__ import annotations

import math

from tests.bench.kernel import Deaths, KernelPlan, line_of, measure_deaths, quantile_of


def test_each_kill_is_paired_with_its_own_publication() -> None:
    """A failure published before the kill is not its failure; one without any is missed."""
    deaths = Deaths("haproxy", "auto", killed=[("a", 10.0), ("a", 20.0), ("b", 20.0)])
    deaths.published = [("a", 9.0, 9.0, "probe"), ("a", 10.001, 10.002, "kernel"), ("a", 20.003, 20.003, "kernel")]
    published, seen, triggers, missed = deaths.latencies()
    assert [round(each) for each in published] == [1, 3]
    assert [round(each) for each in seen] == [2, 3]
    assert (triggers, missed) == ({"kernel": 2}, 1)
    assert line_of(deaths).startswith("haproxy, 3x")


def test_a_quantile_is_one_of_the_values() -> None:
    """The 99th percentile of a hundred is the second largest; of few it is the largest; of none there is none."""
    assert quantile_of([float(each) for each in range(100)], 0.99) == 98.0
    assert quantile_of([3.0, 1.0], 0.99) == 3.0
    assert math.isnan(quantile_of([], 0.5))


def test_a_few_deaths_are_measured() -> None:
    """Five listeners die, and five failures are published."""
    (deaths,) = measure_deaths(KernelPlan(kills=5, kills_polled=0, real=False))
    published, _, triggers, missed = deaths.latencies()
    assert missed == 0
    assert len(published) == sum(triggers.values()) == 5
