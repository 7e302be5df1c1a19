"""What is foreseen is what happens: compared with a machine that performs it, over random worlds and events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.lifecycle import actions, foresee
from probe.lifecycle.encoding import decode_world, snapshot, world_of, world_pieces
from probe.lifecycle.events import Verb
from probe.lifecycle.foresee import HORIZON_S, Unforeseeable, suppose
from probe.lifecycle.spec import Spec
from probe.lifecycle.world import Decision, World
from probe.values import ResourceId, State
from tests.lifecycle.healthy import HealthyMachine, specs
from tests.lifecycle.worlds import bring_up, chain, id_of
from tests.lifecycle.worlds import world_of as started
from tests.scenarios.language import GROUP, spec

Losses = list[tuple[int, bool]]


def machine_of(described: list[Spec], losses: Losses, verbs: list[tuple[int, Verb]]) -> HealthyMachine:
    """Give a machine a past."""
    machine = HealthyMachine(World())
    machine.load(described)
    ids = [each.id for each in described]
    for (which, process), (other, verb) in zip(losses, verbs, strict=False):
        if machine.world.records[ids[which % len(ids)]].state is State.ONLINE:
            machine.lose(ids[which % len(ids)], process=process)
            machine.run(machine.now)
        machine.ask(verb, ids[other % len(ids)])
        machine.run(machine.now)
    return machine


def asked(decisions: list[Decision]) -> list[actions.Action]:
    """Everything that was asked for, in order."""
    return [action for decision in decisions for action in decision.actions]


indices = st.integers(0, 4)
losses = st.lists(st.tuples(indices, st.booleans()), max_size=3)
verbs = st.lists(st.tuples(indices, st.sampled_from(list(Verb))), max_size=3)
events = st.sampled_from(("fail", "kill", *Verb))


@settings(max_examples=300, deadline=None)
@given(described=specs(), losses=losses, verbs=verbs, event=events, which=indices, group=st.booleans())
def test_what_is_foreseen_happens(
    described: list[Spec], losses: Losses, verbs: list[tuple[int, Verb]], event: str, which: int, group: bool
) -> None:
    """Where the world then answers healthily, the same is asked for, in the same order and at the same times."""
    machine = machine_of(described, losses, verbs)
    id = described[which % len(described)].id
    target: ResourceId | str = GROUP if group and event not in ("fail", "kill") else id
    taken = snapshot(machine.world)
    try:
        supposed = suppose(taken, event, str(target))
    except Unforeseeable:
        assert machine.world.records[id].state is not State.ONLINE or not machine.world.records[id].watched
        return
    future = foresee.foresee(taken, supposed, machine.now)
    begun, told = machine.now, len(machine.log)
    if event in ("fail", "kill") and not (machine.world.records[id].watched or event == "kill"):
        return  # no check sees it: the machine has none either
    if event in ("fail", "kill"):
        machine.lose(id, process=event == "kill")
    else:
        machine.ask(Verb(event), target, "plan")
    machine.run(begun + HORIZON_S)
    then = machine.log[told:]
    assert [(step.event, step.at_s, step.decision.actions) for step in future.steps] == [
        (event, now - begun, decision.actions) for event, now, decision in then
    ]
    assert future.after.records == machine.world.records


@settings(max_examples=100, deadline=None)
@given(described=specs(), losses=losses, verbs=verbs, event=events, which=indices)
def test_a_plan_changes_nothing_and_a_stored_world_has_the_same_future(
    described: list[Spec], losses: Losses, verbs: list[tuple[int, Verb]], event: str, which: int
) -> None:
    """The world is as before; and a checkpoint of it, read again, foretells the same."""
    machine = machine_of(described, losses, verbs)
    before = dict(machine.world.records)
    taken = snapshot(machine.world)
    stored = snapshot(decode_world(world_pieces(taken)))
    try:
        supposed = suppose(taken, event, str(described[which % len(described)].id))
    except Unforeseeable:
        return
    here = foresee.foresee(taken, supposed, machine.now)
    there = foresee.foresee(stored, supposed, machine.now)
    assert machine.world.records == before
    assert [step.decision for step in here.steps] == [step.decision for step in there.steps]


def test_what_is_under_way_goes_on() -> None:
    """A world that is still starting: the starts that are under way succeed, and the rest follows."""
    world = started(chain(3))
    assert [record.state for record in world.records.values()].count(State.ONLINE) == 0
    future = foresee.foresee(snapshot(world), (), 0.0)
    assert {record.state for record in future.after.records.values()} == {State.ONLINE}
    assert future.ended == ""


def test_what_is_failed_by_itself_stays_so() -> None:
    """An observed resource that is down goes on failing; its failure is no surprise to the plan of another event."""
    world = started([spec("a", "smtp", "none"), spec("b", "smtp", "process")])
    bring_up(world)
    future = foresee.foresee(snapshot(world), suppose(snapshot(world), "fail", "evs1/a"), 0.0)
    later = future.after
    assert later.records[id_of("a")].state is State.FAILED
    again = foresee.foresee(snapshot(later), suppose(snapshot(later), "restart", "evs1/b"), 10.0)
    assert again.after.records[id_of("a")].state is State.FAILED


def test_a_failure_that_is_held_is_the_cause_of_the_next() -> None:
    """A provider whose failure is not told yet goes on failing when it is asked for another's sake."""
    world = started([spec("p", "smtp", "none"), spec("a", "smtp", "none", ("p",)), spec("c", "smtp", "none", ("a",))])
    bring_up(world)
    machine = HealthyMachine(world)
    machine.lose(id_of("a"), process=False)
    machine.run(0.0)
    assert world.records[id_of("a")].held is not None
    future = foresee.foresee(snapshot(world), suppose(snapshot(world), "fail", "evs1/c"), 0.0)
    assert {id.name: (record.state, record.root_cause) for id, record in future.after.records.items()} == {
        "p": (State.ONLINE, None),
        "a": (State.FAILED, None),
        "c": (State.FAILED, id_of("a")),
    }


