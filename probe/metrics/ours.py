"""What is told of the service as a whole: numbers without labels, histograms, the build and the process."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter

from prometheus_client import ProcessCollector

from probe.metrics import table
from probe.metrics.labels import escape_help, label_text
from probe.metrics.numbers import Histogram, Metrics
from probe.metrics.table import Metric
from probe.version import __version__

_PROCESS = ProcessCollector(registry=None)  # a registry of its own would bring every default collector along


def head(name: str, kind: str, help: str) -> tuple[str, str]:
    """Write the two lines that begin a family."""
    return f"# HELP {name} {escape_help(help)}", f"# TYPE {name} {kind}"


def number(value: float) -> str:
    """Write a value as the format wants it: whole numbers short, NaN and the infinities by name."""
    if isinstance(value, int):
        return str(int(value))  # a flag is one, too
    if math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _stage_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    for (protocol, stage), histogram in tuple(metrics.stages.items()):
        yield from _histogram_lines(metric, label_text(metric.labels, (protocol, stage)), histogram)


def _detection_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    for trigger, histogram in tuple(metrics.detections.items()):
        yield from _histogram_lines(metric, label_text(metric.labels, (trigger,)), histogram)


def _histogram_lines(metric: Metric, labels: str, histogram: Histogram) -> Iterator[str]:
    name, comma, total = metric.full_name, "," if labels else "", 0
    counts, sum_s = tuple(histogram.counts), histogram.sum  # of one moment: the buckets and the count must agree
    for bound, count in zip((*map(repr, histogram.bounds), "+Inf"), counts, strict=True):
        total += count
        yield f'{name}_bucket{{{labels}{comma}le="{bound}"}} {total}'
    braces = f"{{{labels}}}" if labels else ""
    yield f"{name}_sum{braces} {number(sum_s)}"
    yield f"{name}_count{braces} {total}"


def _build_lines(metric: Metric, _: Metrics) -> Iterable[str]:
    return (f"{metric.full_name}{{{label_text(metric.labels, (__version__, platform.python_version()))}}} 1",)


def _maintenance_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    for group in sorted(metrics.maintained):
        yield f"{metric.full_name}{{{label_text(metric.labels, (group,))}}} 1"


def _kernel_inactive_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    if metrics.kernel_why_not:
        yield f"{metric.full_name}{{{label_text(metric.labels, (metrics.kernel_why_not,))}}} 1"


def _worker_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    for state, count in metrics.workers.items():
        yield f"{metric.full_name}{{{label_text(metric.labels, (state,))}}} {count}"


def _drift_lines(metric: Metric, metrics: Metrics) -> Iterator[str]:
    for id, count in metrics.directory_drift.items():
        yield f"{metric.full_name}{{{label_text(metric.labels, id)}}} {count}"


OF_ALL: dict[Metric, Callable[[Metric, Metrics], Iterable[str]]] = {
    table.STAGE_SECONDS: _stage_lines,
    table.DETECTION: _detection_lines,
    table.PROBE_LAG: lambda metric, metrics: _histogram_lines(metric, "", metrics.probe_lag),
    table.LOOP_LAG: lambda metric, metrics: _histogram_lines(metric, "", metrics.event_loop_lag),
    table.KERNEL_INACTIVE: _kernel_inactive_lines,
    table.MAINTENANCE: _maintenance_lines,
    table.DIRECTORY_DRIFT: _drift_lines,
    table.WORKERS: _worker_lines,
    table.BUILD_INFO: _build_lines,
}

NUMBERS: dict[Metric, Callable[[Metrics], float]] = {
    table.PROBER_HEALTHY: attrgetter("prober_healthy"),
    table.KERNEL_ACTIVE: attrgetter("kernel_active"),
    table.KERNEL_EVENTS: attrgetter("kernel_events_total"),
    table.KERNEL_OVERRUNS: attrgetter("kernel_overruns_total"),
    table.DRAINING: attrgetter("draining"),
    table.STORAGE_GROUPS: lambda metrics: metrics.storage_groups[0],
    table.STORAGE_GROUPS_MAX: lambda metrics: metrics.storage_groups[1],
    table.RELOAD_OK: attrgetter("reload_successful"),
    table.RELOAD_TIME: attrgetter("reload_success_at"),
    table.HISTORY_WRITTEN: attrgetter("history_written_total"),
    table.HISTORY_DROPPED: attrgetter("history_dropped_total"),
    table.HISTORY_ERRORS: attrgetter("history_errors_total"),
    table.HISTORY_FAILING: attrgetter("history_failing"),
    table.DIRECTORY_PENDING: attrgetter("directory_pending"),
    table.DIRECTORY_FAILING: attrgetter("directory_failing"),
    table.WEBHOOK_SENT: attrgetter("webhook_sent_total"),
    table.WEBHOOK_ERRORS: attrgetter("webhook_errors_total"),
    table.WEBHOOK_DROPPED: attrgetter("webhook_dropped_total"),
    table.WORKER_RESTARTS: attrgetter("worker_restarts_total"),
}


def process_lines() -> Iterator[str]:
    """Write process_*: CPU, memory, descriptors, start time, as every exporter names them."""
    for family in _PROCESS.collect():
        for index, sample in enumerate(family.samples):
            if index == 0:
                yield from head(sample.name, family.type, family.documentation)
            yield f"{sample.name} {number(sample.value)}"
