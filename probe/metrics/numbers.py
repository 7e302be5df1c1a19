"""The values behind the metrics. Nothing here makes text, takes a lock or asks for the time.

What is called in a steady round (`good`) costs a dictionary look-up and a few additions.
A resource is counted from `declare` to `forget`; a call about any other id is a late answer and changes nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from probe.lifecycle.events import Trigger
from probe.metrics import table
from probe.metrics.labels import escape
from probe.values import Reason, ResourceId, Stage, State

CERTIFICATES_PER_RESOURCE_MAX = 256  # bindings with TLS that one resource can have facts about
CHAIN_LENGTH_MAX = 10
COURSES_MAX = 1000  # kept to be shared
NOTHING: Mapping[Any, Any] = MappingProxyType({})  # what most resources have of most things, at no cost

_ONCE: dict[tuple[State, State, Trigger], tuple[State, State, Trigger]] = {}  # closed enums: some 200 at most
K = TypeVar("K")


def counted(counts: Mapping[K, int], key: K, count: int = 1) -> Mapping[K, int]:
    """Return the counts with `count` more of a key; those handed in may be shared and stay as they are."""
    return {**counts, key: counts.get(key, 0) + count}


class Histogram:
    """Counts by upper bound; kept apart by bucket, added up only when told."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one value, in the unit of the bounds; a value equal to a bound belongs to it."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Certificate:
    """What one binding presented last: the ends of its chain, leaf first, and whether it was trusted."""

    __slots__ = ("not_after", "verified")

    def __init__(self, not_after: tuple[float, ...], verified: bool) -> None:
        self.not_after = not_after
        self.verified = verified


class ResourceNumbers:
    """What is counted about one resource. The keyed ones are closed enums, so their number is bounded.

    Those that begin with `minute` are of the running minute; who gathers minutes sets them back (`Minutes`).
    """

    __slots__ = (
        "attempts",
        "certificates",
        "counted",
        "failures",
        "labels",
        "last_run",
        "minute_failed",
        "minute_ok",
        "minute_s",
        "minute_s_max",
        "minute_unknown",
        "progressed",
        "restarts",
        "transitions",
        "unknowns",
    )

    def __init__(self, id: ResourceId) -> None:
        self.labels = f'group="{escape(id.group)}",resource="{escape(id.name)}"'
        self.counted = True  # until it is forgotten
        self.attempts = 0
        self.restarts = 0
        self.last_run = 0.0
        self.minute_ok = 0
        self.minute_failed = 0
        self.minute_unknown = 0
        self.minute_s = 0.0  # that the good answers took together
        self.minute_s_max = 0.0
        self.progressed: float | None = None
        self.failures: Mapping[tuple[Stage, Reason], int] = NOTHING
        self.unknowns: Mapping[Reason, int] = NOTHING
        self.transitions: Mapping[tuple[State, State, Trigger], int] = NOTHING
        self.certificates: Mapping[str, Certificate] = NOTHING


class Flown(Protocol):
    """A good round of the light form, as far as it is counted; `probe.monitor.flight` has the real one."""

    id: ResourceId
    protocol: str
    shape: tuple[Stage, ...]  # connect, the answer, and stages that took no time of their own
    when: float  # it was due, in clock seconds
    started: float
    ended: float
    connect_s: float
    numbers: ResourceNumbers | None  # where it was counted last


