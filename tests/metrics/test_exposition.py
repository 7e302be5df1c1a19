"""The text format, against two oracles: prometheus_client's parser and writer, and promtool."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client import Histogram as TheirHistogram
from prometheus_client.parser import text_string_to_metric_families

from probe.lifecycle.events import Trigger
from probe.lifecycle.report import ResourceReport
from probe.metrics import METRICS, Metrics, chunks
from probe.metrics.exposition import LINES_PER_SLICE, REPORTS_PER_SLICE
from probe.metrics.labels import escape, label_text
from probe.metrics.ours import number
from probe.metrics.table import DETECTION, PREFIX
from probe.values import Outcome, Reason, ResourceId, Stage, State
from tests.e2e.programs import need

SMTP, STORE = ResourceId("evs1", "smtp"), ResourceId("evs1", "store")
ONE = {"group": "evs1", "resource": "smtp"}

Sample = tuple[str, tuple[tuple[str, str], ...], float]


def a_report(id: ResourceId = SMTP) -> ResourceReport:
    return ResourceReport(
        id=id,
        type="smtp",
        controller="none",
        state=State.ONLINE,
        desired=State.ONLINE,
        alive=True,
        verdict=Outcome.ALIVE,
        stale=False,
        reason=Reason.MATCHED,
        evidence="",
        age_s=None,
        root_cause=None,
        since=0.0,
        restarts=0,
        restarts_left=2,
        operation=None,
        depends_on=(),
        waiting_for=(),
    )


def text_of(metrics: Metrics, *reports: ResourceReport) -> str:
    return "".join(chunks(metrics, reports))


def samples_of(text: str) -> dict[Sample, None]:
    """Parse with the oracle: every sample with its labels, in order, none twice."""
    found: dict[Sample, None] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            assert key not in found
            found[key] = None
    return found


def ours(text: str, name: str) -> dict[tuple[str, ...], float]:
    """The values of one series name by their label values in the order of our table."""
    metric = next(one for one in METRICS if one.name == name)
    return {
        tuple(dict(labels)[label] for label in metric.labels): value
        for full, labels, value in samples_of(text)
        if full == metric.full_name
    }


def busy() -> Metrics:
    """Numbers with something in every series."""
    metrics = Metrics()
    for id in (SMTP, STORE):
        metrics.declare(id)
        metrics.attempt(id)
    metrics.failure(SMTP, Stage.BANNER, Reason.BANNER_TIMEOUT)
    metrics.failure(SMTP, Stage.BANNER, Reason.BANNER_TIMEOUT)
    metrics.unknown(SMTP, Reason.PROBER_STALLED)
    metrics.stage("smtp", Stage.BANNER, 0.003)
    metrics.stage("smtp", Stage.CONNECT, 40.0)
    metrics.lag(0.0)
    metrics.loop_lag(0.02)
    metrics.detected(Trigger.KERNEL, 0.0006)
    metrics.certificate(SMTP, '[::1]:465 "odd\\', (1.9e9, 2e9), False)
    metrics.ran(SMTP, 1_700_000_000.25)
    metrics.transition(SMTP, State.ONLINE, State.FAILED, Trigger.PROBE)
    metrics.restarted(SMTP)
    metrics.kernel_watch(False, "no_event")
    metrics.kernel_events(3)
    metrics.kernel_overrun()
    metrics.reloaded(True, 1_700_000_000.0)
    metrics.maintenance(["evs1"])
    metrics.capacity(3, 4)
    metrics.progressed(STORE, 1_700_000_001.0)
    metrics.directory_looked({STORE: 2}, True, False)
    metrics.webhook_sent_total, metrics.webhook_errors_total, metrics.webhook_dropped_total = 3, 2, 1
    metrics.count_workers({"starting": 0, "running": 3, "gone": 1}, 2)
    return metrics


def test_what_the_webhook_took() -> None:
    """Messages taken, attempts that failed and alerts put off are counted, from 0 on."""
    names = ("webhook_sent_total", "webhook_errors_total", "webhook_dropped_total")
    assert [ours(text_of(Metrics()), name) for name in names] == [{(): 0}] * 3
    assert [ours(text_of(busy()), name) for name in names] == [{(): 3}, {(): 2}, {(): 1}]


def test_maintenance_capacity_and_progress() -> None:
    """S45: the groups let alone, the storage groups mounted, and the last progress are told while they are so."""
    metrics = busy()
    text = text_of(metrics)
    assert ours(text, "group_maintenance") == {("evs1",): 1}
    assert (ours(text, "storage_groups_mounted"), ours(text, "storage_groups_max")) == ({(): 3}, {(): 4})
    assert ours(text, "operation_progress_timestamp_seconds") == {("evs1", "store"): 1_700_000_001.0}
    metrics.maintenance([])
    metrics.progressed(STORE, None)
    text = text_of(metrics)
    assert (ours(text, "group_maintenance"), ours(text, "operation_progress_timestamp_seconds")) == ({}, {})


def test_stale_answers_and_planned_stops_are_seen() -> None:
    """An answer that is too old is 1 for its resource alone; draining is 1 only while stops are planned."""
    metrics = Metrics()
    text = text_of(metrics, a_report(), replace(a_report(STORE), stale=True))
    assert ours(text, "resource_stale") == {("evs1", "smtp"): 0, ("evs1", "store"): 1}
    assert ours(text, "draining") == {(): 0}
    metrics.drained(True)
    assert ours(text_of(metrics), "draining") == {(): 1}
    metrics.drained(False)
    assert ours(text_of(metrics), "draining") == {(): 0}


def test_plain_series_start_at_0_and_others_when_first_counted() -> None:
    """A declared resource has its plain counters at 0; what has a stage or a reason appears when it is counted."""
    metrics = Metrics()
    metrics.declare(SMTP)
    text = text_of(metrics, a_report())
    one = ("evs1", "smtp")
    for name in ("probe_attempts_total", "restarts_total", "probe_last_run_timestamp_seconds"):
        assert ours(text, name) == {one: 0}
    for name in (
        "probe_failures_total",
        "probe_unknown_total",
        "state_transitions_total",
        "root_cause",
        "tls_verified",
    ):
        assert ours(text, name) == {}
    assert ours(text, "resource_alive") == {one: 1}
    assert ours(text, "config_last_reload_successful") == {(): 0}


def test_every_number_arrives() -> None:
    """Each call shows up under its contract's name and labels."""
    text = text_of(busy(), a_report())
    one = ("evs1", "smtp")
    assert ours(text, "probe_attempts_total") == {one: 1, ("evs1", "store"): 1}
    assert ours(text, "probe_failures_total") == {(*one, "banner", "banner_timeout"): 2}
    assert ours(text, "probe_unknown_total") == {(*one, "prober_stalled"): 1}
    assert ours(text, "state_transitions_total") == {(*one, "online", "failed", "probe"): 1}
    assert ours(text, "probe_last_run_timestamp_seconds")[one] == 1_700_000_000.25
    binding = '[::1]:465 "odd\\'
    assert ours(text, "tls_not_after_timestamp_seconds") == {
        (*one, binding, "0"): 1.9e9,
        (*one, binding, "1"): 2e9,
    }
    assert ours(text, "tls_verified") == {(*one, binding): 0}
    assert ours(text, "restarts_total")[one] == 1
    assert ours(text, "config_last_reload_success_timestamp_seconds") == {(): 1_700_000_000.0}
    assert list(ours(text, "build_info").values()) == [1]
    assert ours(text, "kernel_events_active") == {(): 0}
    assert ours(text, "kernel_events_inactive") == {("no_event",): 1}
    assert ours(text, "kernel_events_total") == {(): 3}
    assert ours(text, "kernel_event_overruns_total") == {(): 1}


