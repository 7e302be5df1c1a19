"""The Prometheus text format 0.0.4, written in slices so that a scrape of 100,000 series never holds the loop.

All lines of a family stand together, so the reports are read once, kept as columns, and each family walks them.
"""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import ProcessCollector

from probe.lifecycle.report import ResourceReport
from probe.metrics import table
from probe.metrics.labels import escape, escape_help, label_text
from probe.metrics.numbers import Histogram, Metrics, ResourceNumbers
from probe.metrics.table import Metric
from probe.values import State
from probe.version import __version__

LINES_PER_SLICE = 2000
REPORTS_PER_SLICE = 500

_PROCESS = ProcessCollector(registry=None)  # a registry of its own would bring every default collector along


class _Snapshot:
    """What a scrape keeps of the reports: columns, so that the garbage collector has nothing to walk."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.states: list[State] = []
        self.alive: list[bool] = []
        self.stale: list[bool] = []
        self.types: list[str] = []
        self.controllers: list[str] = []
        self.causes: list[str] = []

    def add(self, labels: str, report: ResourceReport) -> None:
        """Keep one report."""
        self.labels.append(labels)
        self.states.append(report.state)
        self.alive.append(report.alive)
        self.stale.append(report.stale)
        self.types.append(report.type)
        self.controllers.append(report.controller)
        self.causes.append(str(report.root_cause) if report.root_cause else "")


def chunks(metrics: Metrics, reports: Iterable[ResourceReport]) -> Iterator[str]:
    """Write every series in slices of about 2,000 lines.

    A slice may be empty: work was done and there is nothing to send yet. Let the loop breathe after each.
    """
    snapshot = _Snapshot()
    for count, report in enumerate(reports, 1):
        numbers = metrics.resources.get(report.id)
        snapshot.add(numbers.labels if numbers else label_text(("group", "resource"), report.id), report)
        if count % REPORTS_PER_SLICE == 0:
            yield ""
    lines: list[str] = []
    for line in _lines(metrics, snapshot):
        lines.append(line)
        if len(lines) >= LINES_PER_SLICE:
            yield "\n".join(lines) + "\n"
            lines.clear()
    if lines:
        yield "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Write a value as the format wants it: whole numbers short, NaN and the infinities by name."""
    if value != value:
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    whole = int(value)
    return str(whole) if whole == value else repr(float(value))


def _lines(metrics: Metrics, snapshot: _Snapshot) -> Iterator[str]:
    counted = list(metrics.resources.values())  # a copy: resources come and go between the slices
    for metric in table.METRICS:
        if metrics.lean and not metric.lean:
            continue
        yield from _head(metric.full_name, metric.kind, metric.help)
        if (of_snapshot := _OF_SNAPSHOT.get(metric)) is not None:
            yield from of_snapshot(metric.full_name, snapshot)
        elif (of_resource := _OF_RESOURCE.get(metric)) is not None:
            yield from _resource_lines(metric, of_resource, counted)
        else:
            yield from _OF_ALL[metric](metric, metrics)
    yield from _process_lines()


def _head(name: str, kind: str, help: str) -> tuple[str, str]:
    return f"# HELP {name} {escape_help(help)}", f"# TYPE {name} {kind}"


def _state_lines(name: str, told: _Snapshot) -> Iterator[str]:
    for labels, now in zip(told.labels, told.states, strict=True):
        for state in _STATES:
            yield f'{name}{{{labels},state="{state}"}} {int(now is state)}'


def _alive_lines(name: str, told: _Snapshot) -> Iterator[str]:
    for labels, alive in zip(told.labels, told.alive, strict=True):
        yield f"{name}{{{labels}}} {int(alive)}"


def _stale_lines(name: str, told: _Snapshot) -> Iterator[str]:
    for labels, stale in zip(told.labels, told.stale, strict=True):
        yield f"{name}{{{labels}}} {int(stale)}"


def _info_lines(name: str, told: _Snapshot) -> Iterator[str]:
    for labels, type_, controller in zip(told.labels, told.types, told.controllers, strict=True):
        yield f'{name}{{{labels},type="{escape(type_)}",controller="{escape(controller)}"}} 1'


def _cause_lines(name: str, told: _Snapshot) -> Iterator[str]:
    for labels, cause in zip(told.labels, told.causes, strict=True):
        if cause:
            yield f'{name}{{{labels},cause="{escape(cause)}"}} 1'


_STATES = tuple(State)
_OF_SNAPSHOT: dict[Metric, Callable[[str, _Snapshot], Iterator[str]]] = {
    table.RESOURCE_STATE: _state_lines,
    table.RESOURCE_ALIVE: _alive_lines,
    table.RESOURCE_STALE: _stale_lines,
    table.RESOURCE_INFO: _info_lines,
    table.ROOT_CAUSE: _cause_lines,
}

# The labels behind group and resource, and the value, of each series of one resource.
_Series = Iterable[tuple[tuple[str, ...], float]]

