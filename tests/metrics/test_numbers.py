"""The numbers: what is counted, for whom, and that every collection has a bound."""

from __future__ import annotations

import pytest

from probe.lifecycle.events import Trigger
from probe.metrics import Metrics
from probe.metrics.numbers import CERTIFICATES_PER_RESOURCE_MAX, CHAIN_LENGTH_MAX, Histogram
from probe.values import Reason, ResourceId, Stage, State

SMTP, GONE = ResourceId("evs1", "smtp"), ResourceId("evs1", "gone")


def test_a_histogram_counts_a_value_at_its_bound() -> None:
    """A value equal to a bound belongs to its bucket, as `le` means; one beyond the last to the infinite one."""
    histogram = Histogram((0.1, 1.0))
    for value in (0.0, 0.1, 0.1000001, 1.0, 1.1):
        histogram.observe(value)
    assert histogram.counts == [2, 2, 1]
    assert histogram.sum == pytest.approx(2.3000001)


def test_a_late_call_about_a_forgotten_resource_changes_nothing() -> None:
    """Neither an unknown nor a forgotten resource is counted: a late answer never brings its series back."""
    metrics = Metrics()
    metrics.declare(GONE)
    metrics.forget(GONE)
    metrics.forget(GONE)
    metrics.attempt(GONE)
    metrics.failure(GONE, Stage.BANNER, Reason.EOF)
    metrics.unknown(GONE, Reason.STALE)
    metrics.ran(GONE, 1.0)
    metrics.certificate(GONE, "b", (1.0,), True)
    metrics.keep_bindings(GONE, ())
    metrics.transition(GONE, State.ONLINE, State.FAILED, Trigger.PROBE)
    metrics.restarted(GONE)
    assert metrics.resources == {}


def test_declaring_again_keeps_the_counts() -> None:
    """A reload that leaves a resource unchanged leaves its counters alone."""
    metrics = Metrics()
    metrics.declare(SMTP)
    metrics.attempt(SMTP)
    metrics.declare(SMTP)
    assert metrics.resources[SMTP].attempts == 1


def test_certificates_are_bounded() -> None:
    """So many bindings and so long a chain are kept; a binding that is known is always brought up to date."""
    metrics = Metrics()
    metrics.declare(SMTP)
    for number in range(CERTIFICATES_PER_RESOURCE_MAX + 5):
        metrics.certificate(SMTP, f"b{number}", tuple(range(CHAIN_LENGTH_MAX + 5)), True)
    metrics.certificate(SMTP, "b0", (7.0,), False)
    known = metrics.resources[SMTP].certificates
    assert len(known) == CERTIFICATES_PER_RESOURCE_MAX
    assert len(known["b1"].not_after) == CHAIN_LENGTH_MAX
    assert (known["b0"].not_after, known["b0"].verified) == ((7.0,), False)


def test_bindings_that_went_take_their_certificates_with_them() -> None:
    """After an edit only the bindings that are left have certificate facts."""
    metrics = Metrics()
    metrics.declare(SMTP)
    metrics.certificate(SMTP, "old", (1.0,), True)
    metrics.certificate(SMTP, "kept", (2.0,), True)
    metrics.keep_bindings(SMTP, ["kept", "new"])
    assert list(metrics.resources[SMTP].certificates) == ["kept"]


def test_a_refused_reload_keeps_the_time_of_the_good_one() -> None:
    """The time stamp is that of the last success; the flag that of the last try."""
    metrics = Metrics()
    metrics.reloaded(True, 100.0)
    metrics.reloaded(False, 200.0)
    assert (metrics.reload_successful, metrics.reload_success_at) == (False, 100.0)


def test_resources_that_went_the_same_way_share_what_is_counted_until_one_goes_another() -> None:
    """Equal counts of changes are one object for all; what is counted of one is never seen at another."""
    metrics = Metrics()
    ids = [ResourceId("g", name) for name in ("a", "b")]
    starts = (State.OFFLINE, State.ONLINE_PENDING, Trigger.STORE)
    for id in ids:
        metrics.declare(id)
        metrics.transition(id, *starts)
    one, other = (metrics.resources[id] for id in ids)
    assert one.transitions is other.transitions
    metrics.transition(ids[0], *starts)
    metrics.failure(ids[0], Stage.BANNER, Reason.EOF)
    metrics.certificate(ids[0], "127.0.0.1:465", (1.0,), True)
    assert (dict(one.transitions), dict(other.transitions)) == ({starts: 2}, {starts: 1})
    assert (len(one.failures), len(other.failures), len(one.certificates), len(other.certificates)) == (1, 0, 1, 0)
