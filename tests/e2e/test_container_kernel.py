"""Containers that share a network namespace, as those of one pod do: a sidecar sees its neighbours' listeners die."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from tests.e2e.command import PROJECT
from tests.e2e.podman import Podman
from tests.e2e.programs import absent
from tests.e2e.servers import nursery
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

PORTS = (2501, 2502, 2503)  # of a namespace that holds nothing else
NOBODY = 65534
PERIOD_S = 300.0  # polling would not find them within this test
STARTS_WITHIN_S = 30.0
FOUND_WITHIN_S = 5.0
CONFINED = (
    f"--user={NOBODY}:{NOBODY}",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--read-only",
)


def test_a_sidecar_in_the_pod_sees_its_neighbours_die(folder: Path, podman: Podman) -> None:
    """Two containers on one namespace of their own: each SIGKILL in one is `listener_gone` by kernel in the other.

    The sidecar is uid 65534 without a capability, on a read-only root, under the default seccomp filter.
    """
    state = folder / "state"
    state.mkdir()
    os.chown(state, NOBODY, NOBODY)
    keys = {f"/smtp/{number}": virtual_server(port) for number, port in enumerate(PORTS)}
    write_metabase(folder / "store", keys, poll_interval_s=PERIOD_S, probe_timeout_s=2.0)
    interpreter = {Path(sys.base_prefix), PROJECT, Path(sys.prefix)}
    seen = tuple(f"--volume={path}:{path}:ro" for path in sorted(interpreter) if not path.is_relative_to("/usr"))
    podman.create("pod", ["/usr/bin/sleep", "100000"], network="none", options=("--stop-signal=KILL",))
    servers = [sys.executable, str(nursery.__file__), *map(str, PORTS)]
    podman.create("servers", servers, network="container:pod", options=(*seen, "--interactive"))
    run = f"exec {sys.executable} -m probe.cli run --store {folder}/store --state-dir {state} --log-format text"
    command = ["/usr/bin/sh", "-c", f"{run} --listen 127.0.0.1:9810 2> {state}/looksalive.log"]
    options = (*seen, *CONFINED, f"--env=PYTHONPATH={PROJECT}", f"--volume={folder}/store:{folder}/store:ro")
    podman.create("sidecar", command, state, network="container:pod", options=options)
    for name in ("pod", "servers", "sidecar"):
        podman("start", name)

    def log() -> str:
        written = state / "looksalive.log"
        return written.read_text(errors="replace") if written.exists() else ""

    def told(what: str) -> bool:
        return all(f"smtp-{number} went from {what}" in log() for number in range(len(PORTS)))

    wait_until(lambda: told("online-pending to online"), "all alive", STARTS_WITHIN_S)
    status = Path(f"/proc/{podman('inspect', '--format={{.State.Pid}}', 'sidecar')}/status").read_text().split()
    held = [status[status.index(name) + 1] for name in ("Uid:", "CapEff:", "CapPrm:", "NoNewPrivs:", "Seccomp:")]
    assert held == [str(NOBODY), "0" * 16, "0" * 16, "1", "2"]
    wait_until(lambda: " when a listener dies" in log(), "word of the self-test", STARTS_WITHIN_S)
    if "the kernel tells when a listener dies" not in log():
        absent(f"no kernel events here: {log()}")
    main = int(podman("inspect", "--format={{.State.Pid}}", "servers"))
    for pid in Path(f"/proc/{main}/task/{main}/children").read_text().split():
        os.kill(int(pid), signal.SIGKILL)
    wait_until(lambda: told("online to failed: listener_gone"), "all dead", FOUND_WITHIN_S)
    failures = [line for line in log().splitlines() if "from online to failed" in line]
    assert len(failures) == len(PORTS)
    assert all("(by kernel)" in line for line in failures)
