"""Our own health: a run of rounds that cannot tell is our illness, and nobody else's."""

from __future__ import annotations

import errno
import logging

import pytest

from probe.monitor.health import LOOK_S, ROUNDS_MIN, WINDOW_S, Health
from probe.values import Reason
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, virtual_server
from tests.monitor.test_wheel import HandClock


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.told: list[bool] = []
        self.health = Health(self.clock, self.told.append)

    def live(self, seconds: float, rounds_per_s: int, unknown_per_s: int) -> None:
        """Let rounds come evenly, some of which cannot tell."""
        for _ in range(round(seconds)):
            for number in range(rounds_per_s):
                self.health.rounds += 1
                if number < unknown_per_s:
                    self.health.unknown(Reason.PROBER_PORTS)
            self.clock.move(1.0)


def test_a_steady_service_runs_no_timer() -> None:
    """Healthy from the start, told once, and nothing wakes up while every round can tell."""
    bench = Bench()
    bench.live(60, 10, 0)
    assert bench.told == [True]
    assert not bench.clock.timers


@pytest.mark.parametrize(("rounds_per_s", "unknown_per_s", "ill"), [(10, 6, True), (10, 5, False), (3, 3, True)])
def test_more_than_half_is_an_illness(rounds_per_s: int, unknown_per_s: int, ill: bool) -> None:
    """Half of the rounds may be unknown, one more may not; the fault says how many and why."""
    bench = Bench()
    bench.live(WINDOW_S * 2, rounds_per_s, unknown_per_s)
    assert bench.told == ([True, False] if ill else [True])
    assert ("prober_ports" in bench.health.fault) is ill


def test_it_takes_ten_seconds_and_twenty_rounds() -> None:
    """A burst is no run, and nor are a few rounds, however long they take."""
    bench = Bench()
    bench.live(WINDOW_S - 1, 100, 100)
    assert bench.told == [True]
    few = Bench()
    for _ in range(ROUNDS_MIN - 1):
        few.live(1, 1, 1)
        few.clock.move(10.0)
    assert few.told == [True]
    few.live(2, 1, 1)
    few.clock.move(LOOK_S)
    assert few.told == [True, False]


def test_recovery_is_seen_within_the_window() -> None:
    """Once most rounds can tell again we are healthy, and in the end no timer runs."""
    bench = Bench()
    bench.live(30, 10, 10)
    bench.live(WINDOW_S, 10, 0)
    assert bench.told == [True, False, True]
    assert not bench.health.fault
    bench.live(2 * WINDOW_S, 10, 0)
    assert not bench.clock.timers


def test_missing_ports_make_us_ill_and_no_service(caplog: pytest.LogCaptureFixture) -> None:
    """Through the monitors: no port left for anybody is one sentence of ours, no edge, and is over when it is over."""
    caplog.set_level(logging.INFO, logger="probe.monitor.health")

    async def body(rig: Rig) -> None:
        rig.machine.serve("smtp", PLACE)
        for number in range(10):
            server = virtual_server("127.0.0.1:25", poll_interval_s=1.0)
            rig.monitors.watch(plan_of(rig.environment, server, f"smtp-{number}"), FIRST, True)
        await rig.until(10.0)
        rig.machine.host.connect_errors["127.0.0.1"] = errno.EADDRNOTAVAIL
        await rig.until(25.0)
        assert "prober_ports" in rig.monitors.fault
        rig.machine.host.connect_errors.clear()
        await rig.until(50.0)
        assert not rig.monitors.fault
        assert rig.counted.health == [True, False, True]
        assert rig.posted == []

    simulate(body)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
