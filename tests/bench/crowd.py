"""A crowd of streams and slow headers beside probes: what the probes and a kubelet feel of it, and what it costs."""

from __future__ import annotations

import http.client
import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any, Self
from urllib.parse import urlsplit

from tests.bench.ground import on_core
from tests.e2e.ports import free_port
from tests.e2e.service import Service
from tests.e2e.stores import write_metabase
from tests.house import ROOT

LIVEZ_EVERY_S = 0.02
LIVEZ_S = 10.0  # a kubelet's probe has one second by default; what takes longer is counted, not cut
FLAP_S = 1.0
LATE_S = 0.02


@dataclass(frozen=True)
class CrowdPlan:
    """How large and how long."""

    targets: int = 1000
    period_s: float = 1.0
    streams: int = 10_000
    slow: int = 5_000
    requests: int = 0  # a second, for /isalive
    seconds: float = 20.0


@dataclass(frozen=True)
class Window:
    """What was seen in one window of time."""

    probes: float
    probe_lag_p99_s: float
    probes_late: float  # the share that began more than LATE_S after they were due
    loop_lag_p99_s: float
    failures: int
    cpu: float  # of one core
    rss_mb: float
    livez: int
    livez_failed: int
    livez_p99_s: float
    livez_worst_s: float
    crowd: dict[str, int]


