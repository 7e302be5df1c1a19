"""Deletion (S19, S26, S27, S41): from what is to go to one edit of the store, or a refusal with what to do instead.

1. Deleting the system-attendant deletes its whole group.
2. What others stand on goes only together with them, and says first who they are.
3. A virtual server that was only a deleted resource's goes with it; else it would be a resource of its own.
4. What comes back only with another (search) is remembered until that one is made again.
5. What the system-attendant stands on does not go from under it: that would be rule 1 by a back door.
6. The mta serves every group: its group goes only when it is the last, or when the mta is given a new home by name.
"""

from __future__ import annotations

from collections.abc import Iterable

from bindings.edits import Edit, Properties, ResourceKey
from bindings.model import Group
from bindings.parse import virtual_server_of
from probe.resources.changes import Change, Present, Refused, dependents_of, in_stop_order
from probe.resources.defaults import ATTENDANT, providers_of
from probe.resources.types import TYPES
from probe.values import ResourceId


def plan_deletion(
    present: Present, target: str, *, cascade: bool = False, rehome_mta: str | None = None, keep_servers: bool = False
) -> Change:
    """Plan the deletion of GROUP or GROUP/NAME. Raises Refused; whether it is offline is not known here."""
    group_name, slash, name = target.partition("/")
    group = present.store.groups.get(group_name)
    if group is None or (slash and name not in group.resources):
        raise Refused("no_such_resource", f"there is no {target}; looksalive validate says what there is")
    if slash and group.resources[name].implied:
        return _forget_server(present, group, name)
    whole = not slash or group.resources[name].type == ATTENDANT
    if not whole:
        names = _with_dependents(group, name, cascade)
        _refuse_rehoming(rehome_mta, target)
        return _delete(present, group, names, keep_servers, remember=True)
    if not present.types(group_name):
        raise Refused("no_such_resource", f"{group_name} has no resources of its own to delete")
    names = [each for each in in_stop_order(group) if not group.resources[each].implied]
    change = _delete(present, group, names, keep_servers, remember=False)
    return _rehomed(present, group, change, rehome_mta)


def _with_dependents(group: Group, name: str, cascade: bool) -> list[str]:
    dependents = dependents_of(group, {name})
    attendant = next((each for each in dependents if group.resources[each].type == ATTENDANT), None)
    if attendant is not None:
        id, other = ResourceId(group.name, name), ResourceId(group.name, attendant)
        mend = f"delete that with looksalive delete {group.name}, or first let {other} do without it: "
        left = ",".join(each for each in group.resources[attendant].depends_on if each != name)
        mend += f"looksalive set {other} depends_on={left or '[]'}"
        raise Refused("carries_the_group", f"{id} is what {other} depends on, and with it the whole group; {mend}")
    if dependents and not cascade:
        named = ", ".join(str(ResourceId(group.name, each)) for each in dependents)
        id = ResourceId(group.name, name)
        raise Refused("has_dependents", f"{id} is what {named} depend on; pass --cascade to delete them as well")
    return [*dependents, name]


def _delete(present: Present, group: Group, names: list[str], keep_servers: bool, *, remember: bool) -> Change:
    resources: dict[ResourceKey, Properties | None] = {(group.name, name): None for name in names}
    ids = tuple(ResourceId(group.name, name) for name in names)
    keys: dict[str, Properties | None] = {}
    notes: list[str] = []
    deleted: dict[ResourceKey, Properties | None] = {}
    for id in ids:
        resource = group.resources[id.name]
        key = virtual_server_of(resource)
        if key is not None and key in present.metabase.keys and set(present.users(key)) <= set(ids):
            if keep_servers:
                notes.append(f"the virtual server {key} stays, watched as a resource of the group default")
            else:
                keys[key] = None
        origin = TYPES[resource.type].traits.recreated_with if resource.type in TYPES else ""
        own = present.own(id)
        if remember and origin and own is not None:
            deleted[id] = own
            notes.append(f"{id} comes back when its {origin} is made again, not alone")
    left = present.types(group.name).keys() - set(names)
    groups: dict[str, Properties | None] = {}
    if not remember or not (left or deleted or group.deleted):
        groups, resources = {group.name: None}, {}
    return Change(Edit(keys, groups, resources, deleted), present.revisions, ids, tuple(notes))


def _rehomed(present: Present, group: Group, change: Change, home: str | None) -> Change:
    """Let the mta move to the group that is named, or refuse to leave the others without it (S27)."""
    mta = next((each for each in group.resources.values() if each.type == "mta"), None)
    others = [
        name
        for name, other in present.store.groups.items()
        if name != group.name and any(each.type == ATTENDANT for each in other.resources.values())
    ]
    if mta is None or not others:
        if home is not None:
            why = f"{group.name} has no mta" if mta is None else "there is no other group"
            raise Refused("nothing_to_rehome", f"{why}; leave out --rehome-mta")
        return change
    if home is None:
        message = f"{group.name}/{mta.name} serves {', '.join(others)} as well; give it a new home: "
        raise Refused("mta_needed", f"{message}looksalive delete {group.name} --rehome-mta {others[0]}")
    if home not in others:
        raise Refused("no_such_group", f"--rehome-mta {home}: it can be one of {', '.join(others)}")
    types = present.types(home)
    if mta.name in types:
        raise Refused("exists", f"{home}/{mta.name} is there already, a {types[mta.name]}; delete that first")
    own = present.own(ResourceId(group.name, mta.name)) or {}
    moved = {**own, "depends_on": list(providers_of("mta", types))}
    edit = change.edit
    resources = {**edit.resources, (home, mta.name): moved}
    ids = (*change.ids, ResourceId(home, mta.name))
    note = f"the mta moves to {home}"
    return Change(Edit(edit.keys, edit.groups, resources, edit.deleted), change.based_on, ids, (*change.notes, note))


def _refuse_rehoming(home: str | None, target: str) -> None:
    if home is not None:
        raise Refused(
            "mta_stays",
            f"{target} is not a whole group; the mta moves to another group only when its own is deleted "
            f"(looksalive delete GROUP --rehome-mta {home})",
        )


def _forget_server(present: Present, group: Group, name: str) -> Change:
    """Delete a resource that a virtual server is by itself: its key."""
    key = virtual_server_of(group.resources[name])
    assert key is not None, "a resource that cluster.json does not have is a virtual server's"
    return Change(Edit({key: None}), present.revisions, ())


def offline_needed(change: Change) -> Iterable[ResourceId]:
    """Say which resources must be offline before the change is made: those that go."""
    gone = {ResourceId(*key) for key, properties in change.edit.resources.items() if properties is None}
    whole = {group for group, properties in change.edit.groups.items() if properties is None}
    return [id for id in change.ids if id in gone or id.group in whole]
