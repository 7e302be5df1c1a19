"""From SIGKILL of a listener to its failure published by the whole service, by the kernel's word and by polling alone.

The clock starts right before the signal and stops at the time that the published event carries (both are this
machine's); `seen` stops it when the event has come over the stream to a client that waits for it.
"""

from __future__ import annotations

import http.client
import json
import math
import os
import random
import shutil
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.listeners import Listeners
from tests.e2e.programs import SYSTEM_PATH
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.haproxy import HAProxy
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.real import RealServer
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

STREAM_S = 600.0
PERIOD_S = 10.0  # the default
BACK_PERIOD_S = 0.5  # for the real servers, so that their return is soon seen; a death is not found by it
PAUSE_S = (0.02, 0.06)  # between two kills; random, so that they keep no step with anything of ours
MARGIN_S = 3.0
FAILED = "failed"
DETECTION = "looksalive_detection_seconds"


@dataclass(frozen=True)
class KernelPlan:
    """How many deaths of what."""

    kills: int = 300
    kills_polled: int = 30
    rounds: int = 30  # of each real server
    real: bool = True


@dataclass
class Deaths:
    """What was killed when, and when each was published and seen; wall clock seconds."""

    what: str
    kernel_events: str
    killed: list[tuple[str, float]] = field(default_factory=list)
    published: list[tuple[str, float, float, str]] = field(default_factory=list)  # id, published, seen, trigger
    ours_ms: float = math.nan  # mean of what the service itself says it took from the event to the publication

    def latencies(self) -> tuple[list[float], list[float], dict[str, int], int]:
        """Return milliseconds to publication and to sight, the triggers, and how many were missed."""
        left = list(self.published)
        published, seen, triggers, missed = [], [], dict[str, int](), 0
        for id, at in self.killed:
            found = next((one for one in left if one[0] == id and one[1] >= at), None)
            if found is None:
                missed += 1
                continue
            left.remove(found)
            published.append((found[1] - at) * 1000)
            seen.append((found[2] - at) * 1000)
            triggers[found[3]] = triggers.get(found[3], 0) + 1
        return published, seen, triggers, missed


def measure_deaths(plan: KernelPlan) -> Iterator[Deaths]:
    """Kill listeners of our own with and without kernel events, then real servers; each result as it comes."""
    yield _own(plan.kills, "auto")
    if plan.kills_polled:
        yield _own(plan.kills_polled, "off")
    if plan.real:
        for make, protocol in REAL.values():
            yield from _real(make, protocol, plan.rounds)


def _own(kills: int, kernel_events: str) -> Deaths:
    deaths = Deaths(f"{kills} listeners of our own", kernel_events)
    with _folder() as folder, Listeners(kills) as listeners:
        write_metabase(folder / "store", listeners.keys, poll_interval_s=PERIOD_S, probe_timeout_s=5.0)
        service = Service(folder / "store", "--kernel-events", kernel_events, "--log-level", "warning")
        with service, _listening(service, deaths):
            service.wait_all_alive(PERIOD_S + MARGIN_S)
            order = random.sample(range(kills), kills)
            for number in order:
                deaths.killed.append((f"default/smtp-{number}", listeners.kill(number)))
                _pause(random.uniform(*PAUSE_S))
            wait_until(partial(_has, deaths, kills), "the last failure", PERIOD_S + 5.0 + MARGIN_S)
    return deaths


def _postfix(folder: Path) -> tuple[RealServer, int]:
    server = Postfix(folder / "server", Authority(folder).good)
    return server, server.smtp_port


def _dovecot(folder: Path) -> tuple[RealServer, int]:
    server = Dovecot(folder / "server", Authority(folder).good)
    return server, server.imap_port


def _haproxy(folder: Path) -> tuple[RealServer, int]:
    server = HAProxy(folder / "server")
    return server, server.http_port


REAL: dict[str, tuple[Callable[[Path], tuple[RealServer, int]], str]] = {
    "postfix": (_postfix, "smtp"),
    "dovecot": (_dovecot, "imap"),
    "haproxy": (_haproxy, "http"),
}


def _real(make: Callable[[Path], tuple[RealServer, int]], protocol: str, rounds: int) -> Iterator[Deaths]:
    name = next(name for name, (maker, _) in REAL.items() if maker is make)
    if shutil.which(name, path=SYSTEM_PATH + ":/usr/bin") is None:
        return
    deaths = Deaths(f"{name}, all processes", "auto")
    id = f"default/{protocol}-1"
    with _folder() as folder:
        server, port = make(folder)
        keys = {f"/{protocol}/1": virtual_server(port)}
        write_metabase(folder / "store", keys, poll_interval_s=BACK_PERIOD_S, probe_timeout_s=5.0)
        with Service(folder / "store", "--log-level", "warning") as service, _listening(service, deaths):
            for number in range(rounds):
                with server:
                    service.wait_for(id, state="online", alive=True)
                    _pause(random.uniform(0, BACK_PERIOD_S))
                    deaths.killed.append((id, time.time()))
                    os.killpg(server.pid, signal.SIGKILL)  # one call of the kernel: nobody forks out of it
                    wait_until(partial(_has, deaths, number + 1), "the failure", MARGIN_S)
                    server.kill()
    yield deaths


def _has(deaths: Deaths, count: int) -> bool:
    return len(deaths.published) >= count


@contextmanager
def _listening(service: Service, deaths: Deaths) -> Iterator[None]:
    """Follow the service's stream in a thread and note every failure as it comes."""
    connection = http.client.HTTPConnection(urlsplit(service.url).netloc, timeout=STREAM_S)
    connection.request("GET", "/api/v1/stream")
    answer = connection.getresponse()

    def follow() -> None:
        while line := answer.readline():
            if line.startswith(b"data:"):
                seen, event = time.time(), json.loads(line[5:])
                if event.get("to") == FAILED:
                    deaths.published.append((event["id"], event["time"], seen, event["trigger"]))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    yield
    samples = {name: value for (name, labels), value in service.metrics().items() if ("trigger", "kernel") in labels}
    if count := samples.get(f"{DETECTION}_count"):
        deaths.ours_ms = samples[f"{DETECTION}_sum"] / count * 1000
    service.stop()  # which ends the stream
    thread.join(MARGIN_S)
    connection.close()


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="labench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # servers drop to users of their own
        yield folder


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def quantile_of(values: list[float], share: float) -> float:
    """Return the value that so large a share of them does not exceed; NaN of none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


HEADING = (
    "killed                         kernel events missed     median        p99        max   seen p99  ours mean  by"
)


def line_of(deaths: Deaths) -> str:
    """Write one result for people, in milliseconds."""
    published, seen, triggers, missed = deaths.latencies()
    median = statistics.median(published) if published else math.nan
    worst = max(published, default=math.nan)
    figures = (median, quantile_of(published, 0.99), worst, quantile_of(seen, 0.99), deaths.ours_ms)
    shown = " ".join(f"{figure:>7.2f} ms" for figure in figures)
    by = ", ".join(f"{count} {trigger}" for trigger, count in sorted(triggers.items()))
    count = f"{deaths.what}" if deaths.what[0].isdigit() else f"{deaths.what}, {len(deaths.killed)}x"
    return f"{count:<30} {deaths.kernel_events:<13} {missed:>6} {shown}  {by}"
