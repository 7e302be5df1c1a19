"""S54: the restart budget counts what lies within its period."""

from __future__ import annotations

import pytest

from probe.lifecycle import restarts
from tests.scenarios.language import spec


@pytest.mark.parametrize(
    ("attempts", "now", "left"),
    [((), 0.0, 2), ((0.0,), 10.0, 1), ((0.0, 5.0), 10.0, 0), ((0.0, 5.0), 900.0, 1), ((0.0, 5.0), 905.0, 2)],
)
def test_attempts_count_for_their_period(attempts: tuple[float, ...], now: float, left: int) -> None:
    """Two restarts within 900 s; one counts from its moment until the period has passed."""
    assert restarts.left(attempts, spec("smtp", "smtp", "process"), now) == left


def test_do_not_restart_has_no_budget() -> None:
    """With restart_action do-not-restart nothing is ever brought back."""
    assert restarts.left((), spec("smtp", "smtp", "process", restart=False), 0.0) == 0


def test_lowered_threshold_is_never_a_negative_budget() -> None:
    """An edit that lowers the threshold below what is used leaves nothing, not less."""
    assert restarts.left((1.0, 2.0, 3.0), spec("smtp", "smtp", "process"), 4.0) == 0
