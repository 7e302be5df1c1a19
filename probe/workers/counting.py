"""Numbers on their way: what a worker has counted is taken out of its metrics and added to those that are scraped.

Only differences travel, so what is scraped never falls when a worker dies; at most what it had not told yet is lost.
"""

from __future__ import annotations

from collections.abc import Iterable

from probe.metrics import Metrics
from probe.metrics.numbers import NOTHING, Histogram, ResourceNumbers, counted
from probe.metrics.table import STAGE_SECONDS
from probe.monitor.plan import ProbePlan
from probe.values import Stage
from probe.workers.wire import Counts, Heights

LAG, LOOP = "lag", "loop_lag"

_Shown = dict[str, tuple[tuple[float, ...], bool]]  # of each binding's certificates, what was told last


def take_counts(numbers: ResourceNumbers, shown: _Shown) -> Counts:
    """Take out what was counted since the last time; `shown` is brought up to date."""
    certificates = []
    for binding, seen in numbers.certificates.items():
        facts = (seen.not_after, seen.verified)
        if shown.get(binding) != facts:
            shown[binding] = facts
            certificates.append((binding, *facts))
    counts = Counts(
        numbers.attempts,
        numbers.last_run,
        numbers.minute_ok,
        numbers.minute_s,
        numbers.minute_s_max,
        tuple((stage, reason, count) for (stage, reason), count in numbers.failures.items()),
        tuple(numbers.unknowns.items()),
        tuple(certificates),
        numbers.minute_failed,
        numbers.minute_unknown,
    )
    numbers.attempts = numbers.minute_ok = numbers.minute_failed = numbers.minute_unknown = 0
    numbers.minute_s = numbers.minute_s_max = 0.0
    numbers.failures = numbers.unknowns = NOTHING
    return counts


def add_counts(metrics: Metrics, plan: ProbePlan, counts: Counts) -> None:
    """Add what a worker counted of a resource; nothing for one that is counted no more, or a binding that is gone."""
    id = plan.id
    numbers = metrics.resources.get(id)
    if numbers is None:
        return
    numbers.attempts += counts.attempts
    numbers.last_run = max(numbers.last_run, counts.last_run)
    numbers.minute_ok += counts.answered
    numbers.minute_s += counts.answered_s
    numbers.minute_s_max = max(numbers.minute_s_max, counts.answered_s_max)
    numbers.minute_failed += counts.failed
    numbers.minute_unknown += counts.untold
    for stage, reason, count in counts.failures:
        numbers.failures = counted(numbers.failures, (stage, reason), count)
    for unknown, count in counts.unknowns:
        numbers.unknowns = counted(numbers.unknowns, unknown, count)
    for binding, not_after, verified in counts.certificates:
        if any(target.binding == binding for target in plan.targets):
            metrics.certificate(id, binding, not_after, verified)


def take_heights(metrics: Metrics) -> tuple[Heights, ...]:
    """Take out what the histograms have counted since the last time."""
    found: list[tuple[str, Stage | None, Histogram]] = [
        (LAG, None, metrics.probe_lag),
        (LOOP, None, metrics.event_loop_lag),
        *((protocol, stage, histogram) for (protocol, stage), histogram in metrics.stages.items()),
    ]
    return tuple(_take(*one) for one in found if any(one[2].counts))


def add_heights(metrics: Metrics, heights: Iterable[Heights]) -> None:
    """Add what a worker's histograms have counted. Raises ValueError for one that has other buckets than ours."""
    for one in heights:
        histogram = _histogram(metrics, one)
        histogram.counts[:] = [sum(pair) for pair in zip(histogram.counts, one.counts, strict=True)]
        histogram.sum += one.sum_s


def _take(name: str, stage: Stage | None, histogram: Histogram) -> Heights:
    heights = Heights(name, stage, tuple(histogram.counts), histogram.sum)
    histogram.counts[:] = [0] * len(histogram.counts)
    histogram.sum = 0.0
    return heights


def _histogram(metrics: Metrics, heights: Heights) -> Histogram:
    if heights.stage is None:
        return metrics.probe_lag if heights.name == LAG else metrics.event_loop_lag
    key = (heights.name, heights.stage)
    if key not in metrics.stages:
        metrics.stages[key] = Histogram(STAGE_SECONDS.buckets)
    return metrics.stages[key]
