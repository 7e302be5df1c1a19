"""A service with many resources: its store, its start, and what it says of itself, at little cost to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.bench.ground import CheapServer, Ground, GroundError, Window, build, let_pass, on_core, target, watch
from tests.e2e.ports import free_port
from tests.e2e.processes import descendants
from tests.e2e.service import Service
from tests.e2e.stores import Keys, write_metabase, write_whole
from tests.e2e.waiting import wait_until

REQUEST_S = 120.0
READY_WITHIN_S = 180.0
PROBE_LAG, LOOP_LAG = "looksalive_probe_lag_seconds", "looksalive_event_loop_lag_seconds"
PENDING = ("online-pending", "offline", "offline-pending", "failed")
BUCKET = re.compile(rb'(\w+)_bucket\{le="([^"]+)"\} (\S+)')
TIMEOUT_S = 5.0

Buckets = dict[float, float]

# A first round asks everybody at once, and all targets of a port share its one queue of 4,096: real ones do not.
QUEUES = 32


@dataclass(frozen=True)
class Load:
    """So many resources, each asked once a period, in so many groups (0: all in `default`)."""

    resources: int
    period_s: float
    groups: int = 0
    polite: bool = False

    def keys(self, ports: Sequence[int]) -> Keys:
        """Return the keys of the metabase, the bindings spread over the ports."""
        numbers = range(self.resources)
        return {f"/smtp/{n}": {"bindings": [f"{target(n)}:{ports[n % len(ports)]}"]} for n in numbers}

    def write(self, store: Path, ports: Sequence[int]) -> None:
        """Write the store."""
        self.write_metabase(store, self.keys(ports), 1)
        if self.groups:
            groups: dict[str, dict[str, Any]] = {f"g{number}": {"resources": {}} for number in range(self.groups)}
            for number in range(self.resources):
                resource = {"type": "smtp", "parameters": {"virtual_server": f"/smtp/{number}"}}
                groups[f"g{number % self.groups}"]["resources"][f"smtp-{number}"] = resource
            document = {"schema_version": 1, "revision": 1, "groups": groups}
            write_whole(store / "cluster.json", json.dumps(document))

    def write_metabase(self, store: Path, keys: Keys, revision: int) -> Path:
        """Write the metabase of these keys."""
        return write_metabase(
            store,
            keys,
            revision=revision,
            poll_interval_s=self.period_s,
            fast_interval_s=min(1.0, self.period_s),
            probe_timeout_s=TIMEOUT_S,
            polite=self.polite,
        )

    def id_of(self, number: int) -> str:
        """Name the n-th resource."""
        return f"{f'g{number % self.groups}' if self.groups else 'default'}/smtp-{number}"


class LargeService(Service):
    """A service that may take its time to begin, and is asked for no more than is needed."""

    ready_within_s = READY_WITHIN_S
    started_at = 0.0

    ends_s = math.nan  # what its end took, on SIGTERM

    def start(self) -> None:
        """Start it, and remember when."""
        self.started_at = time.monotonic()
        super().start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it with patience: how long that takes is a figure here."""
        begun = time.monotonic()
        self.signal(SIGTERM)
        try:
            self.ended(READY_WITHIN_S)
            self.ends_s = time.monotonic() - begun
        finally:
            super().__exit__(kind, error, trace)

    @property
    def port(self) -> int:
        """The port of its API."""
        return urlsplit(self.url).port or 0

    def wait_ready(self) -> float:
        """Return the seconds from the start until /readyz is 200. Raises TooLateError."""
        wait_until(lambda: self.get("/readyz").status == 200, "/readyz to be 200", READY_WITHIN_S)
        return time.monotonic() - self.started_at

    def wait_all_online(self) -> None:
        """Return when nobody is in another state than online. Raises TooLateError."""
        for state in PENDING:
            wait_until(lambda state=state: not self._has(state), f"nobody to be {state}", READY_WITHIN_S)  # type: ignore[misc]  # a default binds the loop's variable

    def must_be_online(self) -> None:
        """Raise GroundError unless everybody is."""
        if found := [state for state in PENDING if self._has(state)]:
            raise GroundError(f"somebody is {' or '.join(found)}: the figures would mean nothing")

    def _has(self, state: str) -> bool:
        with self.asked(f"/api/v1/status?limit=1&state={state}") as answer:
            return bool(json.load(answer)["resources"])

    @contextlib.contextmanager
    def asked(self, path: str, encoding: str = "identity") -> Iterator[http.client.HTTPResponse]:
        """GET a path and have the answer to read."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=REQUEST_S)
        try:
            connection.request("GET", path, headers={"Accept-Encoding": encoding})
            yield connection.getresponse()
        finally:
            connection.close()

    def buckets(self) -> dict[str, Buckets]:
        """Return the histograms without labels, cumulative, by name; the page is not kept."""
        found: dict[str, Buckets] = {}
        with self.asked("/metrics") as page:
            for line in page:
                if match := BUCKET.match(line):
                    found.setdefault(match[1].decode(), {})[float(match[2])] = float(match[3])
        return found

    def resident_bytes(self) -> int:
        """Return the memory of all its processes."""
        return sum(_status_number(pid, "VmRSS") * 1024 for pid in (self.pid, *descendants(self.pid)))

    def descriptors(self) -> int:
        """Count the open descriptors of all its processes."""
        return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in (self.pid, *descendants(self.pid)))


@contextlib.contextmanager
def many_targets(sources: Path) -> Iterator[tuple[Ground, CheapServer, Path]]:
    """Have the programs, a server of many queues on the first core, and a folder. Raises GroundError."""
    core = min(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(prefix="labench-") as name:
        folder = Path(name)
        ground = build(sources, folder)
        more_ports = [free_port() for _ in range(QUEUES - 1)]
        with CheapServer(ground, folder, free_port(), core, more_ports=more_ports) as server:
            yield ground, server, folder


@contextlib.contextmanager
def serving(folder: Path, core: int, *options: str, log_level: str = "warning") -> Iterator[LargeService]:
    """Have a service on the store in the folder, on one core."""
    service = LargeService(folder / "store", "--log-level", log_level, *options)
    with contextlib.ExitStack() as running:
        with on_core(core):
            running.enter_context(service)
        yield service


def watch_lags(
    server: CheapServer, service: LargeService, seconds: float, pass_time: Callable[[float], None] = let_pass
) -> tuple[Window, Buckets, Buckets]:
    """Watch a service for so long: the window, and the lag of its probes and of its loop with a scrape at each end."""
    before = service.buckets()
    window = watch(server, [service.pid], seconds, pass_time)
    after = service.buckets()
    probe_lag, loop_lag = (difference(after[name], before[name]) for name in (PROBE_LAG, LOOP_LAG))
    return window, probe_lag, loop_lag


def difference(after: Buckets, before: Buckets) -> Buckets:
    """Return what was counted between two looks at a histogram."""
    return {bound: count - before.get(bound, 0) for bound, count in after.items()}


def quantile(buckets: Buckets, share: float) -> float:
    """Return the quantile of a cumulative histogram, even within its bucket (as histogram_quantile does); NaN of none.

    What is beyond the last finite bound is told as that bound.
    """
    bounds = sorted(buckets)
    total = buckets[bounds[-1]] if bounds else 0
    below, lower = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound] - below
        if total and count and buckets[bound] >= share * total:
            return lower if math.isinf(bound) else lower + (bound - lower) * (share * total - below) / count
        below, lower = buckets[bound], bound
    return math.nan


def _status_number(pid: int, name: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition(f"\n{name}:")[2].split()[0])