def test_a_report_becomes_one_series_a_state() -> None:
    """The state is told as five series of which one is 1; alive, info and the cause come from the report."""
    down = replace(a_report(), state=State.FAILED, alive=False, root_cause=STORE)
    text = text_of(Metrics(), down)
    one = ("evs1", "smtp")
    assert ours(text, "resource_state") == {(*one, str(state)): float(state is State.FAILED) for state in State}
    assert ours(text, "resource_alive") == {one: 0}
    assert ours(text, "resource_info") == {(*one, "smtp", "none"): 1}
    assert ours(text, "root_cause") == {(*one, "evs1/store"): 1}


def test_workers_are_counted_by_state() -> None:
    """Without workers there is no series of their states; with some, one a state, and their restarts."""
    plain = Metrics()
    assert ours(text_of(plain), "workers") == {}
    assert ours(text_of(plain), "worker_restarts_total") == {(): 0}
    metrics = busy()
    assert sorted(ours(text_of(metrics), "workers").values()) == [0, 1, 3]
    assert ours(text_of(metrics), "worker_restarts_total") == {(): 2}


def test_all_series_vanish_with_their_resource() -> None:
    """After `forget` no line names the resource, whatever was counted for it."""
    metrics = busy()
    metrics.forget(SMTP)
    assert 'resource="smtp"' not in text_of(metrics, a_report(STORE))


