"""One worker as the main process sees it: when it is started again, and how fast it is told what to do."""

from __future__ import annotations

import asyncio
import signal
from itertools import pairwise

import pytest

from probe.workers import shard as module
from probe.workers import wire
from probe.workers.sharded import EACH_MIN
from tests.monitor.rig import FIRST
from tests.workers.rig import WorkersRig, simulate


def test_one_that_keeps_dying_is_started_ever_later() -> None:
    """The pauses double up to their bound; after a steady while the first one is short again."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        rig.monitors.watch(rig.plan("s", "127.0.0.1:25"), FIRST, True)
        born = []
        for _ in range(10):
            count = len(rig.crews)
            born.append(rig.loop.time())
            await rig.until(rig.loop.time() + 0.01)
            rig.crews[-1].signal_group(signal.SIGKILL)
            while len(rig.crews) == count:
                await rig.until(rig.loop.time() + 0.05)
        gaps = [later - earlier for earlier, later in pairwise(born)]
        assert all(later > 1.5 * earlier for earlier, later in pairwise(gaps[:7]))
        assert max(gaps) < module.RESTART_S_MAX + 1
        await rig.until(rig.loop.time() + module.STEADY_S + 2)
        rig.crews[-1].signal_group(signal.SIGKILL)
        count = len(rig.crews)
        await rig.until(rig.loop.time() + 0.5)
        assert len(rig.crews) == count + 1
        assert rig.metrics.worker_restarts_total == 11
        assert rig.posted == []

    simulate(body)


def test_plans_are_told_as_fast_as_they_are_taken() -> None:
    """A worker that takes nothing is told a bounded number of plans; the others wait as what they are by then."""

    async def body(rig: WorkersRig) -> None:
        count = 2000
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        rig.monitors.watch(rig.plan("first", "127.0.0.1:25"), FIRST, True)
        await rig.until(1)
        (crew,) = rig.crews
        crew.theirs.clogged = True
        for number in range(count):
            rig.monitors.watch(rig.plan(f"s{number}", "127.0.0.1:25"), FIRST, True)
        shard = rig.monitors._shards[0]
        assert crew.ours.waiting < module.WAITING_BYTES_MAX + 1000
        assert len(shard._owed) > count - 500
        last = rig.plan(f"s{count - 1}", "127.0.0.1:25", poll_interval_s=2.0)
        rig.monitors.replan(last)
        rig.monitors.unwatch(rig.plan(f"s{count - 2}", "127.0.0.1:25").id)
        crew.theirs.unclog()
        await rig.until(3)
        assert not shard._owed
        assert rig.reading(f"s{count - 1}").fresh_s == last.fresh_s
        assert crew.prober is not None
        names = {watched.id.name: watched for watched in crew.prober._by_serial.values()}
        assert len(names) == count
        assert f"s{count - 2}" not in names
        plan = crew.prober._monitors.plan(last.id)
        assert plan is not None
        assert plan.period_s == 2.0

    simulate(body, workers=2000)


def test_what_no_frame_holds_is_asked_here() -> None:
    """A resource with too many bindings for a frame is asked by the main process itself."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        plan = rig.plan("s", "127.0.0.1:25", comment="x" * wire.FRAME_BYTES_MAX)
        rig.monitors.watch(plan, FIRST, True)
        await rig.until(1)
        assert rig.reading("s").alive
        assert rig.monitors.ids() == (plan.id,)
        assert rig.attempts("s") == 1
        rig.monitors.unwatch(plan.id)
        assert rig.monitors.ids() == ()

    simulate(body)


def test_one_that_hangs_up_and_stays_is_killed() -> None:
    """A worker that closes its channel and does not end is killed within seconds, then replaced."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        for number in range(EACH_MIN):
            rig.monitors.watch(rig.plan(f"s{number}", "127.0.0.1:25"), FIRST, True)
        await rig.until(5)
        rig.crews[0].obeys = False
        rig.crews[0].theirs.close()
        await rig.until(8)
        assert rig.crews[0].exit_text == "killed by SIGKILL"
        assert rig.metrics.workers["running"] == 1
        assert rig.reading("s3").alive

    simulate(body)


def test_one_that_speaks_and_does_not_listen_is_killed(caplog: pytest.LogCaptureFixture) -> None:
    """What waits for a worker has a bound: beyond it the worker is killed and replaced, which is counted."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        plan = rig.plan("s", "127.0.0.1:25")
        rig.monitors.watch(plan, FIRST, True)
        await rig.until(1)
        crew = rig.crews[0]
        crew.theirs.clogged, crew.obeys = True, False
        most = 0
        while crew.running and most <= 2 * module.UNREAD_BYTES_MAX:
            for _ in range(20_000):
                rig.monitors.verify(plan.id)
            most = max(most, crew.ours.waiting)
            await asyncio.sleep(0)
        assert most <= module.UNREAD_BYTES_MAX
        assert crew.exit_text == "killed by SIGKILL"
        await rig.until(3)
        assert len(rig.crews) == 2
        assert rig.metrics.worker_restarts_total == 1
        assert rig.metrics.workers["running"] == 1
        assert "it does not take what it is told" in caplog.text
        assert rig.posted == []

    simulate(body)


def test_a_mistake_of_ours_at_a_start_is_not_the_last_try(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a start raises is logged, and the worker is started later; at the first start as at a later one."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        rig.refuse_starts, rig.refusal = 2, ValueError("a mistake")
        rig.monitors.watch(rig.plan("s", "127.0.0.1:25"), FIRST, True)
        await rig.until(3)
        assert rig.reading("s").alive
        assert rig.metrics.worker_restarts_total == 2
        assert "a mistake in looksalive: worker 1 is not started" in caplog.text

    simulate(body)


def test_an_ill_worker_is_our_illness() -> None:
    """Why a worker cannot tell is why we are unfit, until it says that it can, or is gone."""

    async def body(rig: WorkersRig) -> None:
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        rig.monitors.watch(rig.plan("s", "127.0.0.1:25"), FIRST, True)
        await rig.until(1)
        assert rig.metrics.prober_healthy
        rig.crews[0].theirs.send(wire.frame(wire.Beat("no descriptors")))
        await rig.until(1.05)
        assert rig.monitors.fault == "no descriptors"
        assert not rig.metrics.prober_healthy
        await rig.until(3)
        assert rig.monitors.fault == ""
        assert rig.metrics.prober_healthy
        rig.crews[0].theirs.send(wire.frame(wire.Beat("no descriptors")))
        await rig.until(3.05)
        rig.crews[0].signal_group(signal.SIGKILL)
        await rig.until(3.1)
        assert rig.monitors.fault == ""
        assert rig.metrics.prober_healthy

    simulate(body)
