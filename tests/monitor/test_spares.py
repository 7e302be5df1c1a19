"""Sockets that are used again after a reset: how many are kept, whose source they have, and who gets them."""

from __future__ import annotations

from typing import Any

import pytest

from probe.environment import Socket
from probe.monitor.errnos import verdict_of_bind
from probe.monitor.spares import SPARES_MAX, SPARES_SHARE
from probe.values import Reason
from tests.monitor.rig import targets_of, virtual_server
from tests.monitor.sky import A_PASS_S, Network, Sky, fly
from tests.sim.servers import Fault
from tests.sim.sockets import SimSocket

MANY = 24


def test_steady_rounds_need_no_new_socket() -> None:
    """The one that the first light round opened serves all the others; each ends in a reset all the same."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", ("127.0.0.1", 25))
        watch = await sky.calm(sky.plan())
        await sky.again(watch)
        opened = sky.network.opened
        for _ in range(5):
            await sky.again(watch)
            assert sky.at_rest
        assert (watch.rounds, server.total, sky.network.opened) == (7, 7, opened)
        assert not server.sessions
        assert sky.machine.host.flows.total() == 0

    fly(body)


def test_each_has_its_own_source() -> None:
    """A socket goes from one source to another; one that was bound never serves a target without a source."""

    async def body(sky: Sky) -> None:
        sky.machine.host.local.add("10.0.0.5")
        places = {"127.0.0.1": None, "127.0.0.2": "127.0.0.2", "127.0.0.3": "127.0.0.3", "10.0.0.5": "127.0.0.4"}
        servers = {address: sky.machine.serve("smtp", (address, 25)) for address in places}
        watches = []
        for address, source in places.items():
            chosen: dict[str, Any] = {} if source is None else {"source": source}
            watches.append(await sky.calm(sky.plan(name=address, binding=f"{address}:25", **chosen)))
        opened = sky.network.opened
        for turn in range(8):  # one after the other: they find each other's socket
            await sky.again(watches[turn % 4])
        assert sky.network.opened <= opened + 2
        for address, source in places.items():
            assert dict(servers[address].sources) == {source or "127.0.0.1": 3}

    fly(body)


@pytest.mark.parametrize("room", [8 * SPARES_SHARE, 4 * MANY])
def test_no_more_are_kept_than_a_share(room: int) -> None:
    """Of those that leave together only so many sockets stay; the others are closed by a reset."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        watches = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(MANY)]
        for turn in range(1, 3):
            await sky.again(*watches)
            assert all(watch.rounds > turn for watch in watches)
            kept = sky.engine.spares.count
            assert kept == len(sky.network.sockets) == min(room // SPARES_SHARE, MANY)
        assert repr(sky.engine.spares) == f"<Spares {kept} of {min(room // SPARES_SHARE, SPARES_MAX)}>"
        assert sky.at_rest

    fly(body, max_in_flight=room)


def test_one_that_the_poller_knew_is_kept_too() -> None:
    """It leaves the poller, so that nobody is told of its next connection."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", ("127.0.0.1", 25))
        watch = await sky.calm(sky.plan())
        server.fault, server.delay_s = Fault.DELAY, 0.2
        for rounds in (2, 3):
            await sky.again(watch)
            assert list(sky.flights.aloft.values()) == [watch]
            await sky.later(0.5)
            assert (watch.rounds, sky.engine.spares.count, len(sky.network.sockets)) == (rounds, 1, 1)
            (kept,) = sky.network.sockets.values()
            assert not kept.pollers

    fly(body)


def test_where_the_kernel_refuses_they_are_closed() -> None:
    """A kernel that only resembles Linux costs the saving and nothing else."""

    class Refusing(Network):
        def disconnect(self, connection: Socket) -> bool:
            del connection
            return False

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", ("127.0.0.1", 25))
        watch = await sky.calm(sky.plan())
        sky.network.__class__ = Refusing
        for rounds in (2, 3):
            await sky.again(watch)
            assert (watch.rounds, sky.engine.spares.count, len(sky.network.sockets)) == (rounds, 0, 0)
        assert not server.sessions

    fly(body)


def test_a_dial_takes_one_too() -> None:
    """So that where descriptors are short those that are kept are the first to be used."""

    async def body(sky: Sky) -> None:
        server = sky.machine.serve("smtp", ("127.0.0.1", 25))
        watch = await sky.calm(sky.plan())
        await sky.again(watch)
        assert sky.engine.spares.count == 1
        sky.machine.host.descriptors_max = 1
        fresh = sky.watch(sky.plan(name="fresh"))
        await sky.later(A_PASS_S)
        assert fresh.rounds == 1
        assert fresh.verdict.reason is Reason.MATCHED
        assert server.total == 3

    fly(body)


def test_a_source_that_is_gone_is_told() -> None:
    """A socket that cannot be bound is closed, used before or not; the verdict is the one of S34."""

    async def body(sky: Sky) -> None:
        sky.machine.host.local.add("10.0.0.5")
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        watch = await sky.calm(sky.plan(source="10.0.0.5", fall=1))
        await sky.again(watch)
        assert sky.engine.spares.count == 1
        sky.machine.host.local.discard("10.0.0.5")
        for rounds in (3, 4):
            await sky.again(watch)
            assert watch.rounds >= rounds
            assert watch.verdict == verdict_of_bind(99, "10.0.0.5")
            assert sky.at_rest
            assert not sky.network.sockets

    fly(body)


def test_a_socket_that_cannot_be_prepared_is_closed() -> None:
    """An errno of setsockopt is ours like any other of opening."""

    class Unwilling(SimSocket):
        def setsockopt(self, level: int, option: int, value: Any, /) -> None:
            raise OSError(92, "planted")

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        (target,) = targets_of(sky.environment, virtual_server("127.0.0.1:25", source="127.0.0.2"))
        sky.network.kind = Unwilling
        told: list[Reason] = []
        sky.engine.dial(target, lambda result: told.append(result.verdict.reason))
        assert told == [Reason.PROBE_INTERNAL]
        assert not sky.network.sockets

    fly(body)


def test_ipv6_is_not_kept() -> None:
    """A socket that was connected to ::ffff:127.0.0.1 reaches no real IPv6 address any more (seen on Linux 6.18)."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("::1", 25))
        watch = await sky.calm(sky.plan(binding="[::1]:25"))
        for rounds in (2, 3):
            await sky.again(watch)
            assert (watch.rounds, sky.engine.spares.count, len(sky.network.sockets)) == (rounds, 0, 0)
        assert watch.verdict.reason is Reason.MATCHED

    fly(body)


def test_where_descriptors_are_short_none_is_kept() -> None:
    """Those that are of no use to a probe make room for it."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        watches = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(8)]
        await sky.again(*watches)
        assert sky.engine.spares.count == 8
        sky.machine.host.descriptors_max = 8
        bound = sky.watch(sky.plan(name="bound", source="127.0.0.2"))
        await sky.later(A_PASS_S)
        assert (bound.rounds, bound.verdict.reason) == (1, Reason.MATCHED)
        assert sky.engine.spares.count == 0
        sky.machine.host.descriptors_max = 0
        none = sky.watch(sky.plan(name="none"))
        await sky.later(A_PASS_S)
        assert (none.rounds, none.verdict.reason) == (1, Reason.PROBER_DESCRIPTORS)

    fly(body)


def test_those_of_another_kind_give_way() -> None:
    """What nobody needs any more does not keep out what is needed."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        first = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(10)]
        await sky.again(*first)
        assert sky.engine.spares.count == 10
        for watch in first:
            sky.monitors.unwatch(watch.id)
        later = [await sky.calm(sky.plan(name=f"b{number}", source="127.0.0.2")) for number in range(5)]
        await sky.again(*later)
        opened = sky.network.opened
        for _ in range(3):
            await sky.again(*later)
        assert sky.network.opened == opened
        assert sky.engine.spares.count == 10

    fly(body, max_in_flight=40)


def test_the_end_closes_all() -> None:
    """Nothing of it outlives the engine."""

    async def body(sky: Sky) -> None:
        sky.machine.serve("smtp", ("127.0.0.1", 25))
        watches = [await sky.calm(sky.plan(name=f"r{number}")) for number in range(3)]
        await sky.again(*watches)
        assert len(sky.network.sockets) == 3
        sky.engine.close()
        assert not sky.network.sockets
        assert sky.engine.spares.count == 0

    fly(body)
