"""Verbs: whose wish they are, whom they mean, and that each ends."""

from __future__ import annotations

import pytest

from probe.lifecycle.events import Asked, Configured, Drained, Verb
from probe.lifecycle.world import Refused
from probe.values import ResourceId
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, world_of
from tests.scenarios.language import GROUP, spec


@pytest.mark.parametrize(
    ("verb", "target", "wishes"),
    [
        (Verb.OFFLINE, id_of("r2"), {"r2": False}),
        (Verb.TERMINATE, id_of("r0"), {"r0": False}),
        (Verb.RESTART, id_of("r0"), {"r0": True}),
        (Verb.ONLINE, id_of("r2"), {"r2": True}),
        (Verb.ONLINE, GROUP, {"r0": True, "r1": True, "r2": True}),
        (Verb.OFFLINE, GROUP, {"r0": False, "r1": False, "r2": False}),
    ],
)
def test_wish_is_about_whom_was_meant(verb: Verb, target: ResourceId | str, wishes: dict[str, bool]) -> None:
    """What is to survive a restart is the word about those who were named; auto_start goes on for the others."""
    world = world_of(chain(3))
    bring_up(world)
    assert happen(world, Asked(verb, target)).wishes == {id_of(name): wanted for name, wanted in wishes.items()}


def test_online_of_the_topmost_wants_what_was_offline_below() -> None:
    """A provider that was taken offline before is wanted again for good; one that is wanted anyway is not mentioned."""
    world = world_of(chain(3))
    bring_up(world)
    happen(world, Asked(Verb.OFFLINE, id_of("r1")))
    bring_up(world)
    assert happen(world, Asked(Verb.ONLINE, id_of("r2"))).wishes == {id_of("r1"): True, id_of("r2"): True}
    bring_up(world)
    assert {request.state for request in world.requests.values()} == {"done"}


def test_refused_verb_is_no_wish() -> None:
    """What is refused changes nothing and is not kept."""
    world = world_of([spec("smtp", "smtp", "none")])
    decision = happen(world, Asked(Verb.TERMINATE, id_of("smtp")))
    assert isinstance(decision.answer, Refused)
    assert (decision.wishes, decision.records, decision.requests) == ({}, {}, {})


def test_removed_resource_is_not_found() -> None:
    """A resource that only waits for its stop to vanish is not there for an operator."""
    world = world_of(chain(1))
    bring_up(world)
    happen(world, Configured((), removed=(id_of("r0"),)))
    answer = happen(world, Asked(Verb.ONLINE, id_of("r0"))).answer
    assert isinstance(answer, Refused)
    assert answer.code == "not_found"


def test_ending_service_begins_nothing() -> None:
    """Once we end every verb is refused."""
    world = world_of(chain(1))
    happen(world, Drained())
    answer = happen(world, Asked(Verb.ONLINE, id_of("r0"))).answer
    assert isinstance(answer, Refused)
    assert answer.code == "draining"


def test_same_verb_again_is_the_same_operation() -> None:
    """Asking twice is asking once while it is under way, and a new operation afterwards."""
    world = world_of(chain(1))
    bring_up(world)
    first = happen(world, Asked(Verb.OFFLINE, id_of("r0"))).answer
    assert happen(world, Asked(Verb.OFFLINE, id_of("r0"))).answer == first
    bring_up(world)
    assert happen(world, Asked(Verb.OFFLINE, id_of("r0"))).answer != first
