"""The metrics page in the hands of those who read it: promtool and a real Prometheus."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.ports import free_port
from tests.e2e.programs import need
from tests.e2e.servers.dovecot import Dovecot
from tests.e2e.servers.nginx import Nginx
from tests.e2e.servers.postfix import Postfix
from tests.e2e.servers.prometheus import Prometheus
from tests.e2e.service import Service
from tests.e2e.stores import virtual_server, write_metabase
from tests.e2e.waiting import wait_until

# DESIGN §4: every plain series exists from the start; those with stage, reason, from or to only when counted.
PER_RESOURCE = ("resource_alive", "resource_info", "probe_attempts_total", "restarts_total")
OF_THE_SERVICE = (
    "event_loop_lag_seconds_count",
    "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds",
    "build_info",
    "probe_lag_seconds_count",
)


def watch(folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> Service:
    """Prepare a service that watches three live servers and a dead one."""
    keys = {
        "/smtp/1": virtual_server(postfix.smtp_port),
        "/imap/1": virtual_server(dovecot.imap_port),
        "/http/1": virtual_server(nginx.http_port),
        "/pop3/dead": virtual_server(free_port()),
    }
    write_metabase(folder / "store", keys)
    return Service(folder / "store")


def test_promtool_accepts_the_live_page(folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> None:
    """`promtool check metrics` has nothing to say about the page, and every name of the contract is on it."""
    promtool = need("promtool", "prometheus")
    with watch(folder, postfix, dovecot, nginx) as service:
        service.wait_for("default/pop3-dead", state="failed")
        service.wait_for("default/http-1", alive=True)
        page = service.get("/metrics").text
        done = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        names = {name.removeprefix("looksalive_") for name, _ in service.metrics()}
        assert set(PER_RESOURCE + OF_THE_SERVICE) <= names
        assert {"resource_state", "state_transitions_total", "probe_failures_total"} <= names
        assert {"probe_stage_duration_seconds_count", "process_cpu_seconds_total"} <= names | {
            name for name, _ in service.metrics()
        }
        dead = {"group": "default", "resource": "pop3-dead"}
        assert service.metric("resource_alive", **dead) == 0
        assert service.metric("resource_state", state="failed", **dead) == 1
        assert service.metric("resource_state", state="online", **dead) == 0
        assert service.metric("probe_failures_total", stage="connect", reason="connect_refused", **dead) >= 1


def test_a_real_prometheus_scrapes_it(folder: Path, postfix: Postfix, dovecot: Dovecot, nginx: Nginx) -> None:
    """Prometheus finds the target up, the live servers at 1, the dead one at 0, and counters that rise."""
    with (
        watch(folder, postfix, dovecot, nginx) as service,
        Prometheus(folder / "prometheus", service.url) as prometheus,
    ):
        service.wait_for("default/pop3-dead", state="failed")

        def alive() -> dict[str, float] | None:
            try:
                found = prometheus.query("looksalive_resource_alive")
            except OSError:
                return None  # it accepts before it answers
            levels = {dict(labels)["resource"]: value for labels, value in found.items()}
            return levels if sum(levels.values()) == 3 else None

        levels = wait_until(alive, "three live servers in Prometheus", 15.0)
        assert levels == {"smtp-1": 1, "imap-1": 1, "http-1": 1, "pop3-dead": 0}
        assert list(prometheus.query("up").values()) == [1]
        wait_until(
            lambda: min(prometheus.query("increase(looksalive_probe_attempts_total[10s])").values(), default=0) > 0,
            "every counter of probes to rise",
            10.0,
        )
