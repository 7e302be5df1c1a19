"""The service's image as users run it: confined, quick, small, healthy, ended in order."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import PROJECT
from tests.e2e.images import WITHIN_S, Container, Images
from tests.e2e.programs import absent
from tests.e2e.servers import nursery
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

USER = 65532
SIZE_BYTES_MAX = 90_000_000
RESIDENT_BYTES_MAX = 60_000_000
RESOURCES = 100
PORTS = (2501, 2502)  # of a namespace that holds nothing else
PERIOD_S = 300.0  # polling would not find them within this test
CONFINED = ("--cap-drop=all", "--security-opt=no-new-privileges", "--read-only")
STATE = "--volume={}-state:/var/lib/looksalive"
Tell = Callable[[str], None]
INSTALLED = "import importlib.metadata as m; [print(d.name, d.version) for d in m.distributions()]"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Sidecar(Container):
    """A container of the image, confined as a pod's sidecar is, on a network namespace of its own or another's."""

    def __init__(self, images: Images, name: str, store: Path, network: str = "none") -> None:
        volumes = (STATE.format(name), f"--volume={store}:/etc/looksalive:ro")
        super().__init__(images, name, "looksalive", f"--network={network}", *CONFINED, *volumes)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Tell:
    """Print a figure that was measured, also when the test passes."""

    def tell(figure: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{figure}\n")

    return tell


def itself(count: int) -> dict[str, dict[str, Any]]:
    """Write virtual servers that are the service's own port: there is one in every namespace that it is in."""
    return {f"/http/{number}": virtual_server(9810, path="/livez") for number in range(count)}


def started_at(pid: int) -> float:
    """When a process began, on the wall clock, to a hundredth of a second."""
    ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / TICKS_PER_S


def test_it_is_confined_ready_at_once_and_ends_in_order(containers: Images, folder: Path, tell: Tell) -> None:
    """User 65532, no capability, none to be gained, nothing to write on but its state; SIGTERM ends it with 0."""
    write_metabase(folder / "store", itself(1))
    sidecar = Sidecar(containers, "sidecar", folder / "store")
    sidecar.start()
    status = sidecar.proc_status()
    assert status["Uid"].split() == status["Gid"].split() == [str(USER)] * 4
    assert {status[name] for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    mounts = dict(line.split()[1:4:2] for line in Path(f"/proc/{sidecar.pid}/mounts").read_text().splitlines())
    assert mounts["/"].split(",")[0] == "ro"
    for shell in ("sh", "bash"):
        assert sidecar.podman("exec", sidecar.name, shell, "-c", "echo here", check=False) == ""
    serves = next(each for each in sidecar.messages() if each["message"].startswith("looksalive serves"))
    took_s = datetime.fromisoformat(serves["time"]).timestamp() - started_at(sidecar.pid)
    tell(f"ready {took_s:.2f} s after its process began")
    wait_until(sidecar.all_alive, "its resource to be alive", WITHIN_S)
    assert sidecar.podman("exec", sidecar.name, "looksalive", "health").endswith("is alive")
    sidecar.podman("stop", "--time=20", sidecar.name)
    assert sidecar.inspect(".State.ExitCode") == "0"
    assert sidecar.messages()[-1]["message"] == "looksalive has ended"


def test_it_is_small(containers: Images, folder: Path, tell: Tell) -> None:
    """At most 90 MB uncompressed, and at most 60 MB resident with 100 resources."""
    size = containers.size_bytes(containers.image("looksalive"))
    write_metabase(folder / "store", itself(RESOURCES))
    sidecar = Sidecar(containers, "sidecar", folder / "store")
    sidecar.start()
    wait_until(sidecar.all_alive, f"{RESOURCES} resources to be alive", WITHIN_S)
    resident = int(sidecar.proc_status()["VmRSS"].split()[0]) * 1024
    tell(f"image {size / 1e6:.1f} MB, resident {resident / 1e6:.1f} MB with {RESOURCES} resources")
    assert size <= SIZE_BYTES_MAX
    assert resident <= RESIDENT_BYTES_MAX


def test_it_holds_what_the_bill_of_materials_names(containers: Images) -> None:
    """Name and version of each package in the image are those of the bill, less what is installed elsewhere only."""
    command = [sys.executable, "-I", str(PROJECT / "deploy/sbom.py")]
    bill = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    packages = [each for each in bill["components"] if each["purl"].startswith("pkg:pypi/")]
    listed = {(each["name"], each["version"]): each["scope"] for each in packages}
    top = bill["metadata"]["component"]
    interpreter = ("--network=none", "--entrypoint=/opt/looksalive/bin/python", containers.image("looksalive"))
    installed = {
        (name.lower().replace("_", "-"), version)
        for name, version in map(str.split, containers.podman("run", *interpreter, "-c", INSTALLED).splitlines())
    }
    assert installed <= listed.keys() | {(top["name"], top["version"])}
    assert {each for each, scope in listed.items() if scope == "required"} <= installed
    assert (top["name"], top["version"]) in installed


def test_a_frozen_service_becomes_unhealthy(containers: Images, folder: Path) -> None:
    """The HEALTHCHECK turns when the process is stopped, after some looks (its retries), and back."""
    write_metabase(folder / "store", itself(1))
    sidecar = Sidecar(containers, "sidecar", folder / "store")
    sidecar.start()

    def look() -> str:
        sidecar.podman("healthcheck", "run", sidecar.name, check=False)
        return sidecar.inspect(".State.Health.Status")

    assert look() == "healthy"
    os.kill(sidecar.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: look() == "unhealthy", "it to be unhealthy", WITHIN_S)
    finally:
        os.kill(sidecar.pid, signal.SIGCONT)
    assert look() == "healthy"


def test_the_kernel_tells_of_the_neighbours(containers: Images, folder: Path) -> None:
    """Confined in a namespace that it shares, it hears at once that another container's listener was killed."""
    keys = {f"/smtp/{number}": virtual_server(port) for number, port in enumerate(PORTS)}
    write_metabase(folder / "store", keys, poll_interval_s=PERIOD_S)
    interpreter = {Path(sys.base_prefix), PROJECT, Path(sys.prefix)}
    seen = tuple(f"--volume={path}:{path}:ro" for path in sorted(interpreter) if not path.is_relative_to("/usr"))
    servers = [sys.executable, str(nursery.__file__), *map(str, PORTS)]
    containers.podman.create("servers", servers, network="none", options=(*seen, "--interactive"))
    containers.podman("start", "servers")
    sidecar = Sidecar(containers, "sidecar", folder / "store", "container:servers")
    sidecar.start()
    wait_until(sidecar.all_alive, "both to be alive", WITHIN_S)
    if "the kernel tells when a listener dies" not in sidecar.log:
        absent(f"no kernel events here: {sidecar.log}")
    main = int(containers.podman("inspect", "--format={{.State.Pid}}", "servers"))
    victim = int(Path(f"/proc/{main}/task/{main}/children").read_text().split()[0])
    os.kill(victim, signal.SIGKILL)

    def failures() -> list[dict[str, Any]]:
        return [each for each in sidecar.messages() if each.get("to") == "failed"]

    [failure] = wait_until(failures, "the death to be told", WITHIN_S)
    assert (failure["id"], failure["reason"], failure["trigger"]) == ("default/smtp-0", "listener_gone", "kernel")