def test_a_restart_that_waits_is_foreseen_at_its_time() -> None:
    """S54: with a restart_delay_s the new start comes so much later, by the clock."""
    world = started(chain(1, restart_delay_s=7.5))
    bring_up(world)
    future = foresee.foresee(snapshot(world), suppose(snapshot(world), "kill", "evs1/r0"), 100.0)
    starts = [step.at_s for step in future.steps if any(isinstance(a, actions.Start) for a in step.decision.actions)]
    assert starts == [7.5]


def test_the_far_future_is_not_told() -> None:
    """What is due beyond the horizon is cut off, and that is said."""
    world = started(chain(1, restart_delay_s=2 * HORIZON_S))
    bring_up(world)
    future = foresee.foresee(snapshot(world), suppose(snapshot(world), "kill", "evs1/r0"), 0.0)
    assert "later" in future.ended
    assert future.after.records[id_of("r0")].state is State.FAILED


@pytest.mark.parametrize(
    ("event", "target", "why"),
    [
        ("explode", "evs1/r0", "'explode' is nothing that can be foreseen; write one of fail, kill, online"),
        ("kill", "", "a target is missing"),
        ("kill", "evs1", "kill is about one resource; write evs1/NAME"),
        ("kill", "evs1/", "is not GROUP/NAME"),
        ("kill", "evs1/nobody", "there is no evs1/nobody"),
        ("fail", "evs1/watched", "neither asked nor run"),
        ("drain", "evs1", "drain is about everything"),
    ],
)
def test_what_cannot_happen_is_said(event: str, target: str, why: str) -> None:
    """Words that name nothing that could happen are answered with why, and with what could be written."""
    world = started([*chain(2), spec("watched", "service", "none")])
    bring_up(world)
    with pytest.raises(Unforeseeable, match=why):
        suppose(snapshot(world), event, target)


def test_what_is_down_cannot_fail() -> None:
    """The failure of what is not up is no event."""
    world = started(chain(1, auto_start=False))
    with pytest.raises(Unforeseeable, match="evs1/r0 is offline"):
        suppose(snapshot(world), "kill", "evs1/r0")


def test_a_fork_comes_from_a_snapshot_alone() -> None:
    """The world may go on while its snapshot is being looked at."""
    world = started(chain(2))
    taken = snapshot(world)
    bring_up(world)
    assert {record.state for record in world_of(taken).records.values()} != {State.ONLINE}
