"""A common cause: what fails everywhere at once because of our own side is nobody's failure."""

from __future__ import annotations

import pytest

from probe.monitor.common import LOOK_MAX_S, OWN_TIMEOUT_S, SAMPLE_MAX, WATCHED_MIN
from probe.values import Reason
from tests.monitor.rig import FIRST, Rig, plan_of, simulate, virtual_server
from tests.sim.servers import Fault, Server

OWN = "127.0.0.1:9810"
SETTLED_S = 15.0


async def begin(rig: Rig, number_max: int) -> tuple[Server, list[Server]]:
    """Watch so many far servers, each alone on its address, with a listener of our own on loopback."""
    own = rig.machine.serve("smtp", ("127.0.0.1", 9810))
    servers = []
    for number in range(number_max):
        address = f"10.1.0.{number + 1}"
        rig.machine.wire.hosts.add(address)
        servers.append(rig.machine.serve("smtp", (address, 25)))
        server = virtual_server(f"{address}:25", poll_interval_s=10.0, probe_timeout_s=1.0)
        rig.monitors.watch(plan_of(rig.environment, server, f"smtp-{number}"), FIRST, True)
    rig.monitors.confirm_by(OWN)
    await rig.until(SETTLED_S)
    return own, servers


@pytest.mark.parametrize("fault", [Fault.BLACKHOLE, Fault.REFUSE, Fault.RESET_BEFORE])
def test_what_cuts_us_off_fails_nobody(fault: Fault, caplog: pytest.LogCaptureFixture) -> None:
    """All our packets dropped or rejected, our own listener's too: no edge, all unknown and ours; over when it is."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, 6)
        own.fault = Fault.BLACKHOLE if fault is Fault.BLACKHOLE else Fault.REFUSE
        for server in servers:
            server.fault = fault
        await rig.until(60.0)
        assert rig.posted == []
        readings = [rig.monitors.reading(id) for id in rig.monitors.ids()]
        assert all(reading is not None and reading.alive is True for reading in readings)
        assert {reason for _, reason in rig.counted.unknowns} == {Reason.PROBER_FORBIDDEN}
        assert len(rig.counted.unknowns) == len(servers)
        assert rig.counted.failures == {}, "what is doubted is not counted as a failure either"
        for server in (own, *servers):
            server.fault = Fault.NONE
        await rig.until(90.0)
        assert rig.posted == []

    simulate(body)
    assert len(caplog.messages) == len({message.partition(":")[0] for message in caplog.messages}), "said once"


def test_what_really_dies_is_told_at_once() -> None:
    """Five of six servers killed together: our own listener answers, and all five are told."""

    async def body(rig: Rig) -> None:
        _, servers = await begin(rig, 6)
        for server in servers[:5]:
            server.close()
        await rig.until(SETTLED_S + 10.5)
        assert sorted(edge.id.name for edge in rig.posted) == [f"smtp-{number}" for number in range(5)]
        assert all(edge.verdict.reason is Reason.CONNECT_REFUSED for edge in rig.posted)

    simulate(body)


def test_a_real_failure_among_doubts_is_told_once_we_are_reachable() -> None:
    """What was held for our own sake is asked again, and told when it fails by itself."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, 6)
        servers[0].close()
        for server in (own, *servers[1:]):
            server.fault = Fault.BLACKHOLE
        await rig.until(40.0)
        assert rig.posted == []
        for server in (own, *servers[1:]):
            server.fault = Fault.NONE
        await rig.until(40.0 + 10.5 + OWN_TIMEOUT_S)
        assert [edge.id.name for edge in rig.posted] == ["smtp-0"]

    simulate(body)


@pytest.mark.parametrize("dead", [1, 3])
def test_fewer_than_most_are_told_although_our_own_listener_is_out_of_reach(dead: int) -> None:
    """Up to half of six die while nobody reaches our own listener: the others answer, so it is no common cause."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, 6)
        own.fault = Fault.BLACKHOLE
        for server in servers[:dead]:
            server.close()
        await rig.until(SETTLED_S + 10.0 + OWN_TIMEOUT_S + LOOK_MAX_S + OWN_TIMEOUT_S)
        assert sorted(edge.id.name for edge in rig.posted) == [f"smtp-{number}" for number in range(dead)]
        assert {id.name for id, _, _ in rig.counted.failures} == {f"smtp-{number}" for number in range(dead)}

    simulate(body)


def test_before_fewer_are_told_the_others_are_asked() -> None:
    """The first one that a cut reaches fails alone: the others are asked then and there, not in their next round."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, 6)
        for server in (own, *servers):
            server.fault = Fault.REFUSE
        before = sum(rig.counted.attempts.values())
        while not rig.counted.unknowns:
            await rig.until(rig.loop.time() + 0.05)
        assert rig.counted.unknowns.total() > 1
        assert sum(rig.counted.attempts.values()) - before >= len(servers)
        assert rig.posted == []

    simulate(body)


def test_of_many_a_sample_decides() -> None:
    """Two hundred resources behind one cut: nobody is told, and no more than a sample is asked ahead of its time."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, 200)
        for server in (own, *servers):
            server.fault = Fault.REFUSE
        before = sum(rig.counted.attempts.values())
        while not rig.counted.unknowns:
            await rig.until(rig.loop.time() + 0.01)
        assert sum(rig.counted.attempts.values()) - before < 2 * SAMPLE_MAX
        await rig.until(60.0)
        assert rig.posted == []

    simulate(body, max_in_flight=400)


def test_few_resources_are_believed_without_asking() -> None:
    """Below five there is no common cause to be seen."""

    async def body(rig: Rig) -> None:
        own, servers = await begin(rig, WATCHED_MIN - 1)
        own.fault = Fault.BLACKHOLE
        servers[0].close()
        await rig.until(SETTLED_S + 10.5)
        assert len(rig.posted) == 1

    simulate(body)
