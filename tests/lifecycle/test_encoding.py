"""Events, actions, decisions and worlds: whatever they are, they come back from their bytes as they were."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from probe.lifecycle import encoding
from probe.lifecycle.actions import Action
from probe.lifecycle.encoding import Undecodable
from probe.lifecycle.events import Configured, Event, Started
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Record, Transition, World
from probe.values import OpId, ResourceId
from tests.lifecycle.worlds import bring_up, chain, world_of

PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**62), 2**62),
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=20),
    bool: st.booleans(),
    NoneType: st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Draw any value of a type that the core uses, whatever fields it has."""
    kind = getattr(kind, "__supertype__", kind)  # of a NewType
    if kind in PLAIN:
        return PLAIN[kind]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([values_of(each) for each in arguments])
    if origin is tuple and arguments[-1] is ...:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    if origin is frozenset:
        return st.frozensets(values_of(arguments[0]), max_size=4)
    if origin is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(*map(values_of, arguments), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    hints = get_type_hints(kind)
    assert is_dataclass(kind) or issubclass(kind, tuple | msgspec.Struct), (
        f"a type that the encoding has not met yet: {kind}"
    )
    return st.builds(kind, **{name: values_of(hint) for name, hint in hints.items()})


def joined(pieces: Any) -> bytes:
    """Write it whole."""
    return b"".join(pieces)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_event_comes_back(kind: type, data: st.DataObject) -> None:
    """Each member of the union of events is the same after having been written and read, whatever is in its fields."""
    event = data.draw(values_of(kind))
    raw = joined(encoding.event_pieces(event))
    again = encoding.decode_event(raw)
    assert again == event
    assert type(again) is kind
    assert joined(encoding.event_pieces(again)) == raw


@pytest.mark.parametrize("kind", get_args(Action), ids=lambda kind: kind.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_every_action_comes_back(kind: type, data: st.DataObject) -> None:
    """Each member of the union of actions is the same after having been written and read."""
    actions = data.draw(st.lists(values_of(kind), max_size=3))
    assert encoding.decode_actions(joined(encoding.action_pieces(actions))) == actions


@settings(max_examples=50, deadline=None)
@given(transitions=st.lists(values_of(Transition), max_size=3))
def test_transitions_come_back(transitions: list[Transition]) -> None:
    """Changes of state are the same after having been written and read."""
    assert encoding.decode_transitions(joined(encoding.transition_pieces(transitions))) == transitions


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_every_world_comes_back(data: st.DataObject) -> None:
    """Every table of a world, with any record in it, is the same after having been written and read."""
    hints = get_type_hints(Decision)
    tables = {name: data.draw(values_of(hints[name])) for name in vars(World()) if name in hints}
    records = data.draw(st.lists(values_of(Record), max_size=3))
    tables["records"] = {record.id: record for record in records}
    world = encoding.world_of(Decision(**tables))
    again = encoding.decode_world(encoding.world_pieces(encoding.snapshot(world)))
    assert tables_of(again) == tables_of(world)
    assert [list(table) for table in tables_of(again).values() if isinstance(table, dict)] == [
        list(table) for table in tables_of(world).values() if isinstance(table, dict)
    ], "the order of a table is part of what the core decides by"
    assert again.next_due() == world.next_due()


def tables_of(world: World) -> dict[str, Any]:
    """Name what a world holds; the heap follows from it."""
    return {name: value for name, value in vars(world).items() if not name.startswith("_")}


def test_a_world_has_no_table_that_no_decision_writes() -> None:
    """What a fork or a checkpoint leaves out must follow from the rest: `apply` makes it."""
    left_out = set(tables_of(World())) - {field.name for field in fields(Decision)}
    world = world_of(chain(3))
    bring_up(world)
    fork = encoding.world_of(encoding.snapshot(world))
    assert {name: getattr(fork, name) for name in left_out} == {name: getattr(world, name) for name in left_out}


def test_a_fork_is_of_its_own() -> None:
    """What happens in a fork changes nothing in the world that it was taken from."""
    world = world_of(chain(3))
    before = tables_of(encoding.world_of(encoding.snapshot(world)))
    bring_up(encoding.world_of(encoding.snapshot(world)))
    assert tables_of(world) == before


def test_large_values_come_in_pieces() -> None:
    """A store of many resources is written and read piece by piece, and is the same."""
    event = Configured(tuple(chain(5 * encoding.PIECE_ROWS + 1)))
    pieces = list(encoding.event_pieces(event))
    assert max(map(len, pieces)) < len(joined(pieces)) / 4
    assert encoding.decode_event(joined(pieces)) == event


def test_the_digest_sees_what_actions_do_not_tell() -> None:
    """Two decisions that differ in a record alone have different digests; the same one has the same."""
    world = world_of(chain(1))
    event = Started(ResourceId("evs1", "r0"), OpId(1))
    assert encoding.digest(step(world, event, 1.0)) == encoding.digest(step(world, event, 1.0))
    assert encoding.digest(step(world, event, 1.0)) != encoding.digest(step(world, event, 2.0))


def test_equal_values_are_equal_bytes() -> None:
    """A set is written in the order of its values, however it came about: bytes are what a replay compares."""
    one, two = frozenset([OpId(8), OpId(0)]), frozenset([OpId(0), OpId(8)])
    assert list(one) != list(two), "these two sets no longer show it; find others"
    record = Record(chain(1)[0], 0.0, workers=one)
    decisions = [Decision(records={record.id: replace(record, workers=workers)}) for workers in (one, two)]
    assert encoding.digest(decisions[0]) == encoding.digest(decisions[1])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "the event"),
        (b"[", "the event"),
        (b'["Nothing", {}]', "no event 'Nothing'"),
        (b'["Start", {"id": ["a", "b"], "op": 1, "incarnation": 1}]', "no event 'Start'"),
        (b'["Started", {"id": ["a", "b"], "op": "1"}]', r"Started: Expected `int`.*\$.op"),
        (b'["Started", {"id": ["a", "b", "c"], "op": 1}]', r"Started: .*length 2.*\$.id"),
        (b'["Started", {"id": ["a", "b"]}]', "Started: .*missing required field `op`"),
        (b'["Started", {"id": ["a", "b"], "op": 1, "new": 1}]', "Started.new is not known here"),
        (b'["Started", {"id": ["a", "b"], "op": 1}, 3]', "the event: .*length 2"),
        (b'["Asked", {"verb": "explode", "target": "a"}]', "Asked: Invalid enum value 'explode'"),
        (b'["Started", {"id": ["\xff", "b"], "op": 1}]', "Started|the event"),
        (b'["Tick", ' + b"[" * 100_000 + b"]" * 100_000 + b"]", "the event|Tick"),
    ],
)
def test_bytes_that_mean_nothing_are_refused(raw: bytes, why: str) -> None:
    """Whatever is wrong is an error that says what and where; nothing is passed over."""
    with pytest.raises(Undecodable, match=why):
        encoding.decode_event(raw)