def test_lean_leaves_alive_and_the_counters() -> None:
    """With --metrics=lean a resource has `resource_alive` and its counters, and nothing else."""
    metrics = busy()
    metrics.lean = True
    names = {name for name, labels, _ in samples_of(text_of(metrics, a_report())) if ("resource", "smtp") in labels}
    assert names == {
        PREFIX + name
        for name in (
            "resource_alive",
            "state_transitions_total",
            "probe_attempts_total",
            "probe_failures_total",
            "probe_unknown_total",
            "restarts_total",
        )
    }


def test_our_own_health_is_told() -> None:
    """1 from the start; 0 while most rounds cannot tell."""
    metrics = Metrics()
    assert ours(text_of(metrics), "prober_healthy") == {(): 1}
    metrics.prober_health(False)
    assert ours(text_of(metrics), "prober_healthy") == {(): 0}


def test_the_table_is_the_contract() -> None:
    """Names, kinds and labels are those that others rely on; add, never rename."""
    one = ("group", "resource")
    assert {metric.full_name: (metric.kind, metric.labels) for metric in METRICS} == {
        "looksalive_resource_state": ("gauge", (*one, "state")),
        "looksalive_resource_alive": ("gauge", one),
        "looksalive_resource_stale": ("gauge", one),
        "looksalive_resource_info": ("gauge", (*one, "type", "controller")),
        "looksalive_root_cause": ("gauge", (*one, "cause")),
        "looksalive_state_transitions_total": ("counter", (*one, "from", "to", "trigger")),
        "looksalive_probe_attempts_total": ("counter", one),
        "looksalive_probe_failures_total": ("counter", (*one, "stage", "reason")),
        "looksalive_probe_unknown_total": ("counter", (*one, "reason")),
        "looksalive_probe_stage_duration_seconds": ("histogram", ("protocol", "stage")),
        "looksalive_probe_last_run_timestamp_seconds": ("gauge", one),
        "looksalive_probe_lag_seconds": ("histogram", ()),
        "looksalive_detection_seconds": ("histogram", ("trigger",)),
        "looksalive_tls_not_after_timestamp_seconds": ("gauge", (*one, "binding", "position")),
        "looksalive_tls_verified": ("gauge", (*one, "binding")),
        "looksalive_restarts_total": ("counter", one),
        "looksalive_event_loop_lag_seconds": ("histogram", ()),
        "looksalive_prober_healthy": ("gauge", ()),
        "looksalive_workers": ("gauge", ("state",)),
        "looksalive_worker_restarts_total": ("counter", ()),
        "looksalive_kernel_events_active": ("gauge", ()),
        "looksalive_kernel_events_inactive": ("gauge", ("reason",)),
        "looksalive_kernel_events_total": ("counter", ()),
        "looksalive_kernel_event_overruns_total": ("counter", ()),
        "looksalive_draining": ("gauge", ()),
        "looksalive_group_maintenance": ("gauge", ("group",)),
        "looksalive_storage_groups_mounted": ("gauge", ()),
        "looksalive_storage_groups_max": ("gauge", ()),
        "looksalive_operation_progress_timestamp_seconds": ("gauge", one),
        "looksalive_config_last_reload_successful": ("gauge", ()),
        "looksalive_config_last_reload_success_timestamp_seconds": ("gauge", ()),
        "looksalive_directory_drift": ("gauge", one),
        "looksalive_directory_pending": ("gauge", ()),
        "looksalive_directory_failing": ("gauge", ()),
        "looksalive_history_rows_written_total": ("counter", ()),
        "looksalive_history_dropped_total": ("counter", ()),
        "looksalive_history_errors_total": ("counter", ()),
        "looksalive_history_failing": ("gauge", ()),
        "looksalive_webhook_sent_total": ("counter", ()),
        "looksalive_webhook_errors_total": ("counter", ()),
        "looksalive_webhook_dropped_total": ("counter", ()),
        "looksalive_build_info": ("gauge", ("version", "python")),
    }


