"""Worlds for tests: configured, owned, and brought up by answers that always succeed."""

from __future__ import annotations

from collections.abc import Iterable

from probe.lifecycle import actions
from probe.lifecycle.events import Configured, Event, Owned, Probed, Started, Stopped
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.values import Reason, ResourceId, State, Verdict
from tests.scenarios.language import GROUP, spec


def id_of(name: str) -> ResourceId:
    """Name a resource of the group."""
    return ResourceId(GROUP, name)


def happen(world: World, event: Event, now: float = 0.0) -> Decision:
    """Step and apply; return the decision."""
    decision = step(world, event, now)
    world.apply(decision)
    return decision


def world_of(specs: Iterable[Spec]) -> World:
    """Make a world of these resources, whose group is here; nothing has answered yet."""
    world = World()
    happen(world, Configured(tuple(specs)))
    happen(world, Owned(GROUP, here=True))
    return world


def bring_up(world: World) -> None:
    """Answer every operation with success until nothing is in flight."""
    while True:
        busy = [record for record in world.records.values() if record.workers or record.state is State.ONLINE_PENDING]
        if not busy:
            return
        for record in busy:
            for op in sorted(record.workers):
                start = record.state is State.ONLINE_PENDING and op == record.op
                happen(world, Started(record.id, op) if start else Stopped(record.id, op))
            if not record.workers:
                happen(world, Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)))


def chain(length: int, controller: str = "process", **changes: object) -> list[Spec]:
    """Describe a chain of services: r0 <- r1 <- ... each standing on the one before."""
    return [
        spec(f"r{index}", "service", controller, (f"r{index - 1}",) if index else (), **changes)
        for index in range(length)
    ]


def layers(depth: int, width: int) -> list[Spec]:
    """Describe layers of services, each standing on the whole layer below."""
    return [
        spec(f"l{layer}x{index}", "service", "process", tuple(f"l{layer - 1}x{below}" for below in range(width)))
        if layer
        else spec(f"l0x{index}", "service", "process")
        for layer in range(depth)
        for index in range(width)
    ]


def kinds(decision: Decision, kind: type[actions.Action]) -> list[str]:
    """Name the resources that an action of that kind is for, in order."""
    return [
        action.id.name
        for action in decision.actions
        if isinstance(action, kind) and not isinstance(action, actions.FailOver)
    ]
