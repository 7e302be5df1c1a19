"""The numbers: what is counted, for whom, and that every collection has a bound."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.lifecycle.events import Trigger
from probe.metrics import Metrics
from probe.metrics.numbers import CERTIFICATES_PER_RESOURCE_MAX, CHAIN_LENGTH_MAX, Histogram, ResourceNumbers
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


class Round:
    """A good round of the light form, as the metrics see one."""

    def __init__(self, name: str, protocol: str, shape: tuple[Stage, ...]) -> None:
        self.id = ResourceId("evs1", name)
        self.protocol = protocol
        self.shape = shape
        self.when = self.started = self.ended = self.connect_s = 0.0
        self.numbers: ResourceNumbers | None = None

    @property
    def stages(self) -> tuple[tuple[Stage, float], ...]:
        """What a dial would have said of it."""
        connect, answer, *rest = self.shape
        took_s = self.ended - self.started
        timed = ((connect, self.connect_s), (answer, took_s - self.connect_s))
        return (*timed, *((stage, 0.0) for stage in rest))


BANNER, RESPONSE = (Stage.CONNECT, Stage.BANNER), (Stage.CONNECT, Stage.REQUEST, Stage.RESPONSE)
KINDS = (("smtp", BANNER), ("imap", BANNER), ("http", RESPONSE), ("smtp", BANNER), ("http", RESPONSE))
SECONDS = st.floats(0, 20)
ROUND = st.tuples(st.integers(0, len(KINDS) - 1), st.floats(-1, 5), SECONDS, st.floats(0, 1))
STEP = st.one_of(
    st.lists(ROUND, max_size=8, unique_by=lambda one: one[0]),
    st.tuples(st.sampled_from(["declare", "forget"]), st.integers(0, len(KINDS) - 1)),
)


def told(metrics: Metrics) -> dict[str, object]:
    """Everything that rounds may have changed, sums but for the order in which they were added."""
    histograms = {key: (one.counts, pytest.approx(one.sum)) for key, one in metrics.stages.items()}
    resources = {
        id: (one.counted, one.attempts, one.last_run, one.minute_ok, one.minute_s, one.minute_s_max)
        for id, one in metrics.resources.items()
    }
    lag = (metrics.probe_lag.counts, pytest.approx(metrics.probe_lag.sum))
    return {"stages": histograms, "lag": lag, "resources": resources}


@given(st.lists(STEP, max_size=12))
def test_light_rounds_are_counted_as_good_ones_are(steps: list[Any]) -> None:
    """Together or one by one: the same numbers, also for who was never declared, is forgotten or declared again."""
    together, one_by_one = Metrics(), Metrics()
    rounds = [Round(f"r{number}", *kind) for number, kind in enumerate(KINDS)]
    for number in (0, 1, 2):
        together.declare(rounds[number].id)
        one_by_one.declare(rounds[number].id)
    for wall, step in enumerate(steps):
        if isinstance(step, tuple):
            what, number = step
            for metrics in (together, one_by_one):
                getattr(metrics, what)(rounds[number].id)
            continue
        batch = []
        for number, lag_s, took_s, share in step:
            flown = rounds[number]
            flown.when = 100.0 * wall
            flown.started = flown.when + lag_s
            flown.ended = flown.started + took_s
            flown.connect_s = (flown.ended - flown.started) * share
            batch.append(flown)
            late_s = max(0.0, flown.started - flown.when)
            one_by_one.good(flown.id, flown.protocol, flown.stages, wall, late_s, flown.ended - flown.started)
        together.flown(batch, wall)
    assert told(together) == told(one_by_one)