class Metrics:
    """Every number we publish. `lean` leaves out what multiplies with the number of resources."""

    def __init__(self, *, lean: bool = False) -> None:
        self.lean = lean
        self.resources: dict[ResourceId, ResourceNumbers] = {}
        self._courses: dict[object, Mapping[tuple[State, State, Trigger], int]] = {}  # most resources went the same way
        self.stages: dict[tuple[str, Stage], Histogram] = {}
        self.detections: dict[Trigger, Histogram] = {}
        self.probe_lag = Histogram(table.PROBE_LAG.buckets)
        self.event_loop_lag = Histogram(table.LOOP_LAG.buckets)
        self.prober_healthy = True
        self.kernel_active = False
        self.kernel_why_not = ""
        self.kernel_events_total = 0
        self.kernel_overruns_total = 0
        self.draining = False
        self.maintained: frozenset[str] = frozenset()
        self.storage_groups = (0, 0)  # mounted, and how many may be
        self.reload_successful = False
        self.reload_success_at = 0.0
        self.directory_drift: dict[ResourceId, int] = {}
        self.directory_pending = False
        self.directory_failing = False
        self.history_written_total = 0  # these are written by the thread of the history
        self.history_errors_total = 0
        self.history_failing = False
        self.history_dropped_total = 0
        self.webhook_sent_total = 0
        self.webhook_errors_total = 0
        self.webhook_dropped_total = 0
        self.workers: dict[str, int] = {}  # by state; empty while everything is asked by this process
        self.worker_restarts_total = 0

    # --- the monitor's ---

    def good(
        self,
        id: ResourceId,
        protocol: str,
        stages: Sequence[tuple[Stage, float]],
        wall: float,
        lag_s: float,
        took_s: float,
    ) -> None:
        """Count a whole good round in one call: `attempt`, `ran`, `lag`, `stage` for each and `answered`."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.attempts += 1
            numbers.last_run = wall
            numbers.minute_ok += 1
            numbers.minute_s += took_s
            if took_s > numbers.minute_s_max:
                numbers.minute_s_max = took_s
        self.probe_lag.observe(lag_s)
        for stage, seconds in stages:
            self._timed(protocol, stage).observe(seconds)

    def flown(self, flights: Sequence[Flown], wall: float) -> None:
        """Count good rounds of the light form, each as `good` does."""
        lag, lag_sum = self.probe_lag, 0.0
        lag_bounds, lag_counts = lag.bounds, lag.counts
        protocol, shape = "", tuple[Stage, ...]()
        for flight in flights:
            if flight.shape is not shape or flight.protocol != protocol:
                protocol, shape = flight.protocol, flight.shape
                connect, answer, *rest = (self._timed(protocol, stage) for stage in shape)
            numbers = flight.numbers
            if numbers is None or not numbers.counted:
                numbers = flight.numbers = self.resources.get(flight.id)
            started = flight.started
            took_s = flight.ended - started
            if numbers is not None:
                numbers.attempts += 1
                numbers.last_run = wall
                numbers.minute_ok += 1
                numbers.minute_s += took_s
                if took_s > numbers.minute_s_max:
                    numbers.minute_s_max = took_s
            lag_s = started - flight.when
            if lag_s < 0.0:
                lag_s = 0.0
            lag_counts[bisect_left(lag_bounds, lag_s)] += 1
            lag_sum += lag_s
            connect_s = flight.connect_s
            connect.counts[bisect_left(connect.bounds, connect_s)] += 1
            connect.sum += connect_s
            took_s -= connect_s
            answer.counts[bisect_left(answer.bounds, took_s)] += 1
            answer.sum += took_s
            for histogram in rest:
                histogram.observe(0.0)
        lag.sum += lag_sum

    def attempt(self, id: ResourceId) -> None:
        """Count a probe."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.attempts += 1

    def answered(self, id: ResourceId, seconds: float) -> None:
        """Count a good answer and how long it took from the dial on."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.minute_ok += 1
            numbers.minute_s += seconds
            if seconds > numbers.minute_s_max:
                numbers.minute_s_max = seconds

    def failure(self, id: ResourceId, stage: Stage, reason: Reason, *, confirming: bool = False) -> None:
        """Count a probe that failed; while a start is confirmed, that says nothing of the minute."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.minute_failed += not confirming
            numbers.failures = counted(numbers.failures, (stage, reason))

    def unknown(self, id: ResourceId, reason: Reason, *, confirming: bool = False) -> None:
        """Count a probe that could not tell; while a start is confirmed, that says nothing of the minute."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.minute_unknown += not confirming
            numbers.unknowns = counted(numbers.unknowns, reason)

    def stage(self, protocol: str, stage: Stage, seconds: float) -> None:
        """Time one stage of a probe; `protocol` is one of the metabase's."""
        self._timed(protocol, stage).observe(seconds)

    def _timed(self, protocol: str, stage: Stage) -> Histogram:
        histogram = self.stages.get((protocol, stage))
        if histogram is None:
            histogram = self.stages[protocol, stage] = Histogram(table.STAGE_SECONDS.buckets)
        return histogram

    def lag(self, seconds: float) -> None:
        """Tell how late a probe started."""
        self.probe_lag.observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """Tell how late the loop ran its ticker."""
        self.event_loop_lag.observe(seconds)

    def prober_health(self, healthy: bool) -> None:
        """Note whether most of our rounds can tell."""
        self.prober_healthy = healthy

    def ran(self, id: ResourceId, wall: float) -> None:
        """Note when the resource was last probed, in seconds since the epoch."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.last_run = wall

    def certificate(self, id: ResourceId, binding_text: str, not_after: tuple[float, ...], verified: bool) -> None:
        """Note what a binding presented, also when it was not trusted; `not_after` is the chain's, leaf first."""
        numbers = self.resources.get(id)
        if numbers is None:
            return
        known = numbers.certificates
        if binding_text in known or len(known) < CERTIFICATES_PER_RESOURCE_MAX:
            numbers.certificates = {**known, binding_text: Certificate(not_after[:CHAIN_LENGTH_MAX], verified)}

    def kernel_watch(self, active: bool, why_not: str) -> None:
        """Note whether the kernel tells us of dying listeners, and the reason where it does not."""
        self.kernel_active, self.kernel_why_not = active, why_not

    def kernel_events(self, count: int) -> None:
        """Count deaths of listeners that the kernel told."""
        self.kernel_events_total += count

    def kernel_overrun(self) -> None:
        """Count a loss of the kernel's events."""
        self.kernel_overruns_total += 1

    def count_workers(self, by_state: dict[str, int], restarts: int) -> None:
        """Note how many prober processes there are in each state, and how often any was started again."""
        self.workers, self.worker_restarts_total = by_state, restarts

    # --- the runtime's ---

    def declare(self, id: ResourceId) -> None:
        """Begin to count a resource; its plain counters start at 0. One that is counted already goes on."""
        if id not in self.resources:
            self.resources[id] = ResourceNumbers(id)

    def keep_bindings(self, id: ResourceId, binding_texts: Collection[str]) -> None:
        """Drop the certificate facts of bindings that the resource no longer has."""
        if (numbers := self.resources.get(id)) is not None and numbers.certificates:
            numbers.certificates = {text: one for text, one in numbers.certificates.items() if text in binding_texts}

    def forget(self, id: ResourceId) -> None:
        """Stop counting a resource: all its series vanish."""
        numbers = self.resources.pop(id, None)
        if numbers is not None:
            numbers.counted = False

    def transition(self, id: ResourceId, from_: State, to: State, trigger: Trigger) -> None:
        """Count a change of state."""
        if (numbers := self.resources.get(id)) is not None:
            key = (from_, to, trigger)
            counts = counted(numbers.transitions, _ONCE.setdefault(key, key))
            if len(self._courses) < COURSES_MAX:
                self._courses.setdefault(tuple(counts.items()), counts)
            numbers.transitions = self._courses.get(tuple(counts.items()), counts)

    def restarted(self, id: ResourceId) -> None:
        """Count an attempt to bring the resource back."""
        if (numbers := self.resources.get(id)) is not None:
            numbers.restarts += 1

    def detected(self, trigger: Trigger, seconds: float) -> None:
        """Tell how long a failure went unseen: since its event, or (probe, an upper bound) the last good answer."""
        histogram = self.detections.get(trigger)
        if histogram is None:
            histogram = self.detections[trigger] = Histogram(table.DETECTION.buckets)
        histogram.observe(seconds)

    def maintenance(self, groups: Collection[str]) -> None:
        """Note which groups are in maintenance."""
        self.maintained = frozenset(groups)

    def capacity(self, mounted: int, limit: int) -> None:
        """Note how many storage groups are mounted here, and how many may be (S45)."""
        self.storage_groups = (mounted, limit)

    def progressed(self, id: ResourceId, wall: float | None) -> None:
        """Note when the operation under way last made progress; None when there is none any more."""
        numbers = self.resources.get(id)
        if numbers is not None:
            numbers.progressed = wall

    def directory_looked(self, drift: dict[ResourceId, int], pending: bool, failing: bool) -> None:
        """Note what the last look at the directory found."""
        self.directory_drift, self.directory_pending, self.directory_failing = drift, pending, failing

    def drained(self, on: bool) -> None:
        """Note whether the stops to come are planned."""
        self.draining = on

    def reloaded(self, ok: bool, wall: float) -> None:
        """Note a load of the store; only a good one moves the time stamp."""
        self.reload_successful = ok
        if ok:
            self.reload_success_at = wall
