"""What changed between two stores, resource by resource, so that a reload touches nothing else.

Everything is compared by value; what both stores share as one object is not looked into. Revisions do not count.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from bindings.model import Group, Store, VirtualServer
from bindings.parse import virtual_server_of

ResourceKey = tuple[str, str]  # (group, name)


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
    return StoreDiff(
        added=tuple(_only_in(new.groups, before)),
        changed=tuple(_changes(old, new)) if old else (),
        removed=tuple(_only_in(before, new.groups)),
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


def _only_in(groups: Mapping[str, Group], others: Mapping[str, Group]) -> Iterator[ResourceKey]:
    for group in groups.values():
        other = others[group.name].resources if group.name in others else {}
        if other is group.resources:
            continue
        for name in group.resources:
            if name not in other:
                yield group.name, name


def _changes(old: Store, new: Store) -> Iterator[Change]:
    servers, before_servers = new.virtual_servers, old.virtual_servers
    served_anew = {key for key, server in servers.items() if _differ(before_servers.get(key), server)}
    served_anew |= {key for key in before_servers if key not in servers}  # a difference of sets is one long call
    for group in new.groups.values():
        if old.groups.get(group.name) is group:
            yield from _served_anew(group, served_anew)
            continue
        before = old.groups[group.name].resources if group.name in old.groups else {}
        for name, resource in group.resources.items():
            was = before.get(name)
            if was is None:
                continue
            entry = was is not resource and was != resource
            key = virtual_server_of(resource)
            served = key in served_anew or (was is not resource and virtual_server_of(was) != key)
            if entry or served:
                yield Change((group.name, name), entry, served)


def _served_anew(group: Group, keys: set[str]) -> Iterator[Change]:
    """Tell the resources of an unchanged group whose virtual server is another now."""
    for name, resource in group.resources.items() if keys else ():
        if virtual_server_of(resource) in keys:
            yield Change((group.name, name), resource=False, virtual_server=True)


def _differ(one: VirtualServer | None, other: VirtualServer | None) -> bool:
    return one is not other and one != other
