"""What changed between two stores, resource by resource, so that a reload touches nothing else.

Everything is compared by value; what both stores share as one object is not looked into. Revisions do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

from bindings.model import Group, Resource, Store
from bindings.parse import virtual_server_of

ResourceKey = tuple[str, str]  # (group, name)
_Value = TypeVar("_Value")


class Change(NamedTuple):
    """A resource that is in both stores and not the same in them: what of it changed, one or both."""

    id: ResourceKey
    resource: bool  # its own entry in the cluster database
    virtual_server: bool  # the virtual server that it names, or which one it names


class StoreDiff(NamedTuple):
    """The difference; resources in the order of the new store, removed ones in that of the old."""

    added: tuple[ResourceKey, ...] = ()
    changed: tuple[Change, ...] = ()
    removed: tuple[ResourceKey, ...] = ()
    groups_added: tuple[str, ...] = ()
    groups_changed: tuple[str, ...] = ()  # its possible owners; its resources are told apart above
    groups_removed: tuple[str, ...] = ()
    permissions_changed: bool = False  # allowed_controllers, allowed_files

    @property
    def empty(self) -> bool:
        """Whether nothing changed."""
        return not any(self)


def diff_stores(old: Store | None, new: Store) -> StoreDiff:
    """Compare two stores; `old` None means that everything is new."""
    before = old.groups if old else {}
    names_before, names_now = set(_ids(before)), set(_ids(new.groups))
    return StoreDiff(
        added=tuple(id for id in _ids(new.groups) if id not in names_before),
        changed=tuple(_changes(old, new)) if old else (),
        removed=tuple(id for id in _ids(before) if id not in names_now),
        groups_added=tuple(name for name in new.groups if name not in before),
        groups_changed=tuple(
            name
            for name, group in new.groups.items()
            if name in before and before[name].possible_owners != group.possible_owners
        ),
        groups_removed=tuple(name for name in before if name not in new.groups),
        permissions_changed=old is not None
        and (old.allowed_controllers, old.allowed_files) != (new.allowed_controllers, new.allowed_files),
    )


def _ids(groups: Mapping[str, Group]) -> Iterator[ResourceKey]:
    return ((group.name, name) for group in groups.values() for name in group.resources)


def _changes(old: Store, new: Store) -> Iterator[Change]:
    for group in new.groups.values():
        before = old.groups.get(group.name)
        for name, resource in group.resources.items() if before else ():
            was = before.resources.get(name) if before else None
            if was is None:
                continue
            entry = _differ(was, resource)
            served = _server_changed(was, old, resource, new)
            if entry or served:
                yield Change((group.name, name), entry, served)


def _server_changed(was: Resource, old: Store, resource: Resource, new: Store) -> bool:
    key_before, key = virtual_server_of(was), virtual_server_of(resource)
    server_before = old.virtual_servers.get(key_before) if key_before else None
    server = new.virtual_servers.get(key) if key else None
    return key_before != key or _differ(server_before, server)


def _differ(a: _Value, b: _Value) -> bool:
    return a is not b and a != b
