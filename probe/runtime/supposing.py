"""A plan on a store alone, with no service to ask: everything of it that may be online is. Blocking; for the CLI."""

from __future__ import annotations

from bindings.diff import diff_stores
from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.environment.files import RealFiles
from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Configured, Event, Owned
from probe.lifecycle.foresee import Unforeseeable, foresee
from probe.lifecycle.foretell import PlanReport, foretell, plan
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.runtime.loading import Loaded, load_checked
from probe.values import ResourceId

RELOAD = "reload"


def plan_on_store(folder: str, event: str, target: str) -> PlanReport:
    """Say what an event would lead to; `reload` takes another folder as its target: the store as edited.

    Raises StoreError, Unforeseeable.
    """
    loaded = _load(folder)
    taken = _online(loaded)
    if event != RELOAD:
        return plan(taken, event, target, 0.0)
    if not target:
        raise Unforeseeable("reload is about an edited store; write its folder behind it")
    return foretell(event, target, foresee(taken, _edit(loaded, _load(target)), 0.0))


def _load(folder: str) -> Loaded:
    return load_checked(StoreFolder(RealFiles(), folder), CONTROLLER_KINDS)


def _online(loaded: Loaded) -> Decision:
    """Bring a world of the store up, with every answer good."""
    world = World()
    store = loaded.store
    ids = [ResourceId(group.name, name) for group in store.groups.values() for name in group.resources]
    for event in _told(loaded, ids, ()):
        world.apply(step(world, event, 0.0))
    return snapshot(foresee(snapshot(world), (), 0.0).after)


def _edit(before: Loaded, after: Loaded) -> tuple[Event, ...]:
    """Say what a reload tells the core."""
    diff = diff_stores(before.store, after.store)
    ids = [ResourceId(*id) for id in (*diff.added, *(change.id for change in diff.changed))]
    return _told(after, ids, tuple(ResourceId(*id) for id in diff.removed))


def _told(loaded: Loaded, ids: list[ResourceId], removed: tuple[ResourceId, ...]) -> tuple[Event, ...]:
    specs = tuple(loaded.spec(id) for id in ids)
    owned = (Owned(name, here=True) for name in dict.fromkeys(id.group for id in ids))
    return (Configured(specs, removed, (), loaded.store.storage_groups_max), *owned)