def test_every_metric_of_the_table_is_told_with_its_help_and_type() -> None:
    """The exposition has exactly the families of the table, each headed once, and the process's own."""
    text = text_of(busy(), replace(a_report(), root_cause=STORE))
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for metric in METRICS:
        family = families.pop(metric.full_name.removesuffix("_total"))
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert text.count(f"# TYPE {metric.full_name} ") == 1
        assert family.samples, metric.name
    assert {name for name in families if not name.startswith("process_")} == set()
    assert "process_cpu_seconds" in families
    assert "process_start_time_seconds" in families


def test_the_same_numbers_as_prometheus_client_writes() -> None:
    """For a small set the oracle's own writer gives the same samples: counters, gauges and whole histograms."""
    registry = CollectorRegistry()
    attempts = Counter(f"{PREFIX}probe_attempts", "x", ["group", "resource"], registry=registry)
    alive = Gauge(f"{PREFIX}resource_alive", "x", ["group", "resource"], registry=registry)
    detection = TheirHistogram(
        f"{PREFIX}detection_seconds", "x", ["trigger"], registry=registry, buckets=DETECTION.buckets
    )
    metrics = Metrics()
    awkward = ResourceId('quo"te\\', "new\nline")
    metrics.declare(awkward)
    for _ in range(3):
        metrics.attempt(awkward)
        attempts.labels(*awkward).inc()
    for value in (0.0, 0.001, 0.0011, 7.5, 60.0, 1e9):
        metrics.detected(Trigger.PROBE, value)
        detection.labels("probe").observe(value)
    alive.labels(*awkward).set(1)
    theirs = {key for key in samples_of(generate_latest(registry).decode()) if not key[0].endswith("_created")}
    mine = {key for key in samples_of(text_of(metrics, a_report(awkward))) if key[0] in {name for name, _, _ in theirs}}
    assert mine == theirs
    assert len(theirs) == len(DETECTION.buckets) + 5


@given(st.text(), st.text())
def test_any_label_value_survives(group: str, binding: str) -> None:
    """What the oracle reads back is what was written, whatever the text (Hypothesis makes no lone surrogates here)."""
    metrics = Metrics()
    id = ResourceId(group, "r")
    metrics.declare(id)
    metrics.certificate(id, binding, (1.0,), True)
    lines = [line for line in text_of(metrics).split("\n") if line.startswith("looksalive_tls_verified{")]
    assert lines == [f'looksalive_tls_verified{{group="{escape(group)}",resource="r",binding="{escape(binding)}"}} 1']
    if not any(one in group + binding for one in "\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"):  # the oracle splits there
        (found,) = samples_of(lines[0] + "\n")
        assert dict(found[1]) == {"group": group, "resource": "r", "binding": binding}


