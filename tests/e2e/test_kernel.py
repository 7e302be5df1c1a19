"""Deaths of real listeners, as the whole service tells them, with the kernel's help and without."""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.listeners import Listeners, failures
from tests.e2e.ports import free_port
from tests.e2e.processes import signal_all
from tests.e2e.programs import absent
from tests.e2e.servers import greeter
from tests.e2e.servers.certificates import Authority
from tests.e2e.service import Service
from tests.e2e.stores import process, virtual_server, write_cluster, write_metabase
from tests.e2e.waiting import wait_until

KILLS = 50
SIDECAR_KILLS = 300
NOBODY = 65534
PERIOD_S = 30.0  # polling would not find them within this test
FOUND_WITHIN_S = 5.0


def started(folder: Path, listeners: Listeners, *options: str, **defaults: Any) -> Service:
    """A service that watches the listeners, each once a period."""
    timings: dict[str, Any] = {"poll_interval_s": PERIOD_S, "probe_timeout_s": 2.0, **defaults}
    write_metabase(folder / "store", listeners.keys, **timings)
    return Service(folder / "store", *options)


def need_kernel_events(service: Service) -> None:
    """Skip where the kernel or the sandbox does not tell of destroyed sockets (fail in CI)."""
    wait_until(lambda: metric(service, "kernel_events_active") or why_not(service), "the self-test", FOUND_WITHIN_S)
    if not metric(service, "kernel_events_active"):
        absent(f"no kernel events here: {why_not(service)}")


def metric(service: Service, name: str, **labels: str) -> float:
    """Return the value of a sample, 0 when there is none."""
    return service.metrics().get((f"looksalive_{name}", frozenset(labels.items())), 0.0)


def why_not(service: Service) -> str:
    """Return why only polling finds failures; empty while it is not known."""
    found = [dict(labels)["reason"] for name, labels in service.metrics() if name.endswith("kernel_events_inactive")]
    return "".join(reason for reason in found if reason != "untested")


def test_every_killed_listener_is_published_by_the_kernels_word(folder: Path) -> None:
    """Fifty SIGKILLs, far faster than any poll: fifty failures `listener_gone` by trigger kernel, none missed."""
    with Listeners(KILLS) as listeners, started(folder, listeners) as service:
        service.wait_all_alive()
        need_kernel_events(service)
        for number in range(KILLS):
            listeners.kill(number)
        service.wait(lambda all_of: not any(each["alive"] for each in all_of.values()), "all dead", FOUND_WITHIN_S)
        published = failures(service)
        assert len(published) == KILLS
        for number, port in enumerate(listeners.ports):
            (event,) = published[f"default/smtp-{number}"]
            assert (event["trigger"], event["reason"]) == ("kernel", "listener_gone")
            assert f"127.0.0.1:{port}" in event["evidence"]
        assert metric(service, "kernel_events_total") >= KILLS
        assert metric(service, "detection_seconds_count", trigger="kernel") == KILLS
        assert metric(service, "detection_seconds_bucket", trigger="kernel", le="1.0") == KILLS


def test_a_sidecar_without_any_privilege_misses_no_kill(folder: Path) -> None:
    """Three hundred SIGKILLs seen by the whole service as uid 65534 without a capability: each told once, by kernel."""
    program = (sys.executable, "-m", "tests.e2e.unprivileged")
    with Listeners(SIDECAR_KILLS) as listeners:
        write_metabase(folder / "store", listeners.keys, poll_interval_s=PERIOD_S, probe_timeout_s=2.0)
        service = Service(folder / "store", program=program)
        if os.geteuid() == 0:
            os.chown(service.state_dir, NOBODY, NOBODY)
        with service:
            left = Path(f"/proc/{service.pid}/status").read_text().split()
            held = {name: left[left.index(name) + 1] for name in ("CapEff:", "CapPrm:", "NoNewPrivs:")}
            assert held == {"CapEff:": "0" * 16, "CapPrm:": "0" * 16, "NoNewPrivs:": "1"}
            assert left[left.index("Uid:") + 1] != "0"
            service.wait_all_alive(PERIOD_S)
            need_kernel_events(service)
            for number in range(SIDECAR_KILLS):
                listeners.kill(number)
            service.wait(lambda all_of: not any(each["alive"] for each in all_of.values()), "all dead", FOUND_WITHIN_S)
            published = failures(service)
        assert len(published) == SIDECAR_KILLS
        told = Counter((event["trigger"], event["reason"]) for (event,) in published.values())
        assert {trigger for trigger, _ in told} == {"kernel"}
        assert {reason for _, reason in told} <= {"listener_gone", "eof", "reset"}  # of a check that was under way
        assert told["kernel", "listener_gone"] > SIDECAR_KILLS * 0.9


def test_switched_off_the_same_is_found_by_polling(folder: Path) -> None:
    """`--kernel-events off`: found within a period, trigger probe, and the metric says why."""
    with (
        Listeners(3) as listeners,
        started(folder, listeners, "--kernel-events", "off", poll_interval_s=0.5) as service,
    ):
        service.wait_all_alive()
        for number in range(3):
            listeners.kill(number)
        service.wait(lambda all_of: not any(each["alive"] for each in all_of.values()), "all dead", FOUND_WITHIN_S)
        assert {event["trigger"] for events in failures(service).values() for event in events} == {"probe"}
        assert why_not(service) == "off"
        assert metric(service, "kernel_events_active") == 0
        assert metric(service, "detection_seconds_count", trigger="probe") == 3


@pytest.mark.parametrize("kernel_events", ["auto", "off"])
def test_a_frozen_server_is_found_by_asking(kernel_events: str, folder: Path) -> None:
    """SIGSTOP closes nothing: with and without kernel events it is the time-out that tells."""
    with (
        Listeners(1) as listeners,
        started(
            folder, listeners, "--kernel-events", kernel_events, poll_interval_s=0.5, probe_timeout_s=0.5
        ) as service,
    ):
        service.wait_all_alive()
        os.kill(listeners.pids[0], signal.SIGSTOP)
        service.wait_for("default/smtp-0", state="failed", reason="banner_timeout")
        assert failures(service)["default/smtp-0"][0]["trigger"] == "probe"
        signal_all(listeners.pids, signal.SIGCONT)


def test_the_end_of_our_own_process_is_timed_too(folder: Path, authority: Authority) -> None:
    """A server of ours is told by its pidfd or by its listener's death, whatever is first, and timed by that one."""
    port, good = free_port(), authority.good
    command = [sys.executable, greeter.__file__, str(port), str(good.certificate_file), str(good.key_file)]
    write_metabase(folder / "store", {"/smtp/1": virtual_server(port)}, poll_interval_s=PERIOD_S)
    smtp = {"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}, "controller": process(command)}
    write_cluster(folder / "store", "evs1", {"smtp": smtp})
    with Service(folder / "store") as service:
        need_kernel_events(service)
        pid = service.wait_for("evs1/smtp", alive=True)["pid"]
        os.kill(pid, signal.SIGKILL)
        service.wait_for_another_process("evs1/smtp", pid)
        (event,) = failures(service)["evs1/smtp"]
        assert (event["trigger"], event["reason"]) in {("process", "process_gone"), ("kernel", "listener_gone")}
        assert metric(service, "detection_seconds_count", trigger=event["trigger"]) == 1
