"""The demo: what a newcomer sees in the first ten seconds."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import descendants, stat_of
from tests.e2e.service import Service

ALL_ONLINE_WITHIN_S = 10.0
BACK_WITHIN_S = 15.0


@pytest.fixture
def demo(folder: Path) -> Iterator[Service]:
    """A running demo with a state folder of this test's own."""
    with Service(folder / "store", command="demo") as service:
        yield service


def test_everything_is_online_in_order_and_a_killed_service_comes_back(demo: Service) -> None:
    """S15, S16: all online within 10 s, providers first; a service killed with -9 is back by itself; then exit 0."""
    resources = demo.wait_all_alive(ALL_ONLINE_WITHIN_S)
    assert {each["type"] for each in resources.values()} >= {"smtp", "pop3", "imap", "http"}
    online = [each["id"] for each in demo.events() if each["to"] == "online"]
    for id, each in resources.items():
        for provider in each["depends_on"]:
            assert online.index(provider) < online.index(id)
    victim = next(each for each in resources.values() if each["type"] == "smtp")
    os.kill(victim["pid"], signal.SIGKILL)
    back = demo.wait_for_another_process(victim["id"], victim["pid"], BACK_WITHIN_S)
    assert back["restarts"] == 1
    demo.wait_all_alive(BACK_WITHIN_S)
    assert demo.get("/").status == 200
    children = descendants(demo.pid)
    assert len(children) >= 4
    assert demo.stop() == 0
    assert not [child for child in children if stat_of(child) is not None]
