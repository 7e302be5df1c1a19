"""When regular rounds are due: spread over the period, and in groups where there are many."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.monitor.surroundings import GROUPS_PER_PERIOD_MIN, TICKS_BETWEEN_MAX, TOGETHER
from probe.monitor.wheel import TICK_S, TICKS_PER_S
from tests.monitor.sky import Sky, fly


def phases(watched: int, period_s: float, now: float = 1000.0, seed: int = 1, taken: int | None = None) -> list[float]:
    """Choose the phases of so many watches."""
    found: list[float] = []

    async def body(sky: Sky) -> None:
        around = sky.monitors._around
        around.watched = lambda: watched
        around.randomness = random.Random(seed)
        found.extend(around.phase(now, period_s) for _ in range(watched if taken is None else taken))

    fly(body)
    return found


def ticks(found: list[float]) -> Counter[int]:
    """Count those that are due in one tick; each is in the middle of it, where no rounding moves it."""
    for phase in found:
        assert abs(phase * TICKS_PER_S % 1.0 - 0.5) < 1e-3
    return Counter(int(phase * TICKS_PER_S) for phase in found)


def test_few_are_spread_evenly() -> None:
    """Below one in a tick each has a moment of its own."""
    found = phases(500, 10.0)
    assert len(set(found)) == 500
    assert all(1000.0 <= phase <= 1010.0 for phase in found)


@pytest.mark.parametrize(
    ("watched", "period_s", "apart"), [(1_000, 10.0, 8), (5_000, 2.0, 4), (20_000, 10.0, 5), (100_000, 10.0, 1)]
)
def test_many_leave_in_groups(watched: int, period_s: float, apart: int) -> None:
    """So many ticks lie between two groups, and in each is about its share, never many more than a pass is good for."""
    groups = ticks(phases(watched, period_s))
    assert {later - earlier for earlier, later in zip(sorted(groups), sorted(groups)[1:], strict=False)} == {apart}
    share = watched * apart * TICK_S / period_s
    assert share <= TOGETHER
    inner = [groups[at] for at in sorted(groups)[1:-1]]  # the period begins and ends within a group
    assert share / 3 - 5 < min(inner)
    assert max(inner) < 2 * share + 5


@given(
    watched=st.integers(1, 1_000_000),
    period_s=st.floats(0.1, 86_400.0),
    now=st.floats(0.0, 1e8),
    seed=st.integers(0, 1000),
)
def test_a_phase_is_within_its_period(watched: int, period_s: float, now: float, seed: int) -> None:
    """No round waits much longer than its period, however many there are; the groups of one are several."""
    step_s = min(TICKS_BETWEEN_MAX * TICK_S, max(TICK_S, period_s / GROUPS_PER_PERIOD_MIN))
    for phase in phases(watched, period_s, now, seed, taken=20):
        assert now - TICK_S / 2 - 1e-6 <= phase <= now + period_s + step_s + 1e-6


def test_groups_stay_together() -> None:
    """Watches that share a phase share the next one, a hundred periods later too, with any period."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        plan = sky.plan(poll_interval_s=1.7)
        one, two = sky.watch(plan), sky.watch(sky.plan(name="two", poll_interval_s=1.7))
        await sky.later(1.0)
        one.phase = two.phase = sky.loop.time() + 0.505
        sky.engine.wheel.cancel(one)
        sky.engine.wheel.cancel(two)
        one._put(one.phase)
        two._put(two.phase)
        before = one.rounds, two.rounds
        await sky.later(170.0)
        assert (one.rounds - before[0], two.rounds - before[1]) == (100, 100)
        assert one.phase == two.phase
        assert one.started == two.started

    fly(body)
