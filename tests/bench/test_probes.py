"""The benchmark itself works, in miniature; its figures are for people."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.ground import target
from tests.bench.probes import Plan, Round, measure, quantile, table
from tests.e2e.command import PROJECT

GROUND = PROJECT.parent / "shared" / "bench"


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    """The 99th percentile of 99 quick and one slow sample is the quick bucket's bound, the maximum the slow one's."""
    buckets = {0.001: 50.0, 0.01: 99.0, 1.0: 100.0, float("inf"): 100.0}
    assert (quantile(buckets, 0.5), quantile(buckets, 0.99), quantile(buckets, 1.0)) == (0.001, 0.01, 1.0)
    assert quantile({0.1: 0.0, float("inf"): 0.0}, 0.99) == 0


def test_the_table_shows_the_ratio_within_a_round() -> None:
    """Service 60 µs against a floor of 20 µs is a ratio of 3."""
    shown = table(Plan(rounds=1), [Round(2000, 60.0, 20.0, 0.005, 0.02, 2**26)])
    assert "median ratio 3.00" in shown
    assert "p99 at most <5 ms" in shown


def test_the_targets_are_the_floor_s() -> None:
    """The n-th binding is the address that the floor computes for the same number."""
    assert [target(0), target(254), target(255), target(65535)] == [
        "127.1.0.1",
        "127.1.0.255",
        "127.1.1.0",
        "127.2.0.0",
    ]


def test_without_its_ground_it_says_what_to_do(tmp_path: Path) -> None:
    """A folder without the sources ends with exit 2 and names the option."""
    command = [sys.executable, "-m", "tests.bench", "probes", "--bench-src", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, timeout=30, check=False)
    assert done.returncode == 2
    assert "--bench-src" in done.stderr


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_round_measures_both() -> None:
    """Twenty bindings for two seconds give plausible figures for the service and for the floor."""
    (only,) = measure(Plan(bindings=20, period_s=0.5, seconds=2.0, rounds=1), GROUND)
    assert 60 <= only.probes <= 110
    assert only.ratio > 1
    assert only.lag_p99_s > 0
