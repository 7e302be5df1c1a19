"""The comparison (S73): what is found, what is the same, and what is remembered of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.directory.contract import DirectoryObject
from probe.directory.drift import (
    ABSENT,
    REMEMBERED_MAX,
    Difference,
    Kind,
    as_object,
    compare,
    is_same,
    key_of,
    pulled,
    remember,
)
from probe.directory.names import Several
from probe.values import ResourceId
from tests.directory.worlds import JSON, objects

ID = ResourceId("g", "a")


def one(**properties: object) -> DirectoryObject:
    """An object of one id."""
    return DirectoryObject(ID, "smtp", properties)


def found(ours: DirectoryObject, theirs: DirectoryObject) -> list[tuple[str, str, object, object]]:
    """What differs between two objects of the same id."""
    return [(each.kind, each.property, each.in_store, each.in_directory) for each in compare([ours], [theirs])]


def test_every_kind() -> None:
    """S73: a property changed, added or gone, a type, an object missing or left over: each once, ids in order."""
    assert found(one(a=1, b=2), one(a=1, b=3, c=4)) == [("property", "b", 2, 3), ("property", "c", ABSENT, 4)]
    assert found(one(a=None), one()) == [("property", "a", None, ABSENT)]
    assert found(one(), DirectoryObject(ID, "tcp")) == [("type", "type", "smtp", "tcp")]
    other = DirectoryObject(ResourceId("a", "z"), "tcp")
    kinds = [(each.id, each.kind, each.in_store, each.in_directory) for each in compare([one()], [other])]
    assert kinds == [(other.id, Kind.EXTRA_OBJECT, ABSENT, "tcp"), (ID, Kind.MISSING_OBJECT, "smtp", ABSENT)]


@given(st.lists(objects()))
def test_nothing_differs_from_itself(there: list[DirectoryObject]) -> None:
    """S73: what a JSON file would give back is no difference."""
    again = [DirectoryObject(each.id, each.type, json.loads(json.dumps(each.properties))) for each in there]
    assert compare(there, again) == ()


@given(objects(), JSON)
def test_a_changed_property_is_found(object: DirectoryObject, value: object) -> None:
    """S73: whatever a property is set to, a difference with both values is found, unless JSON calls them the same."""
    changed = DirectoryObject(object.id, object.type, {**object.properties, "new": value})
    ((kind, name, ours, theirs),) = found(object, changed)
    assert (kind, name, ours) == ("property", "new", object.properties.get("new", ABSENT))
    assert is_same(theirs, value)


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        (1, 1.0, True), (1, True, False), (0, False, False), ([1, [2]], [1.0, [2]], True), ([1], [True], False),
        ({"a": 1}, {"a": 1.0}, True), ({"a": 1}, {"a": True}, False), ({"a": None}, {}, False), ([1, 2], [2, 1], False),
        ("1", 1, False), (Several((1, 2)), [1, 2], False), (Several((1, 1)), 1, False), (None, ABSENT, False),
    ],
)  # fmt: skip
def test_sameness(ours: object, theirs: object, same: bool) -> None:
    """S73: values are compared as JSON means them, not as Python does."""
    assert is_same(ours, theirs) is same
    assert is_same(theirs, ours) is same


@given(objects(st.just(ID)), objects(st.just(ID)))
def test_pulled_parameters(ours: DirectoryObject, theirs: DirectoryObject) -> None:
    """S73: the store's parameters with what differs taken from the directory are the directory's."""
    result = pulled(ours, compare([ours], [theirs]))
    assert is_same(result, dict(theirs.properties))


def test_the_memory_is_bounded() -> None:
    """S73: the oldest beginnings are kept, whatever number of differences there is; a mended one is forgotten."""
    many = [Difference(ID, Kind.PROPERTY, f"p{number}", 1, 2) for number in range(REMEMBERED_MAX + 5)]
    first, memory = remember(many[:3], {}, 5.0)
    assert [each.since for each in first] == [5.0] * 3
    dated, memory = remember(many[1:], memory, 9.0)
    assert len(memory) == REMEMBERED_MAX
    assert [memory.get(key_of(each)) for each in many[:4]] == [None, 5.0, 5.0, 9.0]
    assert len(dated) == len(many) - 1


def test_as_json() -> None:
    """A difference for programs: an absent value is left out, null is null."""
    difference = Difference(ID, Kind.PROPERTY, "p", None, ABSENT, 7.0)
    assert as_object(difference) == {"id": "g/a", "kind": "property", "property": "p", "store": None, "since": 7.0}
