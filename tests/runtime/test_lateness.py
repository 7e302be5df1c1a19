"""What is overdue because we were stopped waits a little for the answers that came meanwhile, once."""

from __future__ import annotations

from probe.runtime.lateness import GRACE_S, LATE_S, Lateness


def test_what_is_due_in_time_is_not_kept_waiting() -> None:
    """Before its time, at it, and a little later: a due time is what it says."""
    lateness = Lateness()
    for now in (0.0, 10.0, 10.0 + LATE_S):
        assert lateness.may_happen_at(10.0, now) == 10.0


def test_what_is_long_overdue_waits_once() -> None:
    """After a pause everything that was due in it waits for the same moment; that moment is never put off."""
    lateness = Lateness()
    assert lateness.may_happen_at(10.0, 50.0) == 50.0 + GRACE_S
    assert lateness.may_happen_at(10.0, 50.5) == 50.0 + GRACE_S
    assert lateness.may_happen_at(49.9, 50.6) == 50.0 + GRACE_S
    assert lateness.may_happen_at(30.0, 99.0) == 50.0 + GRACE_S


def test_a_starved_loop_still_gets_to_what_is_due() -> None:
    """Always late, each time gets one grace: nothing is put off for ever."""
    lateness, now = Lateness(), 0.0
    for due in range(1, 20):
        now = due + 3 * LATE_S
        at = lateness.may_happen_at(due, now)
        assert at <= now + GRACE_S
        now = at + 2 * LATE_S
        assert lateness.may_happen_at(due, now) <= now
