"""The ticker that adds up what the loop lost."""

from __future__ import annotations

import pytest

from probe.monitor.stall import LATENESS_IGNORED_S, PAUSE_S, PAUSES_KEPT_MAX, TICKER_S, Stall
from tests.monitor.test_wheel import HandClock


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.busy = True
        self.told: list[float] = []
        self.stall = Stall(self.clock, lambda: self.busy, self.told.append)

    def late(self, seconds: float) -> None:
        """Let the ticker run that much too late."""
        (timer,) = self.clock.timers
        self.clock.timers.clear()
        self.clock.time = timer.when + seconds
        timer.call()


def test_a_punctual_loop_loses_nothing() -> None:
    """Ticks in time add nothing, nor does lateness that every timer has."""
    bench = Bench()
    bench.stall.watch(bench.clock.time)
    bench.clock.move(1.0)
    bench.late(LATENESS_IGNORED_S / 2)
    assert bench.stall.lost(bench.clock.time) == 0.0
    assert len(bench.told) >= 20


def test_lateness_is_summed_and_told() -> None:
    """Each late tick is told and added."""
    bench = Bench()
    bench.stall.watch(bench.clock.time)
    bench.late(0.3)
    bench.late(0.2)
    assert [round(late, 6) for late in bench.told] == [0.3, 0.2]
    assert round(bench.stall.lost(bench.clock.time), 6) == 0.5


def test_what_is_being_lost_counts_before_the_ticker_ran() -> None:
    """In the pass after a stall a deadline may be judged before the ticker: the lateness so far counts already."""
    bench = Bench()
    bench.stall.watch(bench.clock.time)
    bench.clock.time += TICKER_S + 2.0
    assert round(bench.stall.lost(bench.clock.time), 6) == 2.0


def test_it_rests_when_nothing_is_in_flight() -> None:
    """An idle service holds no timer, and time that passes idle is not lost."""
    bench = Bench()
    bench.stall.watch(bench.clock.time)
    bench.busy = False
    bench.clock.move(1.0)
    assert not bench.clock.timers
    bench.clock.time += 60
    assert bench.stall.lost(bench.clock.time) == 0.0
    bench.busy = True
    bench.stall.watch(bench.clock.time)
    bench.clock.move(1.0)
    assert bench.stall.lost(bench.clock.time) == 0.0
    bench.stall.close()
    assert not bench.clock.timers


def test_one_long_lateness_is_a_pause() -> None:
    """It is known before the ticker ran, told once with its length, and is nothing to whoever began afterwards."""
    bench = Bench()
    begun = bench.clock.time
    bench.stall.watch(begun)
    bench.clock.time += TICKER_S + 30.0
    resumed = bench.clock.time
    assert bench.stall.paused_s(begun, resumed) == pytest.approx(30.0)
    bench.late(30.0 + LATENESS_IGNORED_S)  # the ticker's turn in the same pass
    assert len(bench.stall.pauses) == 1
    assert bench.stall.resumed_at == resumed
    assert bench.stall.paused_s(resumed, bench.clock.time) == 0.0
    assert bench.stall.paused_s(begun, bench.clock.time) == pytest.approx(30.0)


def test_many_short_stalls_are_no_pause() -> None:
    """However much is lost in pieces: each is credited, and a service that is dead is found."""
    bench = Bench()
    begun = bench.clock.time
    bench.stall.watch(begun)
    for _ in range(100):
        bench.late(PAUSE_S - 0.1)
    assert bench.stall.paused_s(begun, bench.clock.time) == 0.0
    assert bench.stall.lost(bench.clock.time) > 100


def test_pauses_are_bounded() -> None:
    """Only the last ones are kept."""
    bench = Bench()
    bench.stall.watch(bench.clock.time)
    for _ in range(3 * PAUSES_KEPT_MAX):
        bench.late(PAUSE_S + 1)
    assert len(bench.stall.pauses) == PAUSES_KEPT_MAX
