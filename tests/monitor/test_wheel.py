"""The wheel: what is due fires in order, in time, once; what is cancelled does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.monitor.wheel import ENTRIES_PER_LOOK, ENTRIES_PER_PASS_MAX, NOWHERE, TICK_S, Wheel


class HandClock:
    """A clock moved by hand; timers fire when it is."""

    def __init__(self) -> None:
        self.time = 100.0
        self.timers: list[HandTimer] = []

    def now(self) -> float:
        return self.time

    def wall(self) -> float:
        return self.time

    def call_at(self, when: float, call: Callable[[], None]) -> HandTimer:
        timer = HandTimer(self, when, call)
        self.timers.append(timer)
        return timer

    async def sleep(self, seconds: float) -> None:
        raise NotImplementedError

    def move(self, seconds: float) -> None:
        """Let time pass, firing timers at their time; those set for now or earlier fire once each."""
        end = self.time + seconds
        while due := [timer for timer in self.timers if timer.when <= end]:
            first = min(due, key=lambda timer: timer.when)
            self.timers.remove(first)
            self.time = max(self.time, first.when)
            first.call()
        self.time = end


class HandTimer:
    def __init__(self, clock: HandClock, when: float, call: Callable[[], None]) -> None:
        self.clock = clock
        self.when = when
        self.call = call

    def cancel(self) -> None:
        if self in self.clock.timers:
            self.clock.timers.remove(self)


class Bell:
    """An entry that notes when it was due."""

    def __init__(self, rung: list[tuple[Bell, float]], then: Callable[[], None] = lambda: None) -> None:
        self.tick = NOWHERE
        self.rung = rung
        self.then = then

    def due(self, now: float) -> None:
        self.rung.append((self, now))
        self.then()


class Bench:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.looks = 0
        self.wheel = Wheel(self.clock, self.look)
        self.rung: list[tuple[Bell, float]] = []

    def look(self) -> None:
        self.looks += 1

    def bell(self, after_s: float) -> Bell:
        bell = Bell(self.rung)
        self.wheel.add(bell, self.clock.time + after_s)
        return bell


@given(st.lists(st.floats(0, 30), max_size=40), st.sets(st.integers(0, 39)))
def test_each_is_due_once_never_early_and_at_most_a_tick_late(delays: list[float], cancelled: set[int]) -> None:
    """Whatever is added fires in (when, when + tick]; whatever is cancelled never does."""
    bench = Bench()
    bells = [bench.bell(delay) for delay in delays]
    for number in cancelled:
        if number < len(bells):
            bench.wheel.cancel(bells[number])
    bench.clock.move(31)
    expected = [bell for number, bell in enumerate(bells) if number not in cancelled]
    assert sorted(map(id, (bell for bell, _ in bench.rung))) == sorted(map(id, expected))
    for bell, at in bench.rung:
        when = 100.0 + delays[bells.index(bell)]
        assert when - 1e-6 <= at <= when + TICK_S + 1e-6


def test_one_timer_serves_all() -> None:
    """A thousand entries hold one timer of the clock, and none when nothing is left."""
    bench = Bench()
    bells = [bench.bell(number / 100) for number in range(1000)]
    assert len(bench.clock.timers) == 1
    for bell in bells:
        bench.wheel.cancel(bell)
    bench.clock.move(11)
    assert not bench.rung
    assert not bench.clock.timers


def test_a_cancelled_entry_is_not_kept() -> None:
    """A deadline that was not needed is dropped at once, not when it would have come."""
    bench = Bench()
    bell = bench.bell(5)
    assert repr(bench.wheel).startswith("<Wheel 1 waiting")
    bench.wheel.cancel(bell)
    bench.wheel.cancel(bell)
    assert repr(bench.wheel).startswith("<Wheel 0 waiting")


def test_an_earlier_entry_moves_the_timer() -> None:
    """What is added for sooner than anything else is due at its own time."""
    bench = Bench()
    bench.bell(5)
    early = bench.bell(1)
    bench.clock.move(1.1)
    assert [bell for bell, _ in bench.rung] == [early]


def test_an_entry_can_cancel_another_of_its_tick() -> None:
    """What is cancelled while its tick fires is not due any more; added anew it is due once."""
    bench = Bench()
    first, second = Bell(bench.rung), Bell(bench.rung)
    third = Bell(bench.rung)

    def change() -> None:
        bench.wheel.cancel(second)
        bench.wheel.cancel(third)
        bench.wheel.add(third, bench.clock.time)

    first.then = change
    for bell in (first, second, third):
        bench.wheel.add(bell, 101.0)
    bench.clock.move(1.1)
    assert [bell for bell, _ in bench.rung] == [first, third]


def test_a_pass_is_bounded_and_answers_are_looked_for() -> None:
    """Many due at once do not hold the loop: a pass fires a slice, and looks for answers in between."""
    bench = Bench()
    many = ENTRIES_PER_PASS_MAX * 2 + 10
    for _ in range(many):
        bench.bell(1)
    timer = bench.clock.timers.pop()
    bench.clock.time = timer.when
    timer.call()
    assert len(bench.rung) == ENTRIES_PER_PASS_MAX
    assert bench.looks == ENTRIES_PER_PASS_MAX // ENTRIES_PER_LOOK + 1  # and at the end
    bench.clock.move(0)
    assert len(bench.rung) == many


def test_one_that_raises_keeps_no_other_from_being_due(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in one entry is logged; the others of its tick are due all the same."""
    bench = Bench()
    broken = bench.bell(1)
    broken.then = lambda: 1 / 0  # type: ignore[assignment] # raising is the point
    other = bench.bell(1)
    bench.clock.move(1.1)
    assert [bell for bell, _ in bench.rung] == [broken, other]
    assert "a due call failed" in caplog.text


