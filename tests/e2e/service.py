"""`looksalive run` as a subprocess, seen only through what its outside contract promises."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.command import COMMAND, surroundings
from tests.e2e.processes import signal_all
from tests.e2e.waiting import TooLateError, wait_until

READY_WITHIN_S = 15.0
STOPS_WITHIN_S = 5.0  # DESIGN §4: TERM, then KILL, within 5 s in all
STOP_MARGIN_S = 1.0  # for our own looking, on a machine of two cores
LONG_POLL_S = 1.0
REQUEST_S = 10.0
SHOWN_CHARS = 6000

READY_LINE = re.compile(r"^looksalive ready (https?://\S+/)$", re.MULTILINE)

Found = TypeVar("Found")
Resource = dict[str, Any]


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, read whole."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)


class Service:
    """One `run` (or `demo`) on a store; `with` starts it and stops it, whatever happened in between."""

    ready_within_s = READY_WITHIN_S

    def __init__(
        self,
        store: Path,
        *options: str,
        command: str = "run",
        program: tuple[str, ...] = COMMAND,
        **variables: str,
    ) -> None:
        self.store = store
        self.state_dir = store.parent / "state"
        self.state_dir.mkdir(exist_ok=True)
        run = (command, "--store", str(store), "--state-dir", str(self.state_dir), "--listen", "127.0.0.1:0")
        self._arguments = (*program, *run, *options)
        self._variables = variables
        self._output = store.parent / "looksalive.out"
        self._log = store.parent / "looksalive.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> None:
        """Start it and return at its ready line. Raises TooLateError with the log."""
        self._output.write_bytes(b"")
        with self._output.open("ab") as output, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env=surroundings(**self._variables),
                cwd="/",
                start_new_session=True,
            )
        try:
            self.url = self._within(self.ready_within_s, self._ready_url, "the ready line")
        except TooLateError:
            self._process.kill()
            self._process.wait()
            raise

    @property
    def pid(self) -> int:
        """The pid of the run."""
        if self._process is None:
            raise RuntimeError("the service is not running")
        return self._process.pid

    def signal(self, number: int) -> None:
        """Signal the run itself, not its children."""
        signal_all([self.pid], number)

    def stop(self) -> int:
        """Send SIGTERM and return the exit status; fails when that takes longer than promised."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def ended(self, within_s: float = STOPS_WITHIN_S + STOP_MARGIN_S) -> int:
        """Return the exit status. Raises TooLateError when it does not end in time."""
        process = self._process
        if process is None:
            raise RuntimeError("the service is not running")
        try:
            status = process.wait(within_s)
        except subprocess.TimeoutExpired:
            raise TooLateError(f"the service did not end within {within_s} s\n{self.log}") from None
        self._process = None
        return status

    def kill(self) -> None:
        """SIGKILL the run alone: its services live on."""
        self.signal(signal.SIGKILL)
        self.ended()

    def get(self, path: str, **headers: str) -> Answer:
        """GET a path."""
        return self.ask("GET", path, None, headers)

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """POST JSON to a path."""
        return self.ask("POST", path, {} if body is None else body, {"Content-Type": "application/json", **headers})

    def ask(self, method: str, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        """Send one request on a connection of its own and read the whole answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=REQUEST_S)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, None if body is None else json.dumps(body), sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def resource(self, id: str) -> Resource:
        """Return one resource of the status."""
        return self.resources()[id]

    def resources(self) -> dict[str, Resource]:
        """Return every resource by id."""
        return {each["id"]: each for each in self.get("/api/v1/status").json["resources"]}

    def events(self) -> list[dict[str, Any]]:
        """Return the events so far, oldest first."""
        answer = self.get("/api/v1/events?after=0").json
        return cast("list[dict[str, Any]]", answer["events"] if isinstance(answer, dict) else answer)

    def failures(self, id: str) -> list[tuple[str, str]]:
        """List each failure of a resource, oldest first: the state it came from, and why."""
        return [(each["from"], each["reason"]) for each in self.events() if each["id"] == id and each["to"] == "failed"]

    def wait(
        self, holds: Callable[[dict[str, Resource]], bool], what: str, timeout_s: float = 10.0
    ) -> dict[str, Resource]:
        """Return the resources as soon as `holds`, following the revision by long poll. Raises TooLateError."""
        deadline = time.monotonic() + timeout_s
        path = "/api/v1/status"
        while True:
            status = self.get(path).json
            resources = {each["id"]: each for each in status["resources"]}
            if holds(resources):
                return resources
            if time.monotonic() > deadline:
                shown = json.dumps(list(resources.values()), indent=1)[:SHOWN_CHARS]
                raise TooLateError(f"not within {timeout_s} s: {what}\n{shown}\n{self.log}")
            self._follow(status["revision"])

    def wait_for(self, id: str, timeout_s: float = 10.0, **fields: object) -> Resource:
        """Return the resource as soon as its fields have these values."""
        found = self.wait(
            lambda resources: id in resources and all(resources[id][name] == fields[name] for name in fields),
            f"{id} with {fields}",
            timeout_s,
        )
        return found[id]

    def wait_all_alive(self, timeout_s: float = 10.0) -> dict[str, Resource]:
        """Return the resources as soon as every one is alive."""
        return self.wait(lambda resources: all(each["alive"] for each in resources.values()), "all alive", timeout_s)

    def wait_for_another_process(self, id: str, pid: int, timeout_s: float = 20.0) -> Resource:
        """Return the resource as soon as it is alive again as a process that is not `pid`."""
        found = self.wait(
            lambda resources: resources[id]["alive"] and resources[id]["pid"] not in (pid, None),
            f"{id} alive as another process than {pid}",
            timeout_s,
        )
        return found[id]

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Return every sample of the metrics page by name and labels."""
        page = self.get("/metrics").text
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(page)
            for sample in family.samples
        }

    def metric(self, name: str, **labels: str) -> float:
        """Return the one sample of the metrics page that has these labels, among others. Raises KeyError."""
        wanted = labels.items()
        found = [
            value
            for (sample, having), value in self.metrics().items()
            if sample == f"looksalive_{name}" and wanted <= having
        ]
        if len(found) != 1:
            raise KeyError(f"{len(found)} samples of {name} with {labels}")
        return found[0]

    @property
    def log(self) -> str:
        """The end of what it wrote to stderr."""
        return self._log.read_text(errors="replace")[-SHOWN_CHARS:]

    def wait_for_log(self, pattern: str, timeout_s: float = 5.0) -> str:
        """Return the first line of the log that matches."""
        sought = re.compile(f"^.*(?:{pattern}).*$", re.MULTILINE)
        found = self._within(timeout_s, lambda: sought.search(self.log), f"a log line matching {pattern!r}")
        return found.group()

    def _follow(self, revision: int) -> None:
        """Wait for the next edge, at most about LONG_POLL_S: what is no edge (an age) must be seen too."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=LONG_POLL_S)
        try:
            connection.request("GET", f"/api/v1/status?wait={revision}&limit=1")
            connection.getresponse().read()
        except TimeoutError:
            pass
        finally:
            connection.close()

    def _ready_url(self) -> str | None:
        if self._process is not None and (status := self._process.poll()) is not None:
            raise TooLateError(f"the service ended with {status} before it was ready\n{self.log}")
        found = READY_LINE.search(self._output.read_text())
        return found.group(1) if found else None

    def _within(self, timeout_s: float, look: Callable[[], Found | None], what: str) -> Found:
        try:
            return wait_until(look, what, timeout_s)
        except TooLateError as late:
            raise TooLateError(f"{late}\n{self.log}") from None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is None:
            return
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(STOPS_WITHIN_S + STOP_MARGIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            if error is None:
                raise
        self._process = None
