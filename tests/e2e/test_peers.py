"""What README's comparison says of other programs, seen of those that run here: each with a store and what needs it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.request import urlopen

import kubernetes_validate
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.e2e.ports import free_port
from tests.e2e.processes import stat_of
from tests.e2e.programs import need
from tests.e2e.servers.real import RealServer, accepts
from tests.e2e.servers.supervisord import Supervisord
from tests.e2e.waiting import wait_until

WITHIN_S = 30.0
STORE, FRONT = "store", "front"
SERVER = """\
import contextlib, os, socket, sys
from pathlib import Path
Path(sys.argv[2]).write_text(str(os.getpid()))
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listening:
    while True:
        with listening.accept()[0] as connection, contextlib.suppress(OSError):
            connection.sendall(b"* OK ready\\r\\n")
            connection.recv(512)
"""


class Pair:
    """Two servers of nothing but a greeting, each writing its pid into a file; who starts them is the question."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {STORE: free_port(), FRONT: free_port()}
        (folder / "server.py").write_text(SERVER)

    def pid_file(self, name: str) -> Path:
        """Where a server's pid is."""
        return self.folder / f"{name}.pid"

    def pid(self, name: str) -> int:
        """A server's pid, 0 before it first runs."""
        with suppress(FileNotFoundError, ValueError):
            return int(self.pid_file(name).read_text())
        return 0

    def command(self, name: str) -> list[str]:
        """Name the program of a server."""
        return [sys.executable, f"{self.folder}/server.py", str(self.ports[name]), str(self.pid_file(name))]

    def runs(self, name: str, *, but: int = 0) -> bool:
        """Whether a server runs and accepts, as another process than `but`."""
        pid = self.pid(name)
        return pid not in (0, but) and stat_of(pid) is not None and accepts(self.ports[name])

    def kill(self, name: str) -> int:
        """SIGKILL a server; return its pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextmanager
    def started(self, *names: str) -> Iterator[None]:
        """Run servers that nobody watches over."""
        processes = [subprocess.Popen(self.command(name), start_new_session=True) for name in names]
        try:
            wait_until(lambda: all(self.runs(name) for name in names), "them to run", WITHIN_S)
            yield
        finally:
            for process in processes:
                process.kill()
                process.wait()


@pytest.fixture
def pair(folder: Path) -> Pair:
    """Two servers; what still runs of them ends with the folder, which their command lines name."""
    return Pair(folder)


def test_supervisord_asks_nothing_and_knows_no_dependence(pair: Pair) -> None:
    """A frozen child is RUNNING; a killed one is started anew, and what needs it is left as it is."""
    again = "autorestart=true\nstartsecs=0\n"
    programs = {name: pair.command(name) for name in pair.ports}
    options = {STORE: f"{again}priority=1\n", FRONT: f"{again}priority=2\n"}
    with Supervisord(pair.folder / "supervisord", programs, options=options) as supervisord:
        supervisord.control("start", "all")
        wait_until(lambda: pair.runs(STORE) and pair.runs(FRONT), "both to run", WITHIN_S)
        front = pair.pid(FRONT)
        killed = pair.kill(STORE)
        wait_until(lambda: pair.runs(STORE, but=killed), "the store to be back", WITHIN_S)
        assert pair.pid(FRONT) == front
        os.kill(pair.pid(STORE), signal.SIGSTOP)
        wait_until(lambda: Path(f"/proc/{pair.pid(STORE)}/stat").read_text().split()[2] == "T", "it to hang", WITHIN_S)
        states = [line.split()[:2] for line in supervisord.control("status").splitlines()]
        assert states == [[FRONT, "RUNNING"], [STORE, "RUNNING"]]
        os.kill(pair.pid(STORE), signal.SIGCONT)


MONITRC = """\
set daemon 1
set idfile {folder}/id
set statefile {folder}/state
set pidfile {folder}/pid
set log {folder}/log
"""
CHECKED = """\
check process {name} with pidfile {folder}/{name}.pid
  start program = "/bin/sh {folder}/start.sh {name}" with timeout 1 seconds
  stop program = "/bin/sh {folder}/stop.sh {name}" with timeout 1 seconds
  if failed port {port} with timeout 1 seconds then restart
