"""A planned change of the store: what creation, deletion and new properties all come to. Pure; nothing is written here.

A plan is made from one reading of the store and carries the revisions of it: who writes meanwhile makes it void, so of
two creations at once exactly one is carried out (S24).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bindings.documents import Document
from bindings.edits import Edit, StoreRevisions
from bindings.groups import ClusterDocument
from bindings.model import Group, Store
from probe.resources.types import TYPES
from probe.values import ResourceId


class Refused(Exception):
    """A change that is not made; the text says what to do instead, `code` is a stable word for programs."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Present:
    """One reading of a store: checked, and as its author wrote it."""

    store: Store
    metabase: Document
    cluster: ClusterDocument

    @property
    def revisions(self) -> StoreRevisions:
        """What a plan made from this reading is based on."""
        return StoreRevisions(self.metabase.revision, self.cluster.revision)

    def group(self, name: str) -> Group:
        """Return a group, an empty one if there is none."""
        return self.store.groups.get(name, Group(name, (), {}))

    def types(self, group: str) -> dict[str, str]:
        """Return the types of a group's resources by name, without those that virtual servers became by themselves."""
        return {name: each.type for name, each in self.group(group).resources.items() if not each.implied}

    def own(self, id: ResourceId) -> dict[str, Any] | None:
        """Return a resource's properties as written."""
        return self.cluster.own(id.group, id.name)

    def find(self, type: str) -> ResourceId | None:
        """Return the first resource of a type in the whole cluster."""
        for group in self.store.groups.values():
            for resource in group.resources.values():
                if resource.type == type:
                    return ResourceId(group.name, resource.name)
        return None

    def users(self, key: str) -> list[ResourceId]:
        """List the resources that name a virtual server."""
        return [
            ResourceId(group.name, each.name)
            for group in self.store.groups.values()
            for each in group.resources.values()
            if not each.implied and each.parameters.get("virtual_server") == key
        ]


@dataclass(frozen=True, slots=True)
class Change:
    """A plan: the edit, on what it is based, and whose directory objects it is about, dependents first."""

    edit: Edit
    based_on: StoreRevisions
    ids: tuple[ResourceId, ...]
    notes: tuple[str, ...] = ()  # what the operator ought to know of it


def empty_store() -> Store:
    """Make the store that a folder without files is to creation."""
    return Store(0, 0, {}, {})


def check_type(type: str) -> None:
    """Refuse a type that there is not."""
    if type not in TYPES:
        raise Refused("no_such_type", f"there is no type {type!r}; the types are {', '.join(sorted(TYPES))}")


def dependents_of(group: Group, names: Mapping[str, object] | set[str]) -> list[str]:
    """List what stands on these resources of a group, directly or not, those that nothing stands on first."""
    found: list[str] = []
    taken = set(names)
    rest = [*names]
    while rest:
        provider = rest.pop(0)
        for each in group.resources.values():
            if provider in each.depends_on and each.name not in taken:
                taken.add(each.name)
                rest.append(each.name)
                found.append(each.name)
    return _dependents_first(group, found)


def _dependents_first(group: Group, names: list[str]) -> list[str]:
    ordered: list[str] = []
    left = dict.fromkeys(names)
    while left:
        free = [name for name in left if not any(name in group.resources[other].depends_on for other in left)]
        for name in free or list(left):  # a circle cannot be in a checked store
            ordered.append(name)
            del left[name]
    return ordered


def in_stop_order(group: Group) -> list[str]:
    """List a group's resources, those that nothing stands on first."""
    return _dependents_first(group, list(group.resources))
