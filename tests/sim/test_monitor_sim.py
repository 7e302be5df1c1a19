"""A day of the monitor in virtual time: faults of the services are found, faults of ours are not taken for theirs."""

from __future__ import annotations

import errno
import socket as std
from functools import partial

from probe.values import Reason
from tests.sim.day import DAY_S, FAR, FAST_S, PERIOD_S, TIMEOUT_S, Day, Timings, Watched, check_edges, spoil_at_random
from tests.sim.loop import current_loop, run_virtual
from tests.sim.servers import Fault


def test_a_day_of_faults() -> None:
    """S30 S32 S64: each fault of a service gives one edge with its reason in time, its end one; there are no others."""

    async def main() -> str:
        day = Day(seed=11)
        day.at(0.0, lambda: spoil_at_random(day, DAY_S))
        await day.watch(20, DAY_S)
        assert sum(len(one.windows) for one in day.watched.values()) > 200
        assert day.fresh == 20
        for one in day.watched.values():
            check_edges(one)
            assert one.server.peak <= 1, "S65: a second check started while one hung"
            rounds = DAY_S / PERIOD_S
            assert rounds * 0.98 < day.counts.attempts[one.id] < rounds * 1.03
        assert not day.counts.unknowns
        assert day.counts.lag_s < 0.05
        assert not day.network.sockets
        assert not day.machine.host.flows, "ports are left in TIME_WAIT"
        assert day.network.peak <= 20
        return day.machine.digest

    run_virtual(main(), until_s=DAY_S + 60)


def test_faults_of_ours_are_not_theirs() -> None:
    """Our stalls, missing descriptors and ports, and our resolver are `unknown`: no edge in hours of them."""
    hours_s = 4 * 3600.0

    async def main() -> None:
        day = Day(seed=12)
        host, loop = day.machine.host, current_loop()
        for number in range(40):
            start = 60 + number * 330 + day.random.uniform(0, 100)
            loop.call_at(start, loop.stall, day.random.uniform(0.1, 60))
            day.at(start + 90, lambda: setattr(host, "descriptors_max", 0))
            day.at(start + 130, lambda: setattr(host, "descriptors_max", 100))
            day.at(start + 140, lambda: host.connect_errors.update({FAR: errno.EADDRNOTAVAIL}))
            day.at(start + 170, host.connect_errors.clear)
            kind = ("timeout", "servfail")[number % 2]
            day.at(start + 180, partial(host.names.__setitem__, "mail.example", kind))
            day.at(start + 220, lambda: host.names.update({"mail.example": [(int(std.AF_INET), FAR)]}))
        await day.watch(12, hours_s)
        assert not day.counts.failures
        assert all(not one.edges for one in day.watched.values())
        seen = {Reason.PROBER_DESCRIPTORS, Reason.PROBER_PORTS, Reason.DNS_TIMEOUT, Reason.DNS_SERVFAIL}
        assert seen <= set(day.counts.unknowns)
        assert not day.network.sockets

    run_virtual(main(), until_s=hours_s + 120)


def test_stalls_of_ours_are_not_slow_services() -> None:
    """FACTS, Truth: a loop stalled by up to ten time-outs makes no failure of a slow, healthy service, in any stage."""
    quick = Timings(period_s=1.0, timeout_s=0.5, fast_s=0.2)
    end_s = 600.0

    async def main() -> None:
        day, loop = Day(seed=16), current_loop()
        day.machine.wire.latency_s[FAR] = (0.01, 0.04)

        def slow_down() -> None:
            for one in day.watched.values():
                one.server.fault, one.server.delay_s = Fault.DELAY, 0.2

        day.at(0.0, slow_down)
        now = 0.0
        while (now := now + day.random.uniform(0.5, 4)) < end_s:
            loop.call_at(now, loop.stall, day.random.choice([0.3, 0.6, 1, 5]) * day.random.uniform(0.5, 1))
        await day.watch(12, end_s, quick)
        assert sum(day.counts.attempts.values()) > 2000
        assert not day.counts.failures
        assert set(day.counts.unknowns) <= {Reason.PROBER_STALLED, Reason.DNS_TIMEOUT}
        assert sum(day.counts.unknowns.values()) < 0.2 * sum(day.counts.attempts.values())

    run_virtual(main(), until_s=end_s + 60)


