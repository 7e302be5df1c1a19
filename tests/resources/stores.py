"""Stores in memory for the tests of planned changes: plans are made, written and read again, as the program does."""

from __future__ import annotations

from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.resources import check_store
from probe.resources.changes import Change, Present, empty_store
from probe.resources.creation import Wanted, plan_group, plan_resource
from probe.resources.deletion import plan_deletion
from probe.values import ResourceId
from tests.sim.files import MemoryFiles

HEALTH = {"search": Wanted(parameters={"health": "http://127.0.0.1:9200/"})}


class Bench:
    """One store, changed by plans."""

    def __init__(self, files: MemoryFiles | None = None) -> None:
        self.files = files or MemoryFiles()
        self.folder = StoreFolder(self.files, "/store")

    def read(self) -> Present:
        """Read the store for the next plan."""
        stamp = self.folder.stamp()
        empty = stamp.metabase is None and stamp.cluster is None
        return Present(empty_store() if empty else self.folder.load(), *self.folder.documents())

    def make(self, change: Change) -> Change:
        """Write a plan, checked as the program checks it."""
        if change.edit:
            self.folder.write_both(
                change.edit, based_on=change.based_on, check=lambda store: check_store(store, CONTROLLER_KINDS)
            )
        return change

    def group(self, name: str, **wanted: Wanted) -> Change:
        """Make a whole group of the reference."""
        said = HEALTH | {type.replace("_", "-"): each for type, each in wanted.items()}
        return self.make(plan_group(self.read(), name, said))

    def resource(self, id: str, type: str, wanted: Wanted | None = None) -> Change:
        """Make one resource."""
        return self.make(plan_resource(self.read(), ResourceId.parse(id), type, wanted or Wanted()))

    def delete(self, target: str, **options: object) -> Change:
        """Delete a resource or a group."""
        return self.make(plan_deletion(self.read(), target, **options))  # type: ignore[arg-type] # named by the test

    def dependencies(self, group: str) -> dict[str, tuple[str, ...]]:
        """Show what depends on what, by type."""
        resources = self.read().group(group).resources
        return {
            each.type: tuple(sorted(resources[name].type for name in each.depends_on)) for each in resources.values()
        }

    def ids(self) -> list[str]:
        """List every resource."""
        return [f"{group.name}/{name}" for group in self.read().store.groups.values() for name in group.resources]
