"""Edits of the store: what comes, changes and goes, and the links between them."""

from __future__ import annotations

from probe.lifecycle import actions
from probe.lifecycle.events import Configured, Owned, Stopped
from probe.lifecycle.world import World
from probe.values import State
from tests.lifecycle.laws import check_links
from tests.lifecycle.worlds import bring_up, happen, id_of, kinds, world_of
from tests.scenarios.language import GROUP, spec


def test_unchanged_store_changes_nothing() -> None:
    """A reload that names a resource as it is does nothing to it."""
    world = world_of([spec("smtp", "smtp", "process")])
    bring_up(world)
    decision = happen(world, Configured((spec("smtp", "smtp", "process"),)))
    assert decision.actions == []
    assert decision.transitions == []


def test_policy_applies_at_once() -> None:
    """A new threshold or provider counts for the running resource; nothing is stopped for it."""
    world = world_of([spec("store", "service", "process"), spec("smtp", "smtp", "process")])
    bring_up(world)
    decision = happen(world, Configured((spec("smtp", "smtp", "process", ("store",), restart_threshold=7),)))
    assert decision.actions == []
    assert world.dependents[id_of("store")] == (id_of("smtp"),)
    assert world.records[id_of("smtp")].spec.restart_threshold == 7
    check_links(world)


def test_new_resource_obeys_the_last_wish_before_auto_start() -> None:
    """What an operator asked last decides on a resource that comes or comes back; without a word auto_start does."""
    world = World()
    wishes = ((id_of("a"), False), (id_of("b"), True))
    specs = (spec("a", "smtp", "none"), spec("b", "smtp", "none", auto_start=False), spec("c", "smtp", "none"))
    happen(world, Configured(specs, desired=wishes))
    assert [world.records[id_of(name)].wanted for name in "abc"] == [False, True, True]


def test_resource_that_returns_while_it_stops_obeys_the_last_wish() -> None:
    """Removed and back again before its stop has ended, an operator's offline stays offline."""
    world = world_of([spec("smtp", "smtp", "process")])
    bring_up(world)
    happen(world, Configured((), removed=(id_of("smtp"),)))
    happen(world, Configured((spec("smtp", "smtp", "process"),), desired=((id_of("smtp"), False),)))
    record = world.records[id_of("smtp")]
    assert (record.wanted, record.removing, record.state) == (False, False, State.OFFLINE_PENDING)


def test_group_lives_with_its_resources() -> None:
    """The last resource takes its group along; the first brings it back, not yet ours."""
    world = world_of([spec("smtp", "smtp", "none")])
    happen(world, Configured((), removed=(id_of("smtp"),)))
    assert world.groups == {}
    assert world.records == {}
    decision = happen(world, Configured((spec("smtp", "smtp", "none"),)))
    assert decision.actions == []
    assert not world.groups[GROUP].here
    assert kinds(happen(world, Owned(GROUP, here=True)), actions.Open) == ["smtp"]


def test_owned_twice_is_owned_once() -> None:
    """S48: hearing again that the group is ours opens nothing a second time."""
    world = world_of([spec("smtp", "smtp", "none")])
    assert happen(world, Owned(GROUP, here=True)).actions == []


def test_hung_worker_keeps_a_removed_resource_from_being_forgotten() -> None:
    """S55: a removed resource whose worker has not returned is still known, so that its return counts."""
    world = world_of([spec("smtp", "smtp", "process")])
    [start] = world.records[id_of("smtp")].workers
    happen(world, Configured((), removed=(id_of("smtp"),)))
    stop = world.records[id_of("smtp")].op
    assert stop is not None
    happen(world, Stopped(id_of("smtp"), stop))
    assert world.records[id_of("smtp")].workers == {start}
    happen(world, Stopped(id_of("smtp"), start))
    assert world.records == {}
