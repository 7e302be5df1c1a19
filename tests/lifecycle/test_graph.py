"""The dependency graph: deep, wide, and asked a bounded number of times."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from probe.lifecycle import actions, graph
from probe.lifecycle.draft import Draft
from probe.lifecycle.events import Asked, Exited, Trigger, Verb
from probe.lifecycle.world import Record, World
from probe.values import Reason, ResourceId, State, Verdict
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, kinds, layers, world_of
from tests.scenarios.language import spec

GONE = Verdict(Reason.PROCESS_GONE)


class CountingDraft(Draft):
    """A draft that counts how often it is asked for a record."""

    def __init__(self, world: World) -> None:
        super().__init__(world, 0.0, Trigger.STORE)
        self.asked = 0

    def record(self, id: ResourceId) -> Record | None:
        """Count and answer."""
        self.asked += 1
        return super().record(id)


def test_chain_longer_than_the_stack() -> None:
    """S16: when the base of a thousand resources is to go, the topmost is stopped first."""
    world = world_of(chain(1_000, auto_start=False))
    for id, record in world.records.items():
        world.records[id] = replace(record, state=State.ONLINE, wanted=True)
    decision = happen(world, Asked(Verb.RESTART, id_of("r0")))
    assert kinds(decision, actions.Stop) == ["r999"]


def test_chain_goes_down_and_up() -> None:
    """S16: a chain is stopped from the top, each after the one above it, and started from the bottom."""
    world = world_of(chain(12))
    bring_up(world)
    happen(world, Asked(Verb.RESTART, id_of("r0")))
    bring_up(world)
    assert {record.state for record in world.records.values()} == {State.ONLINE}
    assert {record.incarnation for record in world.records.values()} == {2}


def test_many_paths_are_one_question_each() -> None:
    """Layers that stand on whole layers have millions of paths; every provider is asked a few times."""
    world = world_of(layers(depth=12, width=5))
    bring_up(world)
    draft = CountingDraft(world)
    assert not graph.must_stop(draft, world.records[id_of("l11x0")])
    assert draft.asked < 500
    happen(world, Exited(id_of("l0x0"), world.records[id_of("l0x0")].incarnation, GONE))
    bring_up(world)
    assert {record.state for record in world.records.values()} == {State.ONLINE}


def test_neighbourhoods_are_listed_nearest_first() -> None:
    """What a resource stands on, and what stands on it, each once."""
    world = world_of(layers(depth=3, width=2))
    draft = Draft(world, 0.0, Trigger.STORE)
    assert [id.name for id in graph.provider_ids(draft, id_of("l2x0"))] == ["l1x0", "l1x1", "l0x0", "l0x1"]
    assert [id.name for id in graph.dependent_ids(draft, id_of("l0x1"))] == ["l1x0", "l1x1", "l2x0", "l2x1"]


@pytest.mark.parametrize(("controller", "stops"), [("process", True), ("none", False)])
def test_observed_provider_takes_nobody_down(controller: str, stops: bool) -> None:
    """A provider that we bring back takes its dependents down; one that we only observe leaves them alone."""
    world = world_of([spec("store", "smtp", controller), spec("web", "service", "process", ("store",))])
    bring_up(world)
    store = world.records[id_of("store")]
    world.records[store.id] = Record(store.spec, since=0.0, state=State.FAILED, wanted=True)
    draft = Draft(world, 0.0, Trigger.STORE)
    assert graph.must_stop(draft, world.records[id_of("web")]) is stops
    assert graph.root_cause(draft, world.records[id_of("web")]) == store.id


def test_holding_provider_is_the_one_at_the_bottom() -> None:
    """Who is taken down for a resource three levels below it is told that one's name."""
    world = world_of(chain(4))
    bring_up(world)
    happen(world, Asked(Verb.OFFLINE, id_of("r0")))
    draft = Draft(world, 0.0, Trigger.STORE)
    assert graph.holding_provider(draft, world.records[id_of("r3")]) == id_of("r0")
