"""A prober that hardly gets the processor still finds what is dead, and calls nothing dead that lives."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.ports import free_port
from tests.e2e.servers import greeter
from tests.e2e.servers.certificates import Authority
from tests.e2e.servers.real import RealServer
from tests.e2e.service import Service
from tests.e2e.starving import Starve, by_neighbours, by_quota
from tests.e2e.stores import virtual_server, write_metabase

HEALTHY = 20
PERIOD_S = 1.0
TIMEOUT_S = 0.5
SETTLE_S = 3.0
GIVES_UP_S = 60.0  # how soon depends on the processor that is left; `python -m tests.bench truth` measures it


@pytest.fixture
def servers(folder: Path, authority: Authority) -> Iterator[RealServer]:
    """A healthy server that is asked by many, and one that is to die; kernel events would find it without asking."""
    healthy, mortal = free_port(), free_port()
    quick: dict[str, Any] = {"poll_interval_s": PERIOD_S, "probe_timeout_s": TIMEOUT_S, "fall": 1}
    keys = {f"/smtp/{number}": virtual_server(healthy, **quick) for number in range(HEALTHY)}
    write_metabase(folder / "store", keys | {"/smtp/mortal": virtual_server(mortal, **quick)})
    shown = (str(authority.good.certificate_file), str(authority.good.key_file))

    def command(port: int) -> list[str]:
        return [sys.executable, str(greeter.__file__), str(port), *shown]

    (folder / "mortal").mkdir()
    with (
        RealServer(folder, command(healthy), (healthy,)),
        RealServer(folder / "mortal", command(mortal), (mortal,)) as dying,
    ):
        yield dying


@pytest.mark.parametrize("starve", [by_neighbours, by_quota])
def test_a_starved_prober_finds_the_dead_one_alone(starve: Starve, folder: Path, servers: RealServer) -> None:
    """Nice 19 beside six busy processes, and 2 % of a processor: the killed server is found, no healthy one fails."""
    with Service(folder / "store", "--kernel-events", "off") as service:
        service.wait_all_alive()
        with starve(service.pid):
            threading.Event().wait(SETTLE_S)
            servers.kill()
            service.wait_for_log("smtp-mortal went from online to failed: connect_refused", GIVES_UP_S)
            threading.Event().wait(SETTLE_S)
        failed = {
            dict(labels)["resource"]
            for (name, labels), count in service.metrics().items()
            if name == "looksalive_probe_failures_total" and count
        }
        assert failed == {"smtp-mortal"}
        assert [each["id"] for each in service.events() if each["to"] == "failed"] == ["default/smtp-mortal"]
