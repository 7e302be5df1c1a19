"""Creation (S10, S15, S17, S18, S24, S25, S41, S70): from what its creator says to one edit of the store, or a refusal.

1. Creating a system-attendant makes the whole group of the reference with its default dependencies: all or none.
2. The mta is made in the first group and nowhere else; a cluster has one.
3. What was deleted and comes back only with another (search, with the store) is not made alone.
4. What is there already exactly as wanted is no mistake: a creation that broke off is done by asking again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bindings.edits import Edit, Properties, ResourceKey
from bindings.metabase import is_virtual_server
from probe.resources.changes import Change, Present, Refused, check_type
from probe.resources.defaults import (
    ATTENDANT,
    MEMBER_OF_TYPE,
    MEMBERS,
    NEEDS_PROVIDER,
    Member,
    parameters_by_default,
    providers_of,
)
from probe.resources.types import TYPES
from probe.values import ResourceId

LEAVABLE = ("mta", "routing", "search", "smtp", "pop3", "imap", "http")  # a group can be without these


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a creator says of one resource; what is not said has its default."""

    parameters: Properties = field(default_factory=dict)
    controller: Properties | None = None  # {"kind": ...}; None is none: watched, never started
    properties: Properties = field(default_factory=dict)  # the others: depends_on, restart_threshold ...
    server: Properties = field(default_factory=dict)  # of the virtual server that is made with it

    @property
    def said(self) -> bool:
        """Whether anything was said at all."""
        return bool(self.parameters or self.controller or self.properties or self.server)