"""
START = """\
[ ! -e {folder}/refused ] || exit 1
case $1 in
{cases}
esac
"""


def write_monitrc(pair: Pair) -> Path:
    """Have monit watch over both, the one depending on the other; its programs are two scripts."""
    folder = pair.folder
    cases = [f"{name}) setsid {shlex.join(pair.command(name))} >/dev/null 2>&1 & ;;" for name in pair.ports]
    (folder / "start.sh").write_text(START.format(folder=folder, cases="\n".join(cases)))
    (folder / "stop.sh").write_text(f"kill -9 $(cat {folder}/$1.pid)\n")
    checked = [CHECKED.format(folder=folder, name=name, port=port) for name, port in pair.ports.items()]
    control = folder / "monitrc"
    control.write_text(MONITRC.format(folder=folder) + "".join(checked) + "  depends on store\n")
    control.chmod(0o600)
    return control


def test_monit_restarts_what_depends_and_accuses_none_of_it(pair: Pair) -> None:
    """`depends on`: a dependent is restarted with its store, stopped while that is away, and no test of it fails."""
    control = write_monitrc(pair)

    def log() -> str:
        return (pair.folder / "log").read_text()

    with RealServer(pair.folder, [need("monit", "monit"), "-c", str(control), "-I"], ()):
        wait_until(lambda: pair.runs(STORE) and pair.runs(FRONT), "monit to have started both", WITHIN_S)
        front, killed = pair.pid(FRONT), pair.kill(STORE)
        back = wait_until(
            lambda: pair.runs(STORE, but=killed) and pair.runs(FRONT, but=front), "both to be others", WITHIN_S
        )
        assert back
        (pair.folder / "refused").touch()
        pair.kill(STORE)
        wait_until(lambda: "'store' failed to start" in log(), "the store to stay away", WITHIN_S)
        assert not pair.runs(FRONT)
        said = [line.partition(" : ")[2] for line in log().splitlines() if " error " in line and "'front'" in line]
        assert [line for line in said if "test" in line or "not running" in line] == []


def test_monit_takes_its_own_want_of_descriptors_for_a_failure(pair: Pair) -> None:
    """With no descriptor left for a socket, a healthy server has failed."""
    control = pair.folder / "monitrc"
    check = f"check host row with address 127.0.0.1\n  if failed port {pair.ports[STORE]} then alert\n"
    control.write_text(MONITRC.format(folder=pair.folder).replace("set log", "# set log") + check)
    control.chmod(0o600)
    validate = [need("monit", "monit"), "-c", str(control), "-vI", "validate"]
    with pair.started(STORE):
        for limit, said in ((4, "'row' failed"), (64, "'row' connection succeeded")):
            command = [need("prlimit", "util-linux"), f"--nofile={limit}:{limit}", *validate]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=WITHIN_S)
            assert said in done.stdout + done.stderr


HAPROXY = """\
global
  stats socket {folder}/stats mode 600 level admin
defaults
  mode tcp
  timeout connect 1s
  timeout client 1s
  timeout server 1s
backend mail
  option tcp-check
  tcp-check expect string OK
  server store 127.0.0.1:{store} check inter 100 rise 1 fall 1
  server front 127.0.0.1:{front} track mail/store
frontend metrics
  mode http
  bind 127.0.0.1:{metrics}
  http-request use-service prometheus-exporter
"""


def test_haproxy_starts_nothing_and_tracks(pair: Pair) -> None:
    """A dead server is DOWN and stays dead; what tracks it is DOWN with it, unasked; both are in its metrics."""
    metrics = free_port()
    configuration = pair.folder / "haproxy.cfg"
    configuration.write_text(HAPROXY.format(folder=pair.folder, metrics=metrics, **pair.ports))
    haproxy = RealServer(pair.folder, [need("haproxy", "haproxy"), "-db", "-f", str(configuration)], (metrics,))

    def up() -> dict[str, float]:
        with urlopen(f"http://127.0.0.1:{metrics}/metrics", timeout=WITHIN_S) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        found = next(each for each in families if each.name == "haproxy_server_status")
        return {each.labels["server"]: each.value for each in found.samples if each.labels.get("state") == "UP"}

    with pair.started(STORE, FRONT), haproxy:
        wait_until(lambda: up() == {STORE: 1.0, FRONT: 1.0}, "both to be up", WITHIN_S)
        pair.kill(STORE)
        wait_until(lambda: up() == {STORE: 0.0, FRONT: 0.0}, "both to be down", WITHIN_S)
        assert pair.runs(FRONT)
        assert not pair.runs(STORE)


def test_a_probe_of_kubernetes_has_four_ways_to_ask() -> None:
    """None of them speaks a mail protocol: a command, gRPC, HTTP, or a TCP connection."""
    schemas = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    (newest,) = schemas.glob(f"v{kubernetes_validate.latest_version()}*-strict")
    fields = json.loads((newest / "probe-v1.json").read_text())["properties"]
    assert {name for name, each in fields.items() if "Action" in str(each.get("$ref"))} == {
        "exec", "grpc", "httpGet", "tcpSocket",
    }  # fmt: skip
