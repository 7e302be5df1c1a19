"""Shared services: who falls when one is ended whole, for how long that counts, and who has to wait."""

from __future__ import annotations

from typing import Any

import pytest

from probe.lifecycle import actions
from probe.lifecycle.events import Asked, Configured, OperationFailed, Owned, Probed, Stopped, Verb
from probe.lifecycle.sharing import FELLED_S
from probe.lifecycle.world import World
from probe.values import Reason, ResourceId, State, Verdict
from tests.lifecycle.worlds import bring_up, happen
from tests.scenarios.language import spec

A, B = ResourceId("evs1", "smtp"), ResourceId("g2", "smtp")


def two_sharers(**changes: Any) -> World:
    """Make two smtp resources of one service, in two groups, online."""
    world = World()
    described = [spec(name, "smtp", "process", service="postfix", **changes) for name in ("smtp", "g2/smtp")]
    happen(world, Configured(tuple(described)))
    for group in ("evs1", "g2"):
        happen(world, Owned(group, here=True))
    bring_up(world)
    return world


def ended(world: World) -> None:
    """Take the first one offline, to the end."""
    happen(world, Asked(Verb.OFFLINE, A))
    op = world.records[A].op
    assert op is not None
    happen(world, Stopped(A, op))


def dead(world: World, at: float) -> World:
    """Let the other one's check fail then."""
    happen(world, Probed(B, world.records[B].incarnation, False, Verdict(Reason.RESET)), at)
    return world


@pytest.mark.parametrize(("later_s", "collateral"), [(0.0, True), (FELLED_S, True), (FELLED_S + 1, False)])
def test_only_what_follows_soon_is_collateral(later_s: float, collateral: bool) -> None:
    """S37: a failure long after the service was ended is the resource's own and uses its budget."""
    world = two_sharers()
    ended(world)
    record = dead(world, later_s).records[B]
    assert (record.failure is not None and record.failure.reason is Reason.COLLATERAL) is collateral
    assert bool(record.attempts) is not collateral


def test_an_end_that_fails_lets_the_others_start() -> None:
    """S59: whoever waited for the end of the service is started when that end has failed, too."""
    world = two_sharers()
    happen(world, Asked(Verb.OFFLINE, A))
    dead(world, 0.0)
    assert world.records[B].state is State.FAILED
    op = world.records[A].op
    assert op is not None
    decision = happen(world, OperationFailed(A, op, Verdict(Reason.REFUSED_BY_SERVER)))
    assert [action.id for action in decision.actions if isinstance(action, actions.Start)] == [B]


def test_a_resource_with_an_instance_ends_only_that() -> None:
    """S57: terminate of one that has an instance of its own fells nobody."""
    world = two_sharers(has_instance=True, traits=spec("pop3", "pop3", "process").traits)
    happen(world, Asked(Verb.TERMINATE, A))
    assert world.records[B].felled is None


def test_terminate_of_one_without_fells_the_others() -> None:
    """S68: terminate ends the service; what the others suffer from it is collateral."""
    world = two_sharers(traits=spec("pop3", "pop3", "process").traits)
    happen(world, Asked(Verb.TERMINATE, A))
    felled = world.records[B].felled
    assert felled is not None
    assert felled.by == A
