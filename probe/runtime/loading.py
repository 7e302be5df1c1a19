"""From a store folder to what can be run: read, parse, check, and the specs of the core. Blocking; used in a thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from msgspec import structs

from bindings.diff import StoreDiff, diff_stores
from bindings.model import Resource, Store, VirtualServer
from bindings.parse import StoreError, virtual_server_of
from bindings.store import StoreFolder
from probe.lifecycle.spec import Spec
from probe.resources import TYPES, ControllerKind, check_store, spec_of
from probe.resources.checking import check_served
from probe.values import ResourceId


@dataclass(frozen=True, slots=True)
class Loaded:
    """A store that passed every check."""

    store: Store
    kinds: Mapping[str, ControllerKind]
    diff: StoreDiff | None = None  # from what it was loaded to replace

    def resource(self, id: ResourceId) -> Resource | None:
        """Return the resource as configured, or None when the store lacks it."""
        group = self.store.groups.get(id.group)
        return None if group is None else group.resources.get(id.name)

    def virtual_server(self, resource: Resource) -> VirtualServer | None:
        """Return what a resource asks: the virtual server that it names, or the one that its parameters describe.

        None for what is looked at, and for what is as alive as its controller says.
        """
        key = virtual_server_of(resource)
        return TYPES[resource.type].asks(resource) if key is None else self.store.virtual_servers.get(key)

    def spec(self, id: ResourceId) -> Spec:
        """Return the core's view of a resource of the store."""
        return spec_of(self.store.groups[id.group].resources[id.name], self.kinds)

    def without(self, ids: Iterable[ResourceId]) -> Loaded:
        """Return the same store as if it had never had some resources; what is loaded next has them as new ones."""
        groups, missing = dict(self.store.groups), frozenset(ids)
        for name in {id.group for id in missing}:
            left = {each: one for each, one in groups[name].resources.items() if ResourceId(name, each) not in missing}
            groups[name] = structs.replace(groups[name], resources=left)
        return Loaded(structs.replace(self.store, groups=groups), self.kinds)


def load_checked(folder: StoreFolder, kinds: Mapping[str, ControllerKind], before: Loaded | None = None) -> Loaded:
    """Read and check a store folder. Raises StoreError with every mistake of both kinds.

    What has not changed since `before` is not checked again.
    """
    store = folder.load()
    diff = None if before is None else diff_stores(before.store, store)
    if before is None or diff is None or store.groups is not before.store.groups:
        problems = check_store(store, kinds)
    else:
        problems = check_served(store, kinds, [change.id for change in diff.changed])
    if problems:
        raise StoreError(tuple(problems))
    return Loaded(store, kinds, diff)


def readdressed(before: Store, after: Store, diff: StoreDiff) -> set[str]:
    """Name the groups whose own ip-address came, went or changed: what a wildcard binding of theirs means (S33)."""
    ids = [*diff.added, *diff.removed, *(change.id for change in diff.changed)]
    found = set()
    for group, name in ids:
        for store in (before, after):
            resource = store.groups[group].resources.get(name) if group in store.groups else None
            if resource is not None and resource.type == "ip-address":
                found.add(group)
    return found
