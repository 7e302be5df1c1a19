"""What is kept of failures: how many, how much, and nothing of what goes well."""

from __future__ import annotations

import pytest

from probe.environment.clock import LoopClock
from probe.monitor.engine import WAITING_MAX
from probe.monitor.evidence import ENTRY_BYTES, KEPT_BYTES_MAX, KEPT_PER_RESOURCE, Evidence
from probe.monitor.recording import SIDE_BYTES_MAX, Moment, Moments
from probe.monitor.target import Result, Target
from probe.values import Outcome, Reason, ResourceId, Stage, Verdict
from tests.checks.drive import check_of
from tests.monitor.rig import FIRST, PLACE, Rig, plan_of, simulate, targets_of, virtual_server
from tests.sim.servers import Fault

ID = ResourceId("default", "smtp-1")
TARGET = Target("b", "smtp", check_of("smtp"), 5.0, text="127.0.0.1:25")
SAID: Moments = (Moment("received", 0.1, b"554 no\r\n"),)


def failure(evidence: str, moments: Moments = SAID) -> Result:
    """A failure that came at once."""
    return Result(TARGET, Verdict(Reason.REFUSED_BY_SERVER, evidence, Stage.BANNER), 0.0, 0.1, (), moments=moments)


def kept(evidence: Evidence, id: ResourceId = ID) -> list[tuple[str, int]]:
    """What is kept of a resource, in short."""
    return [(told.evidence, told.times) for told in evidence.transcripts(id)]


async def test_the_last_failures_are_kept_the_newest_first() -> None:
    """A resource has its last three failures; an older one makes place, another resource's does not."""
    evidence = Evidence(LoopClock())
    other = ResourceId("default", "other")
    evidence.keep(other, failure("other"))
    for number in range(KEPT_PER_RESOURCE + 2):
        evidence.keep(ID, failure(f"number {number}"))
    assert kept(evidence) == [("number 4", 1), ("number 3", 1), ("number 2", 1)]
    assert kept(evidence, other) == [("other", 1)]
    assert kept(evidence, ResourceId("default", "nobody")) == []


async def test_a_failure_that_repeats_takes_its_own_place() -> None:
    """What came before a long outage is not pushed out by it: the same again is counted."""
    evidence = Evidence(LoopClock())
    evidence.keep(ID, failure("before"))
    for _ in range(10):
        evidence.keep(ID, failure("the outage"))
    assert kept(evidence) == [("the outage", 10), ("before", 1)]


async def test_the_dialogue_leaves_the_result() -> None:
    """The cache gets the result without the dialogue, that of each binding too."""
    evidence = Evidence(LoopClock())
    assert evidence.keep(ID, failure("one")).moments == ()
    both = failure("two")._replace(parts=(failure("two"), failure("three")))
    left = evidence.keep(ID, both)
    assert left.moments == ()
    assert [part.moments for part in left.parts] == [(), ()]
    assert sorted(kept(evidence)) == [("one", 1), ("three", 1), ("two", 1)]


async def test_all_together_have_a_bound_and_the_oldest_goes() -> None:
    """Ten thousand resources with long dialogues stay within the bound; the newest are kept whole."""
    evidence = Evidence(LoopClock())
    long = (Moment("received", 0.1, b"x" * SIDE_BYTES_MAX),)
    for number in range(10_000):
        evidence.keep(ResourceId("g", str(number)), failure("down", long))
        assert evidence.bytes_kept <= KEPT_BYTES_MAX
    assert evidence.bytes_kept > KEPT_BYTES_MAX - ENTRY_BYTES - 2 * SIDE_BYTES_MAX
    assert kept(evidence, ResourceId("g", "0")) == []
    assert len(evidence.transcripts(ResourceId("g", "9999"))[0].pieces[0].text) == SIDE_BYTES_MAX


async def test_what_is_forgotten_weighs_nothing() -> None:
    """With its resource every dialogue goes, and the reckoning with it; twice is once."""
    evidence = Evidence(LoopClock())
    evidence.keep(ID, failure("one"))
    evidence.keep(ID, failure("two"))
    evidence.forget(ID)
    evidence.forget(ID)
    assert evidence.bytes_kept == 0
    assert kept(evidence) == []
    assert repr(evidence) == "<Evidence of 0 resources, 0 dialogues>"


def test_a_watched_failure_is_kept_and_what_goes_well_is_not() -> None:
    """Alive rounds leave nothing; the failed one leaves its dialogue with wall time, and outlives the watch."""

    async def body(rig: Rig) -> None:
        server = rig.machine.serve("smtp", PLACE)
        plan = plan_of(rig.environment, virtual_server("127.0.0.1:25"))
        evidence = rig.monitors.evidence
        rig.monitors.watch(plan, FIRST, True)
        await rig.until(60.0)
        assert evidence.transcripts(plan.id) == ()
        server.fault = Fault.DECLINE
        failed_from = rig.environment.clock.wall()
        await rig.until(90.0)
        (told,) = evidence.transcripts(plan.id)
        assert told.verdict is Outcome.FAILED
        assert told.reason is Reason.REFUSED_BY_SERVER
        assert told.times > 1
        assert failed_from < told.time < rig.environment.clock.wall()
        assert [piece.direction for piece in told.pieces] == ["event", "received", "event"]
        reading = rig.monitors.reading(plan.id)
        assert reading is not None
        assert reading.result.moments == ()
        rig.monitors.unwatch(plan.id)
        assert evidence.transcripts(plan.id) == (told,)

    simulate(body)


@pytest.mark.parametrize("polite", [True, False])
def test_a_steady_probe_has_no_recording(polite: bool) -> None:
    """A dial that is settled by its first answer never begins to record, its goodbye included."""

    async def body(rig: Rig) -> None:
        rig.machine.serve("smtp", PLACE)
        (target,) = targets_of(rig.environment, virtual_server("127.0.0.1:25", polite=polite))
        closed: list[float] = []
        dial = rig.monitors.engine.dial(target, lambda _: None, closed.append)
        await rig.until(2.0)
        assert closed
        assert dial.result is not None
        assert dial.result.verdict.reason is Reason.MATCHED
        assert dial._recording is None

    simulate(body)


def test_one_dial_too_many_is_ours_and_costs_no_slot() -> None:
    """With all places taken and the queue full a dial is `prober_descriptors`, and no place is lost for good."""

    async def body(rig: Rig) -> None:
        engine = rig.monitors.engine
        (target,) = targets_of(rig.environment, virtual_server("127.0.0.1:25"))
        first = engine.dial(target, lambda _: None)
        engine.max_in_flight = 1
        waiting = engine.dial(target, lambda _: None)
        waiting.cancel()
        engine._waiting.extend([waiting] * WAITING_MAX)
        told: list[Result] = []
        engine.dial(target, told.append)
        assert [result.verdict.reason for result in told] == [Reason.PROBER_DESCRIPTORS]
        first.cancel()
        assert engine.in_flight == 0

    simulate(body)