def test_faults_of_both() -> None:
    """A service's fault is found although we stall; the stall only makes it later, by its own length."""
    hours_s = 6 * 3600.0

    async def main() -> None:
        day, loop = Day(seed=13), current_loop()
        stalls: list[tuple[float, float]] = []
        now = 30.0
        while (now := now + day.random.uniform(20, 60)) < hours_s:
            stalls.append((now, day.random.uniform(0.1, 3 * TIMEOUT_S)))
        for at, seconds in stalls:
            loop.call_at(at, loop.stall, seconds)

        def stalled_s(start: float, end: float) -> float:
            # A probe that a stall made unknown is asked again; each stall on the way may cost its length and a retry.
            extra, previous = 0.0, -1.0
            while extra != previous:
                previous = extra
                again_s = {True: PERIOD_S, False: FAST_S}  # a pause leaves a round out
                extra = sum(
                    s + TIMEOUT_S + again_s[s > TIMEOUT_S] for at, s in stalls if at + s > start and at < end + extra
                )
            return extra

        day.at(0.0, lambda: spoil_at_random(day, hours_s))
        await day.watch(12, hours_s)
        for one in day.watched.values():
            check_edges(one, stalled_s)

    run_virtual(main(), until_s=hours_s + 120)


def test_blips_are_no_edges() -> None:
    """S67: one indefinite failure among good answers is verified and gives no edge; a refused connection is enough."""

    async def main() -> None:
        day = Day(seed=14)

        def spoil() -> None:
            for one in day.watched.values():
                for number in range(30):
                    self_healing(day, one, 100 + number * 100.0)

        day.at(0.0, spoil)
        await day.watch(8, 3600)
        assert all(not one.edges for one in day.watched.values())
        assert sum(day.counts.failures.values()) == 8 * 30
        assert max(day.counts.attempts.values()) <= 3600 / PERIOD_S + 30 + 1, "one retry each, no more"

    run_virtual(main(), until_s=3700)


def self_healing(day: Day, one: Watched, start: float) -> None:
    """Give the server a fault that ends with the first connection that met it."""
    before = 0

    def begin() -> None:
        nonlocal before
        before = one.server.total
        one.server.fault = Fault.WRONG
        day.at(day.machine.timeline.now + 0.01, look)

    def look() -> None:
        if one.server.total > before:
            one.server.fault = Fault.NONE
        else:
            day.at(day.machine.timeline.now + 0.01, look)

    day.at(start, begin)


def test_partition() -> None:
    """An address that nothing reaches is `connect_timeout` for those on it, and nothing for the others."""

    async def main() -> None:
        day = Day(seed=15)
        day.at(300, lambda: day.machine.wire.partition(FAR))
        day.at(900, lambda: day.machine.wire.heal(FAR))
        await day.watch(12, 1800)
        for one in day.watched.values():
            far = one.server.place[0] == FAR
            assert [event.alive for _, event in one.edges] == ([False, True] if far else [])
            assert {event.verdict.reason for _, event in one.edges if not event.alive} <= {Reason.CONNECT_TIMEOUT}
            assert one.server.connections == 0

    run_virtual(main(), until_s=1900)


def test_same_seed_same_day() -> None:
    """The same seed gives the same edges at the same times, another seed others."""

    async def main(seed: int) -> str:
        day = Day(seed)
        day.at(0.0, lambda: spoil_at_random(day, 7200))
        await day.watch(8, 7200)
        assert day.machine.notes
        return day.machine.digest

    digests = [run_virtual(main(seed), until_s=7300) for seed in (1, 1, 2)]
    assert digests[0] == digests[1] != digests[2]
