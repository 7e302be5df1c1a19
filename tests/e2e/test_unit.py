"""The unit as shipped, under a real systemd: READY, RELOADING, WATCHDOG, its hardening, and what it does not repeat."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import sysconfig
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.e2e.command import PROJECT
from tests.e2e.listeners import Listeners
from tests.e2e.machine import NAME, Machine
from tests.e2e.podman import Podman
from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

UNIT = PROJECT / "deploy" / "systemd" / "looksalive.service"
EXPOSURE_MAX = 2.0
WITHIN_S = 30.0
WATCHDOG_S = 2
PROGRAM = "/usr/bin/looksalive"  # of the shipped ExecStart; /usr is this machine's, so that a drop-in names ours:
OURS = "-m tests.e2e.stuck"  # the same command, whose event loop SIGUSR1 blocks for good


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze."""
    command = [need("systemd-analyze", "systemd"), "--no-pager", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_the_unit_is_well_formed(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say about it, once the command that it starts is there."""
    program = tmp_path / PROGRAM.lstrip("/")
    for path in (program, tmp_path / "bin/kill"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    units = tmp_path / "etc/systemd/system"
    units.mkdir(parents=True)
    for name in ("sysinit.target", "basic.target", "shutdown.target", "network-online.target", "multi-user.target"):
        (units / name).write_text("[Unit]\nDefaultDependencies=no\n")
    (units / "-.slice").write_text("[Unit]\nDefaultDependencies=no\n")
    shutil.copy(UNIT, units)
    done = analyze("verify", f"--root={tmp_path}", "--man=no", str(units / UNIT.name))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_its_exposure_is_small() -> None:
    """`systemd-analyze security` puts it below 2.0 of 10, without asking any running systemd."""
    done = analyze("security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", str(UNIT))
    assert done.returncode == 0, done.stdout
    exposure = float(done.stdout.rsplit("exposure level for looksalive.service:", 1)[1].split()[0])
    assert exposure < EXPOSURE_MAX


class Unit:
    """A machine with the unit installed; only where our program is, and what makes the test quick, is in a drop-in."""

    def __init__(self, podman: Podman, folder: Path) -> None:
        self.machine = Machine(podman, folder)
        root = self.machine.root
        self.port = free_port()
        shutil.copy(UNIT, root / "etc/systemd/system")
        self.store = root / "etc/looksalive"
        base = Path(sys.base_prefix)  # may be in a home folder, which the unit does not see
        self.mounts = {str(PROJECT): "/opt/project", sysconfig.get_path("purelib"): "/opt/packages"}
        if not base.is_relative_to("/usr"):
            self.mounts[str(base)] = "/opt/python"
        prefix = self.mounts.get(str(base), str(base))
        python = f"{prefix}/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
        shipped = next(line for line in UNIT.read_text().splitlines() if line.startswith("ExecStart="))
        drop_in = root / "etc/systemd/system/looksalive.service.d"
        drop_in.mkdir()
        (drop_in / "test.conf").write_text(f"""\
[Unit]
DefaultDependencies=no
[Service]
ExecStart=
{shipped.replace(PROGRAM, f"{python} {OURS}")}
Environment=PYTHONPATH=/opt/project:/opt/packages LD_LIBRARY_PATH=/opt/python/lib
Environment=LOOKSALIVE_LISTEN=127.0.0.1:{self.port} PYTHONDONTWRITEBYTECODE=1
StandardError=append:/var/log/looksalive.log
WatchdogSec={WATCHDOG_S}s
TimeoutStopSec=5s
""")
        self._log = root / "var/log/looksalive.log"

    def boot(self) -> None:
        """Boot the machine; the unit is not started yet."""
        debug = ("--tty", "--env=SYSTEMD_LOG_LEVEL=debug", "--env=SYSTEMD_LOG_TARGET=console")
        self.machine.boot(
            "--privileged", *debug, *(f"--volume={here}:{there}:ro" for here, there in self.mounts.items())
        )

    def show(self, name: str) -> str:
        """Ask systemd for a property of the unit."""
        return self.machine.systemctl("show", f"--property={name}", "--value", "looksalive.service")

    def told(self, word: str) -> int:
        """Count how often systemd was told something, by its own log."""
        said = self.machine.podman("logs", NAME)
        return sum("Got notification message" in line and word in line for line in said.splitlines())

    def metric(self, name: str) -> float | None:
        """Read a plain metric, or None while nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=WITHIN_S) as answer:
                lines = answer.read().decode().splitlines()
        except (URLError, ConnectionError):
            return None
        return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)

    def alive(self, resource: str) -> bool | None:
        """Whether a resource is alive, or None while nobody answers."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/api/v1/resources/{resource}", timeout=WITHIN_S) as answer:
                return bool(json.load(answer)["alive"])
        except (URLError, ConnectionError):
            return None

    @property
    def log(self) -> str:
        """What it wrote."""
        return self._log.read_text() if self._log.exists() else ""


@pytest.fixture
def unit(podman: Podman, folder: Path) -> Unit:
    """The unit on a machine that is not booted yet."""
    return Unit(podman, folder)


def test_ready_reload_watchdog(unit: Unit) -> None:
    """Active is when we serve; a reload ends when the store is read; a loop that hangs is ended and started anew."""
    with Listeners(1) as listeners:
        write_metabase(unit.store, listeners.keys, poll_interval_s=300.0)  # polling finds no death within this test
        unit.boot()
        unit.machine.systemctl("start", "looksalive.service")  # returns at READY=1
        assert (unit.show("ActiveState"), unit.show("SubState")) == ("active", "running"), unit.log
        assert unit.show("StatusText").startswith(f"serving at http://127.0.0.1:{unit.port}/")
        wait_until(lambda: unit.alive("default/smtp-0"), "the server to be alive", WITHIN_S)
        wait_until(lambda: unit.metric("looksalive_kernel_events_active") == 1, "the kernel to tell", WITHIN_S)

        before = unit.metric("looksalive_config_last_reload_success_timestamp_seconds")
        assert unit.machine.systemctl("reload", "looksalive.service") == ""
        wait_until(
            lambda: unit.metric("looksalive_config_last_reload_success_timestamp_seconds") != before,
            "the store to be read again",
            WITHIN_S,
        )
        wait_until(lambda: unit.told("RELOADING=1") == 1 and unit.told("READY=1") == 2, "systemd to be told", WITHIN_S)
        assert unit.show("ActiveState") == "active"

        first, restarts = unit.show("MainPID"), int(unit.show("NRestarts"))
        fed = unit.told("WATCHDOG=1")
        wait_until(lambda: unit.told("WATCHDOG=1") >= fed + 2, "the watchdog to be fed twice", WITHIN_S)
        unit.machine.systemctl("kill", f"--signal={signal.SIGUSR1.name}", "looksalive.service")  # its loop sticks
        wait_until(lambda: int(unit.show("NRestarts")) > restarts, "the watchdog to bite", WITHIN_S)
        wait_until(lambda: unit.show("ActiveState") == "active", "the next run", WITHIN_S)
        assert unit.show("MainPID") not in (first, "0")
        assert "Watchdog timeout" in unit.machine.podman("logs", NAME)
        assert wait_until(lambda: unit.alive("default/smtp-0"), "the server to be alive again", WITHIN_S)
        wait_until(lambda: unit.metric("looksalive_kernel_events_active") == 1, "the kernel to tell again", WITHIN_S)
        listeners.kill(0)
        wait_until(lambda: "from online to failed: listener_gone" in unit.log, "the kernel's word", WITHIN_S)

        unit.machine.systemctl("stop", "looksalive.service")
        assert (unit.show("ActiveState"), unit.show("ExecMainStatus"), unit.show("Result")) == (
            "inactive",
            "0",
            "success",
        )
        assert "looksalive has ended" in unit.log


def test_a_store_with_mistakes_is_not_started_again_and_again(unit: Unit) -> None:
    """Exit status 78 is final: one run, every mistake in the log."""
    write_metabase(unit.store, {"/smtp/1": virtual_server(99999), "/imap/1": {"bindings": ["nonsense"]}})
    unit.boot()
    unit.machine.systemctl("start", "looksalive.service")
    assert unit.show("ActiveState") == "failed"
    assert (unit.show("ExecMainStatus"), unit.show("NRestarts")) == ("78", "0")
    assert "99999" in unit.log
    assert "nonsense" in unit.log
