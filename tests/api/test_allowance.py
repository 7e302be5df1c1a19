"""How often something may be said."""

from __future__ import annotations

from probe.api.allowance import Allowance


def test_a_burst_then_a_rate() -> None:
    """A burst goes through, then so many a second; what was left out is told with the next."""
    now = 100.0
    allowance = Allowance(3, 2.0, lambda: now)
    assert [allowance.take() for _ in range(5)] == [0, 0, 0, None, None]
    now += 0.5
    assert [allowance.take(), allowance.take()] == [2, None]
    now += 3600
    assert [allowance.take() for _ in range(4)] == [1, 0, 0, None]


def test_time_that_stands_still_gives_nothing() -> None:
    """A clock that does not move, or moves back, brings no more than the burst."""
    now = 100.0
    allowance = Allowance(1, 1000.0, lambda: now)
    assert allowance.take() == 0
    now -= 50
    assert allowance.take() is None