def test_a_closed_wheel_looks_and_fires_no_more() -> None:
    """Closing in the middle of a pass ends it, and what is added afterwards is never due: the poller is gone then."""
    bench = Bench()
    closer, other = bench.bell(1), bench.bell(1)
    closer.then = bench.wheel.close
    bench.clock.move(1.1)
    bench.wheel.add(other, bench.clock.now() + 1)
    bench.clock.move(2.0)
    assert ([bell for bell, _ in bench.rung], bench.looks) == ([closer], 0)


class Timed(Bell):
    """A bell that knows its time."""

    def __init__(self, rung: list[tuple[Bell, float]], when: float) -> None:
        super().__init__(rung)
        self.when = when


class Two:
    """Two wheels that are told the same: one entry by entry, one in batches."""

    def __init__(self) -> None:
        self.singly, self.jointly = Bench(), Bench()
        self.numbers: dict[Bell, int] = {}

    def add(self, batch: list[float]) -> None:
        """Add entries that are due so many seconds from now."""
        now = self.singly.clock.time
        assert now == self.jointly.clock.time
        singly = [Timed(self.singly.rung, now + after_s) for after_s in batch]
        jointly = [Timed(self.jointly.rung, now + after_s) for after_s in batch]
        for bell in singly:
            self.singly.wheel.add(bell, bell.when)
        self.jointly.wheel.add_each(jointly)
        for pair in zip(singly, jointly, strict=True):
            assert pair[0].tick == pair[1].tick
            self.numbers |= dict.fromkeys(pair, len(self.numbers) // 2)

    def move(self, seconds: float) -> None:
        """Let time pass, and compare what was due, in which order and when, and what is waited for."""
        for bench in (self.singly, self.jointly):
            bench.clock.move(seconds)
        heard = [[(self.numbers[bell], at) for bell, at in bench.rung] for bench in (self.singly, self.jointly)]
        assert heard[0] == heard[1]
        timers = [[timer.when for timer in bench.clock.timers] for bench in (self.singly, self.jointly)]
        assert timers[0] == timers[1]
        assert repr(self.singly.wheel) == repr(self.jointly.wheel)


DELAYS = st.lists(st.floats(0.01, 3) | st.sampled_from([0.01, 0.02, 0.5, 0.501, 1.0]), max_size=8)


@given(st.lists(st.tuples(DELAYS, st.floats(0, 1)), max_size=8))
def test_what_is_added_in_batches_is_due_as_what_is_added_singly(steps: list[tuple[list[float], float]]) -> None:
    """The same entries, in the same order, at the same time, by the same timer."""
    two = Two()
    for batch, pause_s in steps:
        two.add(batch)
        two.move(0)
        two.move(pause_s)
    two.move(4)
    assert len(two.jointly.rung) == sum(len(batch) for batch, _ in steps)


@given(DELAYS, DELAYS)
def test_a_batch_that_is_added_while_the_wheel_fires_is_due_too(first: list[float], second: list[float]) -> None:
    """In a pass no timer is set; its end sets one for what is due first by then."""
    two = Two()
    adding = [bench.bell(0.25) for bench in (two.singly, two.jointly)]
    two.numbers |= dict.fromkeys(adding, -1)
    now = two.singly.clock.time + 0.25
    singly = [Timed(two.singly.rung, now + after_s) for after_s in second]
    jointly = [Timed(two.jointly.rung, now + after_s) for after_s in second]
    for pair in zip(singly, jointly, strict=True):
        two.numbers |= dict.fromkeys(pair, -2 - len(two.numbers))

    def add_singly() -> None:
        for one in singly:
            two.singly.wheel.add(one, one.when)

    adding[0].then = add_singly
    adding[1].then = lambda: two.jointly.wheel.add_each(jointly)
    two.add(first)
    for _ in range(45):
        two.move(0.1)
    assert len(two.jointly.rung) == 1 + len(first) + len(second)