# Each value is a tuple made at once: the dictionaries may grow between two slices.
_OF_RESOURCE: dict[Metric, Callable[[ResourceNumbers], _Series]] = {
    table.ATTEMPTS: lambda one: (((), one.attempts),),
    table.RESTARTS: lambda one: (((), one.restarts),),
    table.LAST_RUN: lambda one: (((), one.last_run),),
    table.OPERATION_PROGRESS: lambda one: () if one.progressed is None else (((), one.progressed),),
    table.TRANSITIONS: lambda one: tuple(one.transitions.items()),
    table.FAILURES: lambda one: tuple(one.failures.items()),
    table.UNKNOWNS: lambda one: tuple(((reason,), count) for reason, count in one.unknowns.items()),
    table.TLS_VERIFIED: lambda one: tuple(((text,), int(seen.verified)) for text, seen in one.certificates.items()),
    table.NOT_AFTER: lambda one: tuple(
        ((text, str(position)), end)
        for text, seen in one.certificates.items()
        for position, end in enumerate(seen.not_after)
    ),
}


def _resource_lines(
    metric: Metric, series: Callable[[ResourceNumbers], _Series], counted: list[ResourceNumbers]
) -> Iterator[str]:
    name, keys = metric.full_name, metric.labels[2:]
    for one in counted:
        for values, value in series(one):
            labels = f"{one.labels},{label_text(keys, values)}" if keys else one.labels
            yield f"{name}{{{labels}}} {number(value)}"


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


_OF_ALL: dict[Metric, Callable[[Metric, Metrics], Iterable[str]]] = {
    table.STAGE_SECONDS: _stage_lines,
    table.DETECTION: _detection_lines,
    table.PROBE_LAG: lambda metric, metrics: _histogram_lines(metric, "", metrics.probe_lag),
    table.LOOP_LAG: lambda metric, metrics: _histogram_lines(metric, "", metrics.event_loop_lag),
    table.PROBER_HEALTHY: lambda metric, metrics: (f"{metric.full_name} {int(metrics.prober_healthy)}",),
    table.WORKERS: _worker_lines,
    table.WORKER_RESTARTS: lambda metric, metrics: (f"{metric.full_name} {metrics.worker_restarts_total}",),
    table.KERNEL_ACTIVE: lambda metric, metrics: (f"{metric.full_name} {int(metrics.kernel_active)}",),
    table.KERNEL_INACTIVE: _kernel_inactive_lines,
    table.KERNEL_EVENTS: lambda metric, metrics: (f"{metric.full_name} {metrics.kernel_events_total}",),
    table.KERNEL_OVERRUNS: lambda metric, metrics: (f"{metric.full_name} {metrics.kernel_overruns_total}",),
    table.DRAINING: lambda metric, metrics: (f"{metric.full_name} {int(metrics.draining)}",),
    table.MAINTENANCE: _maintenance_lines,
    table.STORAGE_GROUPS: lambda metric, metrics: (f"{metric.full_name} {metrics.storage_groups[0]}",),
    table.STORAGE_GROUPS_MAX: lambda metric, metrics: (f"{metric.full_name} {metrics.storage_groups[1]}",),
    table.RELOAD_OK: lambda metric, metrics: (f"{metric.full_name} {int(metrics.reload_successful)}",),
    table.RELOAD_TIME: lambda metric, metrics: (f"{metric.full_name} {number(metrics.reload_success_at)}",),
    table.HISTORY_WRITTEN: lambda metric, metrics: (f"{metric.full_name} {metrics.history_written_total}",),
    table.HISTORY_DROPPED: lambda metric, metrics: (f"{metric.full_name} {metrics.history_dropped_total}",),
    table.HISTORY_ERRORS: lambda metric, metrics: (f"{metric.full_name} {metrics.history_errors_total}",),
    table.HISTORY_FAILING: lambda metric, metrics: (f"{metric.full_name} {int(metrics.history_failing)}",),
    table.DIRECTORY_DRIFT: _drift_lines,
    table.DIRECTORY_PENDING: lambda metric, metrics: (f"{metric.full_name} {int(metrics.directory_pending)}",),
    table.DIRECTORY_FAILING: lambda metric, metrics: (f"{metric.full_name} {int(metrics.directory_failing)}",),
    table.WEBHOOK_SENT: lambda metric, metrics: (f"{metric.full_name} {metrics.webhook_sent_total}",),
    table.WEBHOOK_ERRORS: lambda metric, metrics: (f"{metric.full_name} {metrics.webhook_errors_total}",),
    table.WEBHOOK_DROPPED: lambda metric, metrics: (f"{metric.full_name} {metrics.webhook_dropped_total}",),
    table.BUILD_INFO: _build_lines,
}


def _process_lines() -> Iterator[str]:
    """Write process_*: CPU, memory, descriptors, start time, as every exporter names them."""
    for family in _PROCESS.collect():
        for index, sample in enumerate(family.samples):
            if index == 0:
                yield from _head(sample.name, family.type, family.documentation)
            yield f"{sample.name} {number(sample.value)}"
