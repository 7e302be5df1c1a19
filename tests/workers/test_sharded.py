"""The monitors of several processes seen as one: the same answers as of one process, whatever becomes of a worker."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from bindings.model import Resource
from probe.environment import Gone
from probe.lifecycle.events import Trigger
from probe.monitor.contract import Watching
from probe.monitor.plan import Plans
from probe.values import Incarnation, Outcome, Reason, ResourceId, Stage, Verdict
from probe.workers.sharded import shard_of
from tests.monitor.rig import FIRST, Rig, plan_of, virtual_server
from tests.monitor.rig import simulate as simulate_one
from tests.sim.servers import Fault
from tests.workers.rig import MANY, WorkersRig, id_of, on_worker, serve, simulate

SECOND = Incarnation(2)


def test_the_shard_of_a_resource_never_changes() -> None:
    """The same resource has the same worker in every run and every version; all workers get about as many."""
    assert [shard_of(ResourceId("default", f"smtp-{number}"), 4) for number in range(8)] == [0, 2, 0, 2, 1, 3, 1, 3]
    counted = [0] * 7
    for number in range(7000):
        counted[shard_of(ResourceId(f"g{number % 5}", f"r{number}"), 7)] += 1
    assert min(counted) > 850
    assert max(counted) < 1150


def test_a_few_are_one_workers() -> None:
    """As long as there are few, one worker has them all, and no other process is started."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY - 1)
        await rig.until(1)
        assert len(rig.crews) == 1
        assert len(on_worker(rig, 0)) == MANY - 1
        assert rig.metrics.workers == {"starting": 0, "running": 1, "gone": 0}

    simulate(body)


def test_many_are_spread_and_none_is_lost() -> None:
    """With enough for every worker each has its share; all are read, each is counted, nothing is posted."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY + 20)
        assert not rig.monitors.first_round_done
        await rig.until(1)
        shares = [set(on_worker(rig, 0)), set(on_worker(rig, 1))]
        assert not shares[0] & shares[1]
        assert shares[0] | shares[1] == {f"s{number}" for number in range(MANY + 20)}
        assert min(map(len, shares)) > 10
        assert rig.monitors.first_round_done
        await rig.until(35.5)
        for number in range(MANY + 20):
            reading = rig.reading(f"s{number}")
            assert (reading.alive, reading.outcome, reading.stale(rig.loop.time())) == (True, Outcome.ALIVE, False)
            rig.monitors.unwatch(id_of(f"s{number}"))
        await rig.until(36.5)
        for number, server in enumerate(servers):
            assert rig.attempts(f"s{number}") == server.total >= 4
        assert sum(rig.metrics.probe_lag.counts) == sum(server.total for server in servers)
        assert sum(rig.metrics.stages["smtp", Stage.BANNER].counts) == sum(server.total for server in servers)
        assert rig.posted == []

    simulate(body)


def test_an_edge_is_posted_at_once_and_once() -> None:
    """S64: a refused connection is posted in the moment it is found, behind its reading; then no more."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY)
        await rig.until(15)
        servers[3].fault = Fault.REFUSE
        rig.monitors.verify(id_of("s3"), Trigger.KERNEL, at=rig.loop.time())
        await rig.until(15.02)
        assert rig.edges == [("s3", False, "listener_gone")]
        assert rig.posted[0].trigger is Trigger.KERNEL
        assert rig.posted[0].seen_at == pytest.approx(15)
        reading = rig.reading("s3")
        assert (reading.alive, reading.verdict.reason) == (False, Reason.CONNECT_REFUSED)
        await rig.until(60)
        assert len(rig.posted) == 1
        failed = rig.metrics.resources[id_of("s3")].failures[Stage.CONNECT, Reason.CONNECT_REFUSED]
        assert failed >= 4
        assert len(rig.monitors.evidence.transcripts(id_of("s3"))) == 1

    simulate(body)


