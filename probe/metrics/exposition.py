"""The Prometheus text format 0.0.4, written in slices so that a scrape of 100,000 series never holds the loop.

All lines of a family stand together, so the reports are read once, kept as columns, and each family walks them. What is
told of every resource is made some hundred lines at once, by one comprehension: a generator's step a line costs more
than the line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from probe.metrics import table
from probe.metrics.labels import escape, label_text
from probe.metrics.numbers import Metrics, ResourceNumbers
from probe.metrics.ours import NUMBERS, OF_ALL, head, number, process_lines
from probe.metrics.table import Metric
from probe.values import ResourceId, State

LINES_PER_SLICE = 1000
REPORTS_PER_SLICE = 250


class Told(Protocol):
    """What a scrape reads of a resource's report."""

    @property
    def id(self) -> ResourceId: ...
    @property
    def state(self) -> State: ...
    @property
    def alive(self) -> bool: ...
    @property
    def stale(self) -> bool: ...
    @property
    def type(self) -> str: ...
    @property
    def controller(self) -> str: ...
    @property
    def root_cause(self) -> ResourceId | None: ...


class _Snapshot:
    """What a scrape keeps of the reports: columns, so that the garbage collector has nothing to walk."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.states: list[State] = []
        self.alive: list[int] = []
        self.stale: list[int] = []
        self.infos: list[str] = []  # the labels of resource_info behind group and resource; few differ
        self.causes: dict[str, str] = {}  # by labels; only of those that have one
        self._infos: dict[tuple[str, str], str] = {}

    def add(self, labels: str, report: Told) -> None:
        """Keep one report."""
        self.labels.append(labels)
        self.states.append(report.state)
        self.alive.append(1 if report.alive else 0)
        self.stale.append(1 if report.stale else 0)
        kind = (report.type, report.controller)
        info = self._infos.get(kind)
        if info is None:
            info = self._infos[kind] = label_text(("type", "controller"), kind)
        self.infos.append(info)
        if report.root_cause:
            self.causes[labels] = escape(str(report.root_cause))


def chunks(metrics: Metrics, reports: Iterable[Told]) -> Iterator[str]:
    """Write every series in slices of about 1,000 lines.

    A slice may be empty: work was done and there is nothing to send yet. Let the loop breathe after each.
    """
    snapshot = _Snapshot()
    for count, report in enumerate(reports, 1):
        numbers = metrics.resources.get(report.id)
        snapshot.add(numbers.labels if numbers else label_text(("group", "resource"), report.id), report)
        if count % REPORTS_PER_SLICE == 0:
            yield ""
    waiting: list[str] = []
    lines = 0
    for block, size in _blocks(metrics, snapshot):
        if lines + size > LINES_PER_SLICE:
            yield "".join(waiting)
            waiting.clear()
            lines = 0
        waiting.append(block)
        lines += size
    if waiting:
        yield "".join(waiting)


# Some lines, each with its end, and how much work they are: what a line costs, or a look at a resource without one.
_Blocks = Iterator[tuple[str, int]]


def _blocks(metrics: Metrics, snapshot: _Snapshot) -> _Blocks:
    counted = list(metrics.resources.values())  # a copy: resources come and go between the slices
    for metric in table.METRICS:
        if metrics.lean and not metric.lean:
            continue
        yield _text(head(metric.full_name, metric.kind, metric.help))
        if (of_snapshot := _OF_SNAPSHOT.get(metric)) is not None:
            yield from of_snapshot(metric.full_name, snapshot)
        elif (value := _OF_EACH.get(metric)) is not None:
            yield from _each_blocks(metric.full_name, value, counted)
        elif (of_resource := _OF_RESOURCE.get(metric)) is not None:
            yield from _resource_blocks(metric, *of_resource, counted)
        elif (of_all := NUMBERS.get(metric)) is not None:
            yield f"{metric.full_name} {number(of_all(metrics))}\n", 1
        else:
            yield _text(OF_ALL[metric](metric, metrics))
    yield _text(process_lines())


def _text(lines: Iterable[str]) -> tuple[str, int]:
    kept = tuple(lines)
    return "".join([f"{line}\n" for line in kept]), len(kept)


def _slices(count: int, lines_each: int = 1) -> Iterator[slice]:
    step = LINES_PER_SLICE // lines_each
    return (slice(begin, begin + step) for begin in range(0, count, step))


def _state_blocks(name: str, told: _Snapshot) -> _Blocks:
    """Write a line a state, from one text a state that the resource's labels are put into."""
    texts = {
        now: "".join(f'{name}{{\0,state="{state}"}} {int(now is state)}\n' for state in _STATES) for now in _STATES
    }
    for part in _slices(len(told.labels), len(_STATES)):
        labels, states = told.labels[part], told.states[part]
        block = [texts[now].replace("\0", label) for label, now in zip(labels, states, strict=True)]
        yield "".join(block), len(block) * len(_STATES)


