"""The sweep works, in miniature; its figures are for people."""

from __future__ import annotations

import math

import pytest

from tests.bench.ground import Window
from tests.bench.load import Load, quantile
from tests.bench.sweep import Size, SweepPlan, bars, largest, line_of, measure, table
from tests.e2e.command import PROJECT

GROUND = PROJECT.parent / "shared" / "bench"
LAG = {0.01: 98.0, 0.02: 100.0, math.inf: 100.0}


def test_a_quantile_is_even_within_its_bucket() -> None:
    """Of 98 values to 10 ms and 2 to 20 ms the median is 5.1 ms, the 99th percentile 15 ms, and of none nothing."""
    assert quantile(LAG, 0.5) == pytest.approx(0.0051, abs=1e-4)
    assert quantile(LAG, 0.99) == pytest.approx(0.015)
    assert math.isnan(quantile({0.01: 0.0, math.inf: 0.0}, 0.99))


def test_beyond_the_last_bound_the_last_bound_is_told() -> None:
    """Nothing is made up about values above the highest finite bound; the largest is then infinite."""
    beyond = {0.01: 10.0, math.inf: 100.0}
    assert quantile(beyond, 0.99) == 0.01
    assert (largest(LAG), largest(beyond)) == (0.02, math.inf)


def test_memory_is_told_beyond_that_of_an_empty_service() -> None:
    """1,000 resources in 55 MB beside an empty service of 50 MB hold 5,000 bytes each."""
    size = Size(1000, 1.5, Window(1000, 10.0, 0.05), Window(1000, 10.0, 0.025), LAG, LAG, 55_000_000, 40)
    assert "| 2.00 | 5.1 | 15.0 | 20.0 | 15.0 | 55 | 5000 | 40 | 1.5 s |" in line_of(size, 50_000_000)


def test_the_largest_size_is_held_against_its_bars() -> None:
    """At 5,000 bytes and twice the floor's CPU it holds; at a cost above that of a tenth it does not."""
    floor = Window(1000, 10.0, 0.025)
    small = Size(100, 1.5, Window(1000, 10.0, 0.04), floor, LAG, LAG, 55_000_000, 40)
    large = Size(1000, 1.5, Window(1000, 10.0, 0.05), floor, LAG, LAG, 55_000_000, 40)
    assert list(bars([small, large], 50_000_000)) == [
        "1000 resources, times the floor: 2, at most 2: holds",
        "1000 resources, of one core: 0.005, at most 0.6: holds",
        "1000 resources, probe lag p99, ms: 15, at most 25: holds",
        "1000 resources, bytes a resource: 5000, at most 6144: holds",
        "1000 resources, CPU of a probe, times that at a tenth: 1.25, at most 1: DOES NOT HOLD",
    ]


@pytest.mark.parametrize(("groups", "last"), [(0, "default/smtp-9"), (3, "g0/smtp-9")])
def test_a_load_names_its_resources(groups: int, last: str) -> None:
    """Without groups everything is in `default`, with them it goes round."""
    assert Load(10, 1.0, groups).id_of(9) == last


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_sweep_measures_both_sizes() -> None:
    """Ten and thirty resources in groups, each twice a second, are probed at their pace and cost something."""
    plan = SweepPlan(sizes=(10, 30), period_s=0.5, seconds=2.0, groups=3)
    empty, sizes = measure(plan, GROUND, lambda _: None)
    assert [size.resources for size in sizes] == [10, 30]
    for size in sizes:
        assert 0.7 <= size.window.rate / (size.resources / 0.5) <= 1.3
        assert min(size.window.us_per_probe, size.floor.us_per_probe, size.ratio, size.ready_s) > 0
        assert size.descriptors > 3
        assert size.resident_bytes > 10_000_000
        assert sum(size.probe_lag.values()) > 0
    assert empty > 10_000_000
    assert table(plan, empty, sizes).count("\n| ") == 3  # a heading and the sizes