@pytest.mark.parametrize("count", [6, MANY + 20])
def test_a_common_cause_is_nobodys_failure(count: int) -> None:
    """All fail at once and so does a listener of our own: nothing is told, however few or many there are."""

    async def body(rig: WorkersRig) -> None:
        own = rig.machine.serve("smtp", ("127.0.0.1", 9810))
        rig.monitors.confirm_by("127.0.0.1:9810")
        servers = serve(rig, count)
        await rig.until(15)
        for server in (own, *servers):
            server.fault = Fault.REFUSE
        await rig.until(60)
        assert rig.posted == []
        for number in range(count):
            reading = rig.reading(f"s{number}")
            assert (reading.alive, reading.verdict.reason) == (True, Reason.PROBER_FORBIDDEN)
            assert not rig.metrics.resources[id_of(f"s{number}")].failures
        own.fault = Fault.NONE
        await rig.until(100)
        assert sorted(name for name, _, _ in rig.edges) == sorted(f"s{number}" for number in range(count))

    simulate(body)


def life(rig: Rig | WorkersRig, monitors: Watching) -> Callable[[], Awaitable[list[object]]]:
    """A story of failures, doubts and returns; gives what was posted and suspected of it."""

    async def run() -> list[object]:
        servers = []
        for number in range(MANY):
            servers.append(rig.machine.serve("smtp", ("127.0.0.1", 1000 + number)))
            asked = virtual_server(f"127.0.0.1:{1000 + number}", fall=1 + number % 3, rise=1 + number % 2)
            monitors.watch(plan_of(rig.environment, asked, f"s{number}"), FIRST, True)
        await rig.until(12)
        for server, fault in zip(servers, (Fault.REFUSE, Fault.SILENT, Fault.REFUSE, Fault.SILENT), strict=False):
            server.fault = fault
        await rig.until(60)
        for server in servers[:3]:
            server.fault = Fault.NONE
        await rig.until(100)
        posted = sorted((event.id.name, event.alive, event.verdict.reason) for event in rig.posted)
        return [posted, sorted(event.id.name for event in rig.suspected)]

    return run


def test_the_same_story_is_told_as_by_one_process() -> None:
    """S31, S32, S64: what is posted and suspected with two workers is what is posted without any."""
    stories: list[list[object]] = []

    async def one(rig: Rig) -> None:
        stories.append(await life(rig, rig.monitors)())

    async def several(rig: WorkersRig) -> None:
        stories.append(await life(rig, rig.monitors)())

    simulate_one(one)
    simulate(several)
    assert stories[0] == stories[1]
    assert len(stories[0][0]) == 7  # type: ignore[arg-type]  # four fail, three return


def test_an_unwatched_resource_is_asked_no_more_and_counted_to_the_end() -> None:
    """S68: after unwatch no check; what the worker counted last is still added; what comes later is dropped."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY)
        await rig.until(25.05)
        rig.monitors.unwatch(id_of("s0"))
        rig.monitors.unwatch(id_of("s0"))
        assert rig.monitors.reading(id_of("s0")) is None
        assert rig.monitors.plan(id_of("s0")) is None
        assert id_of("s0") not in rig.monitors.ids()
        assert rig.monitors.places.at(("127.0.0.1", 1000)) == ()
        await rig.until(26)
        total = servers[0].total
        assert rig.attempts("s0") == total
        await rig.until(60)
        assert servers[0].total == total
        assert all(not shard.ending for shard in rig.monitors._shards)

    simulate(body)


def test_another_incarnation_begins_anew() -> None:
    """S66: a new incarnation has no reading until its first check, and edges carry it; the same one goes on."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY)
        await rig.until(5)
        plan = rig.monitors.plan(id_of("s1"))
        assert plan is not None
        rounds = rig.reading("s1").rounds
        rig.monitors.watch(plan, FIRST, True)
        assert rig.reading("s1").rounds == rounds
        rig.monitors.watch(plan, SECOND, None, True)
        assert rig.monitors.reading(id_of("s1")) is None
        await rig.until(6)
        assert [(event.incarnation, event.alive) for event in rig.posted] == [(SECOND, True)]
        servers[1].fault = Fault.REFUSE
        await rig.until(20)
        assert [event.incarnation for event in rig.posted] == [SECOND, SECOND]

    simulate(body)


