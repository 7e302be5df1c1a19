"""Numbers that travel as differences: together they are what one process would have counted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from probe.metrics import Metrics
from probe.metrics.numbers import ResourceNumbers
from probe.monitor.plan import ProbePlan
from probe.values import Reason, ResourceId, Stage
from probe.workers.counting import add_counts, add_heights, take_counts, take_heights
from probe.workers.wire import Heights
from tests.workers.test_readings import planned

ID = ResourceId("default", "smtp-1")
PLAN: ProbePlan = planned("127.0.0.1:25")[0]

TRAVEL = {"attempts", "certificates", "failures", "last_run", "minute_failed", "minute_ok", "minute_s", "minute_s_max",
          "minute_unknown", "unknowns"}  # fmt: skip
THE_CORES = {"counted", "labels", "progressed", "restarts", "transitions"}

happenings = some.lists(
    some.sampled_from(
        ["attempt", "answered", "failure", "unknown", "confirming", "certificate", "lag", "stage", "travel"]
    ),
    max_size=40,
)


def happen(metrics: Metrics, what: str, number: int) -> None:
    """Count something."""
    match what:
        case "attempt":
            metrics.attempt(ID)
            metrics.ran(ID, float(number))
        case "answered":
            metrics.answered(ID, number / 8)
        case "failure":
            metrics.failure(ID, Stage.BANNER, (Reason.EOF, Reason.RESET)[number % 2])
        case "unknown":
            metrics.unknown(ID, Reason.PROBER_STALLED)
        case "confirming":
            metrics.failure(ID, Stage.CONNECT, Reason.CONNECT_REFUSED, confirming=True)
            metrics.unknown(ID, Reason.PROBER_STALLED, confirming=True)
        case "certificate":
            metrics.certificate(ID, "127.0.0.1:25", (float(number), 9.0), number % 2 == 0)
        case "lag":
            metrics.lag(number / 64)
            metrics.loop_lag(number / 32)
        case "stage":
            metrics.stage("smtp", Stage.BANNER, number / 16)


def told(metrics: Metrics) -> dict[str, object]:
    """Write down everything that was counted."""
    numbers = metrics.resources[ID]
    found: dict[str, object] = {name: getattr(numbers, name) for name in TRAVEL - {"certificates"}}
    found["certificates"] = {text: (one.not_after, one.verified) for text, one in numbers.certificates.items()}
    histograms = [("lag", metrics.probe_lag), ("loop", metrics.event_loop_lag)]
    histograms += [(str(name), one) for name, one in metrics.stages.items()]
    return found | {name: (one.counts, one.sum) for name, one in histograms}


@given(happenings)
def test_what_travels_adds_up(story: list[str]) -> None:
    """However often it travels, the sums are those of one process; what has travelled is not told again."""
    one, worker, scraped = Metrics(), Metrics(), Metrics()
    for metrics in (one, worker, scraped):
        metrics.declare(ID)
    shown: dict[str, tuple[tuple[float, ...], bool]] = {}
    for number, what in enumerate([*story, "travel"]):
        if what == "travel":
            add_counts(scraped, PLAN, take_counts(worker.resources[ID], shown))
            add_heights(scraped, take_heights(worker))
        else:
            happen(one, what, number)
            happen(worker, what, number)
    assert told(scraped) == told(one)
    assert take_heights(worker) == ()
    again = take_counts(worker.resources[ID], shown)
    assert (again.attempts, again.failures, again.unknowns, again.certificates) == (0, (), (), ())


def test_every_number_of_a_resource_travels_or_is_the_cores() -> None:
    """A number that is added to the metrics is not forgotten here."""
    assert set(ResourceNumbers.__slots__) == TRAVEL | THE_CORES


def test_late_counts_bring_nothing_back() -> None:
    """Counts of a resource that is gone, and certificates of a binding that is, are dropped."""
    worker, scraped = Metrics(), Metrics()
    worker.declare(ID)
    worker.attempt(ID)
    worker.certificate(ID, "127.0.0.1:99", (1.0,), True)
    counts = take_counts(worker.resources[ID], {})
    add_counts(scraped, PLAN, counts)
    assert scraped.resources == {}
    scraped.declare(ID)
    add_counts(scraped, PLAN, counts)
    assert scraped.resources[ID].attempts == 1
    assert scraped.resources[ID].certificates == {}


def test_other_buckets_are_refused() -> None:
    """A histogram of another version is an error, not a wrong sum."""
    with pytest.raises(ValueError, match="zip"):
        add_heights(Metrics(), [Heights("lag", None, (1, 2), 0.5)])
