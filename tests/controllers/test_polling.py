"""Looks at started services: when, how long, and what is told of them; the controllers' own tests show the rest."""

from __future__ import annotations

from itertools import pairwise

import pytest

from probe.controllers.polling import FIRST_LOOK_S, SPREAD, Polls
from probe.values import Incarnation, Reason, Verdict
from tests.controllers.surroundings import ID, Surroundings, in_virtual_time

RUNS = Verdict(Reason.MATCHED)
STOPPED = Verdict(Reason.EXTERNAL_STOP, "gone")


def polls_in(surroundings: Surroundings) -> Polls:
    """Make polls in these surroundings."""
    environment = surroundings.environment
    return Polls(environment.clock, environment.randomness, surroundings.spawn, surroundings.tell)


def test_looks_begin_soon_and_drift_apart() -> None:
    """The first look comes soon after the start, the others by the interval, some sooner and some later."""

    async def test() -> None:
        surroundings = Surroundings()
        times: list[float] = []

        async def look() -> Verdict:
            times.append(surroundings.clock.now())
            return RUNS

        polls = polls_in(surroundings)
        polls.begin(ID, Incarnation(1), 10, look)
        await surroundings.pass_time(1000)
        polls.close()
        pauses = [later - sooner for sooner, later in pairwise(times)]
        assert times[0] == FIRST_LOOK_S
        assert all(10 * (1 - SPREAD) <= pause <= 10 * (1 + SPREAD) for pause in pauses)
        assert max(pauses) - min(pauses) > 10 * SPREAD / 2
        assert len(times) == pytest.approx(100, abs=5)

    in_virtual_time(test)


def test_a_new_beginning_ends_the_old_one() -> None:
    """S57: a service that is started again is looked at once, and told of under its new incarnation."""

    async def test() -> None:
        surroundings = Surroundings()

        async def look() -> Verdict:
            return STOPPED

        polls = polls_in(surroundings)
        polls.begin(ID, Incarnation(1), 10, look)
        polls.begin(ID, Incarnation(2), 10, look)
        await surroundings.pass_time(100)
        assert surroundings.told == [(ID, 2, STOPPED)]
        polls.end(ID)

    in_virtual_time(test)


def test_a_look_with_a_bug_is_unknown_and_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that no look should raise is logged; the next look finds what there is to find."""

    async def test() -> None:
        surroundings = Surroundings()
        looks = 0

        async def look() -> Verdict:
            nonlocal looks
            looks += 1
            if looks == 1:
                raise RuntimeError("a bug")
            return STOPPED

        polls = polls_in(surroundings)
        polls.begin(ID, Incarnation(1), 1, look)
        await surroundings.pass_time(10)
        assert surroundings.told == [(ID, 1, STOPPED)]
        assert looks == 2

    in_virtual_time(test)
    assert "looking at evs1/store failed in a way it should not" in caplog.text


def test_an_end_inside_a_look_is_final() -> None:
    """S6: a stop that comes while a look is under way makes its answer worthless."""

    async def test() -> None:
        surroundings = Surroundings()

        async def look() -> Verdict:
            await surroundings.pass_time(5)
            return STOPPED

        polls = polls_in(surroundings)
        polls.begin(ID, Incarnation(1), 1, look)
        await surroundings.pass_time(3)
        polls.end(ID)
        await surroundings.pass_time(100)
        assert surroundings.told == []

    in_virtual_time(test)