def test_the_cores_belief_is_taken_over() -> None:
    """What the core says of the level stands at once, also against an older reading that is on its way."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, MANY)
        servers[2].fault = Fault.REFUSE
        await rig.until(15)
        plan = rig.monitors.plan(id_of("s2"))
        assert plan is not None
        assert rig.reading("s2").alive is False
        rig.monitors.watch(plan, FIRST, True)
        assert rig.reading("s2").alive is True
        await rig.until(30)
        assert rig.edges == [("s2", False, "connect_refused")] * 2

    simulate(body)


def test_a_level_that_is_on_its_way_is_older_than_the_cores_word() -> None:
    """A reading that was told before the worker heard the core's word does not undo that word."""

    async def body(rig: WorkersRig) -> None:
        servers = serve(rig, 1)
        await rig.until(5)
        (crew,) = rig.crews
        crew.ours.clogged = True
        servers[0].fault = Fault.REFUSE
        rig.monitors.verify(id_of("s0"))
        await rig.until(6)
        plan = rig.monitors.plan(id_of("s0"))
        assert plan is not None
        crew.theirs.clogged = True
        rig.monitors.watch(plan, FIRST, True)
        crew.ours.unclog()
        assert rig.edges == [("s0", False, "connect_refused")]
        reading = rig.reading("s0")
        assert (reading.alive, reading.verdict.reason) == (True, Reason.CONNECT_REFUSED)
        crew.theirs.unclog()
        await rig.until(20)
        assert rig.reading("s0").alive is False
        assert len(rig.edges) == 2

    simulate(body)


def test_a_changed_plan_is_asked_and_its_reading_stays() -> None:
    """A reload: the reading stays until the new binding has answered, places follow the plan."""

    async def body(rig: WorkersRig) -> None:
        serve(rig, MANY)
        await rig.until(5)
        rig.machine.serve("smtp", ("127.0.0.1", 2000))
        before = rig.reading("s4")
        plan = rig.plan("s4", "127.0.0.1:2000", poll_interval_s=2.0)
        rig.monitors.replan(plan)
        assert rig.reading("s4").result == before.result
        assert rig.reading("s4").fresh_s == plan.fresh_s
        assert rig.monitors.places.at(("127.0.0.1", 2000)) == (id_of("s4"),)
        assert rig.monitors.places.candidates(Gone("0.0.0.0", 1004)) == ()
        await rig.until(10)
        assert rig.reading("s4").address == "127.0.0.1:2000"
        assert rig.reading("s4").result.target is plan.targets[0]
        assert rig.posted == []

    simulate(body)


def test_what_is_looked_at_stays_here() -> None:
    """A look is made by the main process, beside the workers; as a conversation it moves to one, and back."""

    async def body(rig: WorkersRig) -> None:
        async def look() -> Verdict:
            return Verdict(Reason.MATCHED, "all is well")

        looked = Plans(rig.environment).plan_look(Resource(group="default", name="disk", type="physical-disk"), look)
        rig.monitors.watch(looked, FIRST, True)
        await rig.until(1)
        assert rig.crews == []
        assert rig.reading("disk").verdict.evidence == "all is well"
        assert rig.monitors.ids() == (looked.id,)
        assert rig.monitors.plan(looked.id) is looked
        rig.machine.serve("smtp", ("127.0.0.1", 25))
        asked = rig.plan("disk", "127.0.0.1:25")
        rig.monitors.replan(asked)
        await rig.until(2)
        assert on_worker(rig, 0) == ["disk"]
        assert rig.reading("disk").address == "127.0.0.1:25"
        rig.monitors.replan(looked)
        await rig.until(3)
        assert on_worker(rig, 0) == []
        assert rig.reading("disk").verdict.evidence == "all is well"
        rig.monitors.unwatch(looked.id)
        assert rig.monitors.ids() == ()

    simulate(body)