class Kubelet:
    """Asks /livez again and again, on a new connection each time, and keeps how long each took; None: no answer."""

    def __init__(self, url: str) -> None:
        self._netloc = urlsplit(url).netloc
        self.took_s: list[float | None] = []
        self._end = Event()
        self._thread = Thread(target=self._run)

    def _run(self) -> None:
        while not self._end.wait(LIVEZ_EVERY_S):
            begun = time.monotonic()
            connection = http.client.HTTPConnection(self._netloc, timeout=LIVEZ_S)
            try:
                connection.request("GET", "/livez", headers={"Connection": "close"})
                alive = connection.getresponse().status == 200
            except (OSError, http.client.HTTPException):
                alive = False
            finally:
                connection.close()
            self.took_s.append(time.monotonic() - begun if alive else None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()


class Crowd:
    """The program of `clients.py`, once all its streams are open."""

    def __init__(self, port: int, plan: CrowdPlan) -> None:
        words = [sys.executable, "-m", "tests.bench.clients", *map(str, (port, plan.streams, plan.slow, plan.requests))]
        self._process = _program(words)

    def seen(self) -> dict[str, int]:
        """Ask it what it has seen."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write("?\n")
        stdin.flush()
        told: dict[str, int] = json.loads(stdout.readline())
        return told

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def measure(plan: CrowdPlan) -> tuple[Window, Window]:
    """Watch the targets alone, then with the crowd; the service has a core of its own, all others share the other.

    Raises TooLateError when the service does not come up.
    """
    cores = sorted(os.sched_getaffinity(0))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # what we start inherits it
    with ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        stack.enter_context(on_core(cores[-1]))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port, flapping = free_port(), free_port()
        stack.enter_context(_greeter(port))
        keys: dict[str, dict[str, Any]]
        keys = {f"/smtp/{n}": {"bindings": [f"127.{51 + (n >> 8)}.0.{n & 255}:{port}"]} for n in range(plan.targets)}
        keys["/tcp/flapping"] = {"bindings": [f"127.0.0.1:{flapping}"], "fast_interval_s": 0.1, "poll_interval_s": 0.2}
        write_metabase(folder / "store", keys, poll_interval_s=plan.period_s, probe_timeout_s=5)
        clients_max = str((plan.streams + plan.slow) * 8 // 5 if plan.streams > 2500 else 4000)
        with on_core(cores[0]):
            service = stack.enter_context(Service(folder / "store", "--max-clients", clients_max, "--history", "off"))
        stack.enter_context(_flapping(flapping))
        service.wait(lambda all: sum(each["alive"] for each in all.values()) >= plan.targets, "alive", 60)
        alone = _window(service, plan, None)
        with Crowd(urlsplit(service.url).port or 0, plan) as crowd:
            crowd.seen()  # answered once every stream was tried
            crowded = _window(service, plan, crowd)
        return alone, crowded


def _window(service: Service, plan: CrowdPlan, crowd: Crowd | None) -> Window:
    before, cpu_before = _numbers(service), _cpu_s(service.pid)
    with Kubelet(service.url) as kubelet:
        time.sleep(plan.seconds)
    after, cpu_after = _numbers(service), _cpu_s(service.pid)
    answered = sorted(took for took in kubelet.took_s if took is not None)
    return Window(
        probes=(after["attempts"] - before["attempts"]) / plan.seconds,
        probe_lag_p99_s=_p99(before, after, "probe_lag"),
        probes_late=1 - _within(before, after, "probe_lag", LATE_S),
        loop_lag_p99_s=_p99(before, after, "event_loop_lag"),
        failures=int(after["failures"] - before["failures"]),
        cpu=(cpu_after - cpu_before) / plan.seconds,
        rss_mb=_rss_mb(service.pid),
        livez=len(kubelet.took_s),
        livez_failed=kubelet.took_s.count(None),
        livez_p99_s=answered[int(len(answered) * 0.99)] if answered else float("inf"),
        livez_worst_s=answered[-1] if answered else float("inf"),
        crowd=crowd.seen() if crowd is not None else {},
    )


def _numbers(service: Service) -> dict[str, float]:
    """Sum the scrape: attempts, failures of the steady targets, and the buckets of the two lags."""
    found: dict[str, float] = {"attempts": 0.0, "failures": 0.0}
    for line in service.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name.startswith("looksalive_probe_attempts_total"):
            found["attempts"] += float(value)
        elif name.startswith("looksalive_probe_failures_total") and "flapping" not in name:
            found["failures"] += float(value)
        elif match := re.fullmatch(r'looksalive_(probe_lag|event_loop_lag)_seconds_bucket\{le="(.*)"\}', name):
            found[f"{match[1]} {match[2]}"] = float(value)
    return found


def _counts(before: dict[str, float], after: dict[str, float], name: str) -> dict[float, float]:
    return {
        float(key.rpartition(" ")[2]): after[key] - before.get(key, 0.0) for key in after if key.startswith(f"{name} ")
    }


def _within(before: dict[str, float], after: dict[str, float], name: str, bound: float) -> float:
    """Return which share of a window was within the bound of a bucket."""
    counts = _counts(before, after, name)
    return counts[bound] / max(1.0, counts[float("inf")])


def _p99(before: dict[str, float], after: dict[str, float], name: str) -> float:
    """Return the upper bound of the bucket that holds the 99th percentile of a window."""
    counts = _counts(before, after, name)
    total = counts.get(float("inf"), 0.0)
    return next((bound for bound, count in sorted(counts.items()) if count >= 0.99 * total), float("inf"))


def _cpu_s(pid: int) -> float:
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def _rss_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def _program(words: list[str]) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


@contextmanager
def _greeter(port: int) -> Iterator[None]:
    process = _program([sys.executable, "-m", "tests.bench.clients", "greet", str(port)])
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield
    finally:
        process.communicate()


@contextmanager
def _flapping(port: int) -> Iterator[None]:
    """Open and close a listener again and again, so that there is something to tell the streams."""
    end = Event()

    def flap() -> None:
        while not end.is_set():
            with socket.create_server(("127.0.0.1", port), reuse_port=False):
                end.wait(FLAP_S)
            end.wait(FLAP_S)

    thread = Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def table(plan: CrowdPlan, windows: tuple[Window, Window]) -> str:
    """Write both windows as a Markdown table."""
    crowd = f"{plan.streams:,} streams, {plan.slow:,} slow headers, {plan.requests:,} requests/s"
    lines = [f"| {plan.targets} targets every {plan.period_s:g} s | alone | beside {crowd} |", "|---|---:|---:|"]
    shown: dict[str, Callable[[Window], str]] = {
        "probes a second": lambda one: f"{one.probes:.0f}",
        "failures": lambda one: f"{one.failures}",
        "probe lag p99, at most": lambda one: f"{one.probe_lag_p99_s * 1e3:g} ms",
        f"probes later than {LATE_S * 1e3:g} ms": lambda one: f"{one.probes_late:.2%}",
        "event loop lag p99, at most": lambda one: f"{one.loop_lag_p99_s * 1e3:g} ms",
        "CPU of a core": lambda one: f"{one.cpu:.0%}",
        "resident": lambda one: f"{one.rss_mb:.0f} MB",
        "/livez answered": lambda one: f"{one.livez - one.livez_failed} of {one.livez}",
        "/livez p99": lambda one: f"{one.livez_p99_s * 1e3:.0f} ms",
        "/livez worst": lambda one: f"{one.livez_worst_s * 1e3:.0f} ms",
        "the crowd saw": lambda one: ", ".join(f"{name} {count}" for name, count in sorted(one.crowd.items())) or "-",
    }
    return "\n".join(
        [*lines, *(f"| {name} | {tell(windows[0])} | {tell(windows[1])} |" for name, tell in shown.items())]
    )