def _flag_blocks(column: Callable[[_Snapshot], list[int]]) -> Callable[[str, _Snapshot], _Blocks]:
    def blocks(name: str, told: _Snapshot) -> _Blocks:
        begin = f"{name}{{"
        for part in _slices(len(told.labels)):
            labels, flags = told.labels[part], column(told)[part]
            block = [f"{begin}{label}}} {flag}\n" for label, flag in zip(labels, flags, strict=True)]
            yield "".join(block), len(block)

    return blocks


def _info_blocks(name: str, told: _Snapshot) -> _Blocks:
    begin = f"{name}{{"
    for part in _slices(len(told.labels)):
        labels, infos = told.labels[part], told.infos[part]
        block = [f"{begin}{label},{info}}} 1\n" for label, info in zip(labels, infos, strict=True)]
        yield "".join(block), len(block)


def _cause_blocks(name: str, told: _Snapshot) -> _Blocks:
    causes = list(told.causes.items())
    for part in _slices(len(causes)):
        block = [f'{name}{{{labels},cause="{cause}"}} 1\n' for labels, cause in causes[part]]
        yield "".join(block), len(block)


_STATES = tuple(State)
_OF_SNAPSHOT: dict[Metric, Callable[[str, _Snapshot], _Blocks]] = {
    table.RESOURCE_STATE: _state_blocks,
    table.RESOURCE_ALIVE: _flag_blocks(lambda told: told.alive),
    table.RESOURCE_STALE: _flag_blocks(lambda told: told.stale),
    table.RESOURCE_INFO: _info_blocks,
    table.ROOT_CAUSE: _cause_blocks,
}

_OF_EACH: dict[Metric, Callable[[Sequence[ResourceNumbers]], list[tuple[str, float]]]] = {
    table.ATTEMPTS: lambda counted: [(one.labels, one.attempts) for one in counted],
    table.RESTARTS: lambda counted: [(one.labels, one.restarts) for one in counted],
    table.LAST_RUN: lambda counted: [(one.labels, one.last_run) for one in counted],
    table.OPERATION_PROGRESS: lambda counted: [
        (one.labels, one.progressed) for one in counted if one.progressed is not None
    ],
}


def _each_blocks(
    name: str,
    values: Callable[[Sequence[ResourceNumbers]], list[tuple[str, float]]],
    counted: list[ResourceNumbers],
) -> _Blocks:
    begin = f"{name}{{"
    for part in _slices(len(counted)):
        found = values(counted[part])
        block = [f"{begin}{labels}}} {value if value.__class__ is int else number(value)}\n" for labels, value in found]
        yield "".join(block), part.stop - part.start


# The labels behind group and resource, and the value, of each series of one resource.
_Series = Iterable[tuple[tuple[str, ...], float]]

# Who has any series of a family, and which. Each is made at once: the dictionaries may grow between two slices.
_Having = Callable[[Sequence[ResourceNumbers]], list[ResourceNumbers]]
_OF_RESOURCE: dict[Metric, tuple[_Having, Callable[[ResourceNumbers], _Series]]] = {
    table.TRANSITIONS: (
        lambda part: [one for one in part if one.transitions],
        lambda one: tuple(one.transitions.items()),
    ),
    table.FAILURES: (
        lambda part: [one for one in part if one.failures],
        lambda one: tuple(one.failures.items()),
    ),
    table.UNKNOWNS: (
        lambda part: [one for one in part if one.unknowns],
        lambda one: [((reason,), count) for reason, count in one.unknowns.items()],
    ),
    table.TLS_VERIFIED: (
        lambda part: [one for one in part if one.certificates],
        lambda one: [((text,), int(seen.verified)) for text, seen in one.certificates.items()],
    ),
    table.NOT_AFTER: (
        lambda part: [one for one in part if one.certificates],
        lambda one: [
            ((text, str(position)), end)
            for text, seen in one.certificates.items()
            for position, end in enumerate(seen.not_after)
        ],
    ),
}
_TEXTS_KEPT = 1024  # of labels behind group and resource, for one family of one scrape; most are of closed enums


def _resource_blocks(
    metric: Metric, having: _Having, series: Callable[[ResourceNumbers], _Series], counted: list[ResourceNumbers]
) -> _Blocks:
    begin, keys = f"{metric.full_name}{{", metric.labels[2:]
    texts: dict[tuple[str, ...], str] = {}
    for part in _slices(len(counted), 2):
        block: list[str] = []
        for one in having(counted[part]):
            for values, value in series(one):
                text = texts.get(values)
                if text is None:
                    text = label_text(keys, values)
                    if len(texts) < _TEXTS_KEPT:
                        texts[values] = text
                block.append(f"{begin}{one.labels},{text}}} {number(value)}\n")
                if len(block) == LINES_PER_SLICE:  # some have hundreds of bindings
                    yield "".join(block), len(block)
                    block = []
        yield "".join(block), max(len(block), LINES_PER_SLICE // 4)