def test_an_unknown_field_deep_inside_is_found() -> None:
    """A field of a later version is found in whatever depth, for it could have mattered."""
    document = msgspec.json.decode(joined(encoding.event_pieces(Configured(tuple(chain(2))))))
    document[1]["specs"][1]["traits"]["explodes"] = True
    with pytest.raises(Undecodable, match=r"Configured.specs\[1\].traits.explodes is not known here"):
        encoding.decode_event(msgspec.json.encode(document))


def test_a_field_of_a_later_version_has_its_default() -> None:
    """What an earlier version wrote is read with the defaults of what it lacks."""
    event = Configured(tuple(chain(1)))
    document = msgspec.json.decode(joined(encoding.event_pieces(event)))
    del document[1]["specs"][0]["shape"], document[1]["desired"]
    assert encoding.decode_event(msgspec.json.encode(document)) == event


@pytest.mark.parametrize("piece", [b'["_due", []]', b'["records", [[["a","b"]]]]', b'["next_op", null]', b"{}", b"["])
def test_a_world_that_makes_no_sense_is_refused(piece: bytes) -> None:
    """A table that no world has, and rows that do not fit, are errors."""
    with pytest.raises(Undecodable):
        encoding.decode_world([piece])


def test_a_table_that_came_later_leaves_older_digests_as_they_were() -> None:
    """A journal written before `joined` existed replays: what says nothing there is no part of the digest."""
    assert encoding.digest(Decision()) == "a01225e8557bf87b1fec0f8d"
    assert encoding.digest(Decision(joined={"g": ()})) != encoding.digest(Decision())
