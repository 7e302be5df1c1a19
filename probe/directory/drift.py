"""What differs between the store and the directory (S73), and since when. Pure: nothing is read or written here.

Rules:
1. The store is what we go by; the directory is what another tool may have changed. Neither is right by itself.
2. A difference begins when it is first seen and ends when a comparison no longer finds it; a value that another value
   replaces meanwhile is still the same difference.
3. `pull` takes over properties alone: what exists, and of what type, is decided in the store (and pushed).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from typing import Final

from bindings.model import StoreProblem
from probe.directory.contract import DirectoryObject
from probe.directory.names import Several
from probe.values import ResourceId

REMEMBERED_MAX = 10_000  # differences whose beginning is kept


class Absent(Enum):
    """The value of a property that is not there; null is another."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


class Kind(StrEnum):
    """What can differ."""

    MISSING_OBJECT = "missing-object"  # the resource has none
    EXTRA_OBJECT = "extra-object"  # it has no resource
    TYPE = "type"
    PROPERTY = "property"


class Policy(StrEnum):
    """What is done about it (S73)."""

    REPORT = "report"
    PULL = "pull"
    PUSH = "push"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; `property` is a parameter's name, "type", or "" for a whole object."""

    id: ResourceId
    kind: Kind
    property: str
    in_store: object
    in_directory: object
    since: float = 0.0  # seconds since the epoch, when it was first seen


Memory = Mapping[str, float]  # since when, by `key_of`


def as_object(one: Difference) -> dict[str, object]:
    """Write a difference for JSON; a value that is not there is left out."""
    values = {"store": one.in_store, "directory": one.in_directory}
    told = {name: value for name, value in values.items() if value is not ABSENT}
    return {"id": str(one.id), "kind": str(one.kind), "property": one.property, **told, "since": one.since}


def compare(store: Iterable[DirectoryObject], directory: Iterable[DirectoryObject]) -> tuple[Difference, ...]:
    """Find what differs between the objects that the store wants and those that there are; `since` is still 0."""
    wanted = {object.id: object for object in store}
    found = {object.id: object for object in directory}
    differences: list[Difference] = []
    for id in sorted(wanted.keys() | found.keys()):
        ours, theirs = wanted.get(id), found.get(id)
        if theirs is None:
            differences.append(Difference(id, Kind.MISSING_OBJECT, "", _type_of(ours), ABSENT))
        elif ours is None:
            differences.append(Difference(id, Kind.EXTRA_OBJECT, "", ABSENT, _type_of(theirs)))
        else:
            differences += _compare_objects(ours, theirs)
    return tuple(differences)


def _type_of(object: DirectoryObject | None) -> object:
    return ABSENT if object is None else object.type


def _compare_objects(ours: DirectoryObject, theirs: DirectoryObject) -> Iterable[Difference]:
    if ours.type != theirs.type:
        yield Difference(ours.id, Kind.TYPE, "type", ours.type, theirs.type or ABSENT)
    for name in sorted(ours.properties.keys() | theirs.properties.keys()):
        one, other = ours.properties.get(name, ABSENT), theirs.properties.get(name, ABSENT)
        if not is_same(one, other):
            yield Difference(ours.id, Kind.PROPERTY, name, one, other)


def is_same(one: object, other: object) -> bool:
    """Compare two JSON values as JSON does: 1 is 1.0 and not true; what was written several times is nothing else."""
    if isinstance(one, Several) or isinstance(other, Several):
        return False
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(is_same(value, other[name]) for name, value in one.items())
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    return one == other


def key_of(one: Difference) -> str:
    """Return what makes it the same difference as one found earlier."""
    return f"{one.id} {one.kind} {one.property}"


def remember(differences: Iterable[Difference], memory: Memory, now: float) -> tuple[tuple[Difference, ...], Memory]:
    """Fill in since when each differs, and return what to remember; `now` in seconds since the epoch.

    Of more than `REMEMBERED_MAX` the latest are not remembered: each look calls them new.
    """
    dated = tuple(replace(one, since=min(memory.get(key_of(one), now), now)) for one in differences)
    oldest = sorted(dated, key=lambda one: one.since)[:REMEMBERED_MAX]
    return dated, {key_of(one): one.since for one in oldest}


def pulled(object: DirectoryObject, differences: Iterable[Difference]) -> dict[str, object]:
    """Return a resource's parameters with the directory's values of what differs; those that it lacks are gone."""
    parameters = dict(object.properties)
    for one in differences:
        if one.id == object.id and one.kind is Kind.PROPERTY:
            if one.in_directory is ABSENT:
                parameters.pop(one.property, None)
            else:
                parameters[one.property] = one.in_directory
    return parameters


def conflicts(differences: Iterable[Difference]) -> tuple[StoreProblem, ...]:
    """List what cannot be pulled because the directory says several things at once, as mistakes of the store."""
    return tuple(
        StoreProblem(
            "directory",
            f"/{one.id}/parameters/{one.property}",
            f"{one.id}",
            f"{one.property} has {len(one.in_directory)} values in the directory",
            "leave one of them there",
        )
        for one in differences
        if isinstance(one.in_directory, Several)
    )
