"""Workers that die, hang or babble: nothing of it is told of a service, and nothing that is known is lost."""

from __future__ import annotations

import signal

import pytest

from probe.values import Outcome
from probe.workers.shard import GONE_S, HUNG_S, RESTART_S
from tests.sim.servers import Fault
from tests.workers.rig import MANY, WorkersRig, on_worker, serve, simulate


def test_a_dead_worker_costs_no_reading_and_no_alarm() -> None:
    """A worker that is killed: its readings stay, nothing is posted, the next one goes on; no counter falls."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(25)
        before = {f"s{number}": rig.attempts(f"s{number}") for number in range(MANY)}
        mine = on_worker(rig, 0)
        rig.crews[0].signal_group(signal.SIGKILL)
        await rig.until(25.1)
        assert rig.metrics.workers == {"starting": 0, "running": 1, "gone": 1}
        assert all(rig.reading(name).outcome is Outcome.ALIVE for name in before)
        await rig.until(26)
        assert rig.metrics.workers == {"starting": 0, "running": 2, "gone": 0}
        assert rig.metrics.worker_restarts_total == 1
        assert sorted(on_worker(rig, 2)) == sorted(mine)
        assert all(rig.attempts(name) >= before[name] for name in before)
        assert all(rig.attempts(name) > before[name] for name in mine)
        assert rig.posted == []
        assert rig.monitors.fault == ""

    simulate(body)


def test_a_failure_found_after_a_death_is_told_with_the_level_believed() -> None:
    """What dies while its worker is away is found by the next one: one edge, since alive was believed."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY)
        await rig.until(5)
        name = on_worker(rig, 1)[0]
        rig.crews[1].signal_group(signal.SIGKILL)
        servers[int(name[1:])].fault = Fault.REFUSE
        await rig.until(7)
        assert rig.edges == [(name, False, "connect_refused")]
        dead = on_worker(rig, 2)
        assert name in dead
        rig.crews[2].signal_group(signal.SIGKILL)  # and again: it is known to be dead by now
        await rig.until(15)
        assert len(rig.edges) == 1
        assert rig.reading(name).alive is False

    simulate(body)


def test_while_a_worker_is_away_its_readings_grow_stale_and_we_unfit() -> None:
    """S66: a worker cannot be started: after the ordinary time its readings are stale, and we say that we are unfit."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        mine, others = on_worker(rig, 0), on_worker(rig, 1)
        rig.refuse_starts = 7
        rig.crews[0].signal_group(signal.SIGKILL)
        await rig.until(5 + GONE_S - 1)
        assert rig.monitors.fault == ""
        await rig.until(5 + GONE_S + 3)
        assert rig.monitors.fault.startswith("worker 1 of ours has been away for 1")
        assert "it cannot be started: Too many open files" in rig.monitors.fault
        await rig.until(50)  # three periods of 10 s and 5 s
        assert all(rig.reading(name).stale(rig.loop.time()) for name in mine)
        assert not any(rig.reading(name).stale(rig.loop.time()) for name in others)
        assert rig.posted == []
        await rig.until(90)
        assert rig.monitors.fault == ""
        assert not any(rig.reading(name).stale(rig.loop.time()) for name in mine)

    simulate(body)


def test_a_worker_that_hangs_is_killed_and_replaced() -> None:
    """A worker that says nothing is killed after a while; nothing is told of its services."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        rig.crews[0].freeze()
        await rig.until(5 + HUNG_S - 1)
        assert rig.crews[0].running
        await rig.until(5 + HUNG_S + 3)
        assert not rig.crews[0].running
        assert len(rig.crews) == 3
        assert rig.metrics.workers["running"] == 2
        assert rig.posted == []

    simulate(body)


def test_our_own_pause_kills_no_worker() -> None:
    """A pause of the main process is no silence of the workers'."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        rig.loop.stall(5 * HUNG_S)
        await rig.until(rig.loop.time() + 3)
        assert len(rig.crews) == 2
        assert all(crew.running for crew in rig.crews)

    simulate(body)


def test_garbage_from_a_worker_is_its_end_alone() -> None:
    """What a worker says and we do not understand ends that worker; another one is started in its place."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        rig.crews[1].theirs.send(b"\x00\x00\x00\x03abc")
        await rig.until(7)
        assert not rig.crews[1].running
        assert len(rig.crews) == 3
        assert rig.posted == []

    simulate(body)


@pytest.mark.parametrize("deaf", [False, True])
def test_the_end_leaves_nobody(deaf: bool) -> None:
    """Workers end with their channel; one that does not is killed. Nothing is started again."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        if deaf:
            rig.crews[0].freeze()
        await rig.monitors.close()
        assert [crew.exit_text for crew in rig.crews] == [
            "killed by SIGKILL" if deaf else "exit status 0",
            "exit status 0",
        ]
        await rig.until(5 + 100 * RESTART_S)
        assert len(rig.crews) == 2

    simulate(body)
