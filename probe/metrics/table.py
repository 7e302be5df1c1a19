"""Every metric of ours, once: the source of the exposition, of its HELP lines and of the documentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PREFIX = "looksalive_"

Kind = Literal["counter", "gauge", "histogram"]

_ONE = ("group", "resource")  # the labels of whatever is told of one resource


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family: its name without the prefix, what kind it is, its labels in order, and what it means."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    lean: bool = True  # told with `--metrics=lean` too
    buckets: tuple[float, ...] = ()  # upper bounds in seconds, rising, without the infinite one

    @property
    def full_name(self) -> str:
        """The name as scraped."""
        return PREFIX + self.name


_STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_DETECTION_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 15.0, 30.0, 60.0)

RESOURCE_STATE = Metric(
    "resource_state", "gauge", (*_ONE, "state"), "1 for the state the resource is in, 0 for the others.", lean=False
)
RESOURCE_ALIVE = Metric("resource_alive", "gauge", _ONE, "1 when the resource is online and alive after rise and fall.")
RESOURCE_STALE = Metric(
    "resource_stale", "gauge", _ONE, "1 while the resource's last answer is too old to be believed.", lean=False
)
RESOURCE_INFO = Metric(
    "resource_info", "gauge", (*_ONE, "type", "controller"), "The resource's type and controller; always 1.", lean=False
)
ROOT_CAUSE = Metric(
    "root_cause",
    "gauge",
    (*_ONE, "cause"),
    "1 while the resource is down because of the one named as cause.",
    lean=False,
)
TRANSITIONS = Metric(
    "state_transitions_total", "counter", (*_ONE, "from", "to", "trigger"), "Changes of state, by what triggered them."
)
ATTEMPTS = Metric("probe_attempts_total", "counter", _ONE, "Probes that were made.")
FAILURES = Metric(
    "probe_failures_total", "counter", (*_ONE, "stage", "reason"), "Probes that failed, by the stage they failed at."
)
UNKNOWNS = Metric(
    "probe_unknown_total", "counter", (*_ONE, "reason"), "Probes that could not tell, through a fault of our own side."
)
STAGE_SECONDS = Metric(
    "probe_stage_duration_seconds",
    "histogram",
    ("protocol", "stage"),
    "Time spent in one stage of a probe.",
    buckets=_STAGE_BUCKETS_S,
)
LAST_RUN = Metric(
    "probe_last_run_timestamp_seconds",
    "gauge",
    _ONE,
    "When the resource was last probed; 0 before the first.",
    lean=False,
)
PROBE_LAG = Metric(
    "probe_lag_seconds", "histogram", (), "How late a probe started after it was due.", buckets=_LAG_BUCKETS_S
)
DETECTION = Metric(
    "detection_seconds",
    "histogram",
    ("trigger",),
    "Time to a published failure: since the kernel's or process's event; by probe, since the last good answer at most.",
    buckets=_DETECTION_BUCKETS_S,
)
NOT_AFTER = Metric(
    "tls_not_after_timestamp_seconds",
    "gauge",
    (*_ONE, "binding", "position"),
    "When a certificate of the peer's chain ends, verified or not; position 0 is the server's own.",
    lean=False,
)
TLS_VERIFIED = Metric(
    "tls_verified", "gauge", (*_ONE, "binding"), "1 when the peer's certificate passed verification.", lean=False
)
RESTARTS = Metric("restarts_total", "counter", _ONE, "Restarts that were attempted to bring the resource back.")
LOOP_LAG = Metric(
    "event_loop_lag_seconds", "histogram", (), "How late the event loop ran its own ticker.", buckets=_LAG_BUCKETS_S
)
PROBER_HEALTHY = Metric(
    "prober_healthy", "gauge", (), "0 while most rounds cannot tell how the services are, through a fault of our own."
)
WORKERS = Metric(
    "workers",
    "gauge",
    ("state",),
    "Prober processes of --workers by state: starting, running, or gone until it is started again.",
)
WORKER_RESTARTS = Metric(
    "worker_restarts_total", "counter", (), "Prober processes that had gone and were, or are to be, started again."
)
KERNEL_ACTIVE = Metric("kernel_events_active", "gauge", (), "1 while the kernel tells us when a listener dies.")
KERNEL_INACTIVE = Metric(
    "kernel_events_inactive",
    "gauge",
    ("reason",),
    "1 with the reason while failures are found by polling alone: off, untested, permission, kernel or no_event.",
)
KERNEL_EVENTS = Metric("kernel_events_total", "counter", (), "Deaths of listening sockets that the kernel told us.")
KERNEL_OVERRUNS = Metric(
    "kernel_event_overruns_total", "counter", (), "Times that the kernel's events were lost and everything re-checked."
)
DRAINING = Metric("draining", "gauge", (), "1 while the stops to come are planned: what fails then is nobody's fault.")
MAINTENANCE = Metric("group_maintenance", "gauge", ("group",), "1 while the group is in maintenance: nothing is done.")
STORAGE_GROUPS = Metric("storage_groups_mounted", "gauge", (), "Storage groups that are, or may be, mounted here.")
STORAGE_GROUPS_MAX = Metric("storage_groups_max", "gauge", (), "Storage groups that this node may mount.")
OPERATION_PROGRESS = Metric(
    "operation_progress_timestamp_seconds",
    "gauge",
    _ONE,
    "When the operation under way last made progress; there only while one tells it.",
)
RELOAD_OK = Metric("config_last_reload_successful", "gauge", (), "1 when the last load of the store was accepted.")
RELOAD_TIME = Metric(
    "config_last_reload_success_timestamp_seconds", "gauge", (), "When the store was last loaded successfully."
)
HISTORY_WRITTEN = Metric("history_rows_written_total", "counter", (), "Rows that were written to the history.")
HISTORY_DROPPED = Metric(
    "history_dropped_total", "counter", (), "Decisions and edges that the history lacks, since the disk was too slow."
)
HISTORY_ERRORS = Metric("history_errors_total", "counter", (), "Attempts to write the history that failed.")
HISTORY_FAILING = Metric("history_failing", "gauge", (), "1 while the history cannot be written.")
DIRECTORY_DRIFT = Metric(
    "directory_drift", "gauge", _ONE, "Differences between a resource and its object in the directory, where any are."
)
DIRECTORY_PENDING = Metric("directory_pending", "gauge", (), "1 while the directory has not been told everything yet.")
DIRECTORY_FAILING = Metric("directory_failing", "gauge", (), "1 while the directory cannot be asked.")
WEBHOOK_SENT = Metric("webhook_sent_total", "counter", (), "Messages that the webhook's receiver has taken.")
WEBHOOK_ERRORS = Metric("webhook_errors_total", "counter", (), "Attempts to tell the webhook's receiver that failed.")
WEBHOOK_DROPPED = Metric(
    "webhook_dropped_total", "counter", (), "Alerts put off since too many waited for the webhook's receiver."
)
BUILD_INFO = Metric("build_info", "gauge", ("version", "python"), "The running version; always 1.")

METRICS: tuple[Metric, ...] = (
    RESOURCE_STATE,
    RESOURCE_ALIVE,
    RESOURCE_STALE,
    RESOURCE_INFO,
    ROOT_CAUSE,
    TRANSITIONS,
    ATTEMPTS,
    FAILURES,
    UNKNOWNS,
    STAGE_SECONDS,
    LAST_RUN,
    PROBE_LAG,
    DETECTION,
    NOT_AFTER,
    TLS_VERIFIED,
    RESTARTS,
    LOOP_LAG,
    PROBER_HEALTHY,
    WORKERS,
    WORKER_RESTARTS,
    KERNEL_ACTIVE,
    KERNEL_INACTIVE,
    KERNEL_EVENTS,
    KERNEL_OVERRUNS,
    DRAINING,
    MAINTENANCE,
    STORAGE_GROUPS,
    STORAGE_GROUPS_MAX,
    OPERATION_PROGRESS,
    RELOAD_OK,
    RELOAD_TIME,
    HISTORY_WRITTEN,
    HISTORY_DROPPED,
    HISTORY_ERRORS,
    HISTORY_FAILING,
    DIRECTORY_DRIFT,
    DIRECTORY_PENDING,
    DIRECTORY_FAILING,
    WEBHOOK_SENT,
    WEBHOOK_ERRORS,
    WEBHOOK_DROPPED,
    BUILD_INFO,
)