@dataclass(slots=True)
class _Draft:
    """The edit as far as it is planned."""

    present: Present
    group: str
    types: dict[str, str]  # of the group as it will be, by name
    keys: dict[str, Properties | None] = field(default_factory=dict)
    resources: dict[ResourceKey, Properties | None] = field(default_factory=dict)
    deleted: dict[ResourceKey, Properties | None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def change(self, owners: Sequence[str] = ()) -> Change:
        """Leave out what is so already and hand over the rest."""
        present = self.present
        resources = {key: wanted for key, wanted in self.resources.items() if present.own(ResourceId(*key)) != wanted}
        keys = {key: wanted for key, wanted in self.keys.items() if present.metabase.own(key) != wanted}
        new = resources and self.group not in present.cluster.groups
        groups: dict[str, Properties | None] = {self.group: {"possible_owners": list(owners)}} if new else {}
        ids = tuple(ResourceId(*key) for key in self.resources)
        edit = Edit(keys, groups, resources, self.deleted)
        return Change(edit, present.revisions, ids, tuple(self.notes))


def plan_group(
    present: Present,
    group: str,
    wanted: Mapping[str, Wanted],
    *,
    name: str = "",
    without: Iterable[str] = (),
    owners: Sequence[str] = (),
) -> Change:
    """Plan a system-attendant with the whole group (S17, S18); `wanted` and `without` by type. Raises Refused.

    `name`: of the attendant. A member whose type the group has already stays as it is.
    """
    draft = _Draft(present, group, present.types(group))
    left_out = set(without)
    for type in left_out:
        if type not in LEAVABLE:
            raise Refused("not_optional", f"a group cannot be without its {type}; it can be without {_list(LEAVABLE)}")
    members = [
        member
        for member in MEMBERS
        if member.type not in left_out and (not member.given or wanted.get(member.type, Wanted()).said)
    ]
    if not _may_have_mta(present, group, draft.notes):
        members = [member for member in members if member.type != "mta"]
    names = _names(draft, members, name)
    draft.types.update((names[member.type], member.type) for member in members)
    there = present.types(group)
    for member in members:
        if member.type == ATTENDANT or names[member.type] not in there or wanted.get(member.type, Wanted()).said:
            _add(draft, names[member.type], member.type, wanted.get(member.type, Wanted()))
        else:
            draft.notes.append(f"{ResourceId(group, names[member.type])} is there already and stays as it is")
    _refuse_other(draft, names[ATTENDANT])
    change = draft.change(owners)
    if change.edit and names[ATTENDANT] in there:
        id = ResourceId(group, names[ATTENDANT])
        more = f"add single resources with looksalive create TYPE {group}/NAME"
        raise Refused("exists", f"{group} has its system-attendant already: {id}; {more}")
    return change


def plan_resource(present: Present, id: ResourceId, type: str, wanted: Wanted) -> Change:
    """Plan one resource of any type but system-attendant (see `plan_group`). Raises Refused."""
    check_type(type)
    there = present.types(id.group)
    draft = _Draft(present, id.group, {**there, id.name: type})
    _refuse_type(present, id, type)
    if type in NEEDS_PROVIDER and "depends_on" not in wanted.properties and not providers_of(type, there):
        provider = MEMBER_OF_TYPE[type].providers[0]
        target = id.group if provider == ATTENDANT else f"{id.group}/{MEMBER_OF_TYPE[provider].name}"
        message = f"{id.group} has no {provider}, which a {type} depends on; make it first:"
        raise Refused("no_provider", f"{message} looksalive create {provider} {target}")
    _add(draft, id.name, type, wanted)
    _bring_back(draft, type)
    _refuse_other(draft, id.name)
    return draft.change()


def _refuse_type(present: Present, id: ResourceId, type: str) -> None:
    """Refuse what the reference refuses to have made alone or twice (S24, S25, S26, S41)."""
    other = present.find(type)
    if TYPES[type].traits.one_per_cluster and other is not None and other != id:
        raise Refused(
            "one_per_cluster",
            f"a cluster has one {type}, and {other} is it: it serves every group, and is not moved to another; "
            f"when its group is deleted, give it a new home with looksalive delete {other.group} --rehome-mta GROUP",
        )
    first = _first_group(present)
    if type == "mta" and first not in (None, id.group):
        raise Refused("not_first_group", f"the mta is made in the first group: looksalive create mta {first}/{id.name}")
    gone = present.group(id.group).deleted.get(id.name) or next(
        (each for each in present.group(id.group).deleted.values() if each.get("type") == type), None
    )
    if TYPES[type].traits.recreated_with and gone is not None and present.own(id) is None:
        with_type = TYPES[type].traits.recreated_with
        store = next((name for name, each in present.types(id.group).items() if each == with_type), None)
        delete = f"looksalive delete {id.group}/{store} --cascade, then " if store else ""
        name = store or MEMBER_OF_TYPE[with_type].name
        raise Refused(
            "recreated_with_another",
            f"a deleted {type} is not made alone again: it comes back with its {with_type}; "
            f"{delete}looksalive create {with_type} {id.group}/{name}",
        )


def _refuse_other(draft: _Draft, name: str) -> None:
    """Refuse when there is another one already: what is there is changed, not made (rule 4)."""
    id = ResourceId(draft.group, name)
    for key, wanted in draft.resources.items():
        found = draft.present.own(ResourceId(*key))
        if found is not None and found != wanted:
            raise Refused(
                "exists",
                f"{ResourceId(*key)} is there already, and not as this would make {id}; change it with "
                f"looksalive set {ResourceId(*key)} KEY=VALUE, or delete it first",
            )


def _may_have_mta(present: Present, group: str, notes: list[str]) -> bool:
    """Whether this is the group that the mta is made in (S25); says why not."""
    there, first = present.find("mta"), _first_group(present)
    if there is not None and there.group != group:
        notes.append(f"no mta: {there} serves every group")
        return False
    return first is None or first == group


def _first_group(present: Present) -> str | None:
    """Name the first group that has a system-attendant."""
    groups = present.store.groups.values()
    return next(
        (group.name for group in groups if any(each.type == ATTENDANT for each in group.resources.values())), None
    )


def _names(draft: _Draft, members: list[Member], attendant: str) -> dict[str, str]:
    """Choose each member's name: the one its type has in the group already, else the usual one."""
    there = {type: name for name, type in draft.types.items()}
    names = {member.type: there.get(member.type, member.name) for member in members}
    if attendant:
        if there.get(ATTENDANT, attendant) != attendant:
            id = ResourceId(draft.group, there[ATTENDANT])
            raise Refused("exists", f"{draft.group} has a system-attendant already: {id}; a group has one")
        names[ATTENDANT] = attendant
    for type, name in names.items():
        other = draft.types.get(name)
        if other not in (None, type):
            id = ResourceId(draft.group, name)
            raise Refused(
                "exists", f"{id} is there already, a {other}, and the {type} would have that name; delete it first"
            )
    return names


def _add(draft: _Draft, name: str, type: str, wanted: Wanted) -> None:
    """Put one resource into the draft: made first, then given its properties (S70)."""
    id = ResourceId(draft.group, name)
    made: dict[str, object] = {"type": type, "depends_on": list(providers_of(type, draft.types))}
    made |= {"controller": dict(wanted.controller or {"kind": "none"})}
    made |= wanted.properties
    parameters = parameters_by_default(type, draft.group) | dict(wanted.parameters)
    protocol = TYPES[type].virtual_server
    if protocol is not None:
        parameters |= {"virtual_server": _virtual_server(draft, id, protocol, wanted)}
    elif wanted.server:
        raise Refused("no_virtual_server", f"a {type} has no bindings: leave out {_list(wanted.server)}")
    draft.resources[id] = set_private_properties(made, parameters)


def set_private_properties(resource: Properties, properties: Properties) -> dict[str, object]:
    """Give a resource all the properties of its type in one call: they are its `parameters` (S70, S71)."""
    return {**resource, **({"parameters": dict(properties)} if properties else {})}


def _virtual_server(draft: _Draft, id: ResourceId, protocol: str, wanted: Wanted) -> str:
    """Choose the virtual server: the one that is named, else one of the group's own, made with the resource."""
    present, named = draft.present, wanted.parameters.get("virtual_server")
    if isinstance(named, str) and not wanted.server:
        if not (is_virtual_server(named) and named in present.metabase.keys):
            raise Refused("no_such_key", f"there is no virtual server {named}; give {id} bindings, and it is made")
        return named
    member = MEMBER_OF_TYPE.get(id.name)
    key = str(named or f"/{protocol}/{id.group if member else f'{id.group}-{id.name}'}")
    server = dict(wanted.server)
    if not server.get("bindings") and not server.get("secure_bindings"):
        default = MEMBER_OF_TYPE[protocol].binding if protocol in MEMBER_OF_TYPE else ""
        if not default:
            raise Refused("no_bindings", f"{id}: say where it listens, for example --binding 127.0.0.1:2525")
        server["bindings"] = [default]
    found = present.metabase.own(key)
    users = [str(user) for user in present.users(key) if user != id]
    if users:
        raise Refused(
            "key_taken", f"the virtual server {key} is that of {_list(users)}; name another: --virtual-server"
        )
    if found is not None and found != server and id in present.users(key):
        mend = f"change it with looksalive metabase set {key} KEY=VALUE, or delete {id} first"
        raise Refused("exists", f"{id} is there already, and {key} is not as this would make it; {mend}")
    if found is not None and found != server:
        mend = f"take it as it is with --virtual-server {key}"
        raise Refused("key_taken", f"there is a virtual server {key} already; {mend}")
    draft.keys[key] = server
    return key


def _bring_back(draft: _Draft, type: str) -> None:
    """Bring back what was deleted and comes back with a resource of this type (S41)."""
    for name, remembered in draft.present.group(draft.group).deleted.items():
        row = TYPES.get(str(remembered.get("type")))
        if row is None or row.traits.recreated_with != type:
            continue
        draft.deleted[draft.group, name] = None
        if name in draft.types:
            continue
        draft.types[name] = row.traits.type
        draft.resources[draft.group, name] = {
            **remembered,
            "depends_on": list(providers_of(row.traits.type, draft.types)),
        }
        draft.notes.append(f"{ResourceId(draft.group, name)} comes back with it")


def _list(names: Iterable[object]) -> str:
    return ", ".join(map(str, names))
