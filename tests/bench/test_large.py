"""A large store is measured, in miniature; its figures are for people."""

from __future__ import annotations

import math

import pytest

from tests.bench.large import LargePlan, Reload, Start, measure, table
from tests.e2e.command import PROJECT

GROUND = PROJECT.parent / "shared" / "bench"


def test_the_worst_of_every_start_is_held_against_the_bar() -> None:
    """One reload of 0.6 s, one stall of 30 ms, in whichever start, and the bar does not hold."""
    good = Start(10, 0.5, 2.0, 0.01, (Reload(0.2, 0.01, 0.1),))
    bad = Start(1, 0.5, 2.0, 0.01, (Reload(0.2, 0.03, 0.1), Reload(0.6, 0.01, 0.1)))
    shown = table(LargePlan(), [good, bad])
    assert "ready: at most 2.000 s, bar 5 s: holds" in shown
    assert "a change in force: at most 0.600 s, bar 0.5 s: DOES NOT HOLD" in shown
    assert "stall of a change: at most 0.030 s, bar 0.025 s: DOES NOT HOLD" in shown


def test_a_start_that_fails_is_a_result() -> None:
    """What did not start is told with its reason, beside what did, and no bar holds."""
    good = Start(10, 0.5, 2.0, 0.01, (Reload(0.2, 0.01, 0.1),))
    failed = Start(1, math.inf, math.inf, math.inf, (), math.inf, "the service ended with 70")
    shown = table(LargePlan(), [good, failed])
    assert "| 1 | the service ended with 70 |" in shown
    assert "holds" not in shown


@pytest.mark.skipif(not (GROUND / "bsrv.c").is_file(), reason="no benchmark sources beside the project")
def test_a_small_store_is_started_and_changed() -> None:
    """A store of fifty bindings is ready in groups and in one, and each change of a binding comes into force."""
    plan = LargePlan(bindings=50, period_s=5.0, groups=5, reloads=2)
    several, one = measure(plan, GROUND, lambda _: None)
    assert (several.groups, one.groups) == (5, 1)
    for start in (several, one):
        assert not start.failure
        assert 0 < start.serves_s <= start.ready_s
        assert start.ends_s > 0
        assert len(start.reloads) == 2
        assert all(each.in_force_s > 0 for each in start.reloads)