def test_a_lone_surrogate_cannot_break_the_answer() -> None:
    """Text that UTF-8 cannot carry is told with a question mark: a scrape never fails on a name."""
    assert escape("a\udcffb") == "a?b"
    assert label_text(("x",), ("\udcff",)).encode() == b'x="?"'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.0, "1"),
        (0.0005, "0.0005"),
        (-2.5, "-2.5"),
        (2**53, "9007199254740992"),
        (1_700_000_000.25, "1700000000.25"),
        (float("nan"), "NaN"),
        (float("inf"), "+Inf"),
        (float("-inf"), "-Inf"),
    ],
)
def test_numbers_as_the_format_wants_them(value: float, text: str) -> None:
    """Whole numbers without a point, the odd ones by name; nothing loses precision."""
    assert number(value) == text


def test_slices_are_bounded_and_the_reports_are_read_in_steps() -> None:
    """No slice has more than its lines, empty ones come while the reports are read, and together they are the text."""
    metrics = Metrics()
    ids = [ResourceId("g", f"r{index}") for index in range(3000)]
    for id in ids:
        metrics.declare(id)
    pieces = list(chunks(metrics, map(a_report, ids)))
    assert max(piece.count("\n") for piece in pieces) == LINES_PER_SLICE
    assert pieces[: 3000 // REPORTS_PER_SLICE] == [""] * (3000 // REPORTS_PER_SLICE)
    families = len([metric for metric in METRICS if metric.labels[:1] == ("group",)])
    assert len(pieces) >= families * 3000 // LINES_PER_SLICE  # also where there is nothing to tell the loop breathes
    assert "".join(pieces).count("looksalive_resource_state{") == 5 * 3000
    assert all(piece.endswith("\n") for piece in pieces if piece)


def test_resources_may_come_and_go_during_a_scrape() -> None:
    """Declaring, counting and forgetting between two slices breaks neither the scrape nor the format."""
    metrics = Metrics()
    ids = [ResourceId("g", f"r{index}") for index in range(2000)]
    for id in ids:
        metrics.declare(id)

    def reports() -> Iterator[ResourceReport]:
        for id in ids:
            yield a_report(id)

    text = ""
    for index, piece in enumerate(chunks(metrics, reports())):
        text += piece
        metrics.declare(ResourceId("new", f"r{index}"))
        metrics.forget(ids[index])
        metrics.failure(ids[-1 - index], Stage.BANNER, Reason.EOF)
        metrics.stage("smtp", list(Stage)[index % 7], 0.1)
    assert samples_of(text)


def _promtool(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [need("promtool", "prometheus"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    "reports", [(), (a_report(), replace(a_report(STORE), root_cause=SMTP))], ids=["empty", "busy"]
)
def test_promtool_finds_nothing(reports: Iterable[ResourceReport]) -> None:
    """`promtool check metrics` accepts the text without a remark; it does remark on a broken one."""
    text = "".join(chunks(busy() if reports else Metrics(), reports))
    checked = _promtool(text)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    assert _promtool(text.replace("build_info{", "build_info{{")).returncode != 0


def test_an_active_kernel_watch_has_no_reason_against_it() -> None:
    """The series that says why we only poll is there only while we do."""
    metrics = Metrics()
    metrics.kernel_watch(False, "untested")
    metrics.kernel_watch(True, "")
    text = text_of(metrics)
    assert ours(text, "kernel_events_active") == {(): 1}
    assert ours(text, "kernel_events_inactive") == {}
