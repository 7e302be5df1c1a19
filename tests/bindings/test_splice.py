"""What differs between two texts of one object, found without reading the rest: never more than the whole says."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.parse import Reading, read_store
from bindings.splice import changed_piece
from bindings.syntax import Pieces

NAMES = [f"/smtp/{name}" for name in "abcd"]
TEXTS = st.sampled_from(["", "}", "{", '"', ":{}"])
VALUES = st.dictionaries(st.sampled_from(["x", "y", '{"', ":"]), TEXTS, max_size=2)
OBJECTS = st.fixed_dictionaries(dict.fromkeys(NAMES, VALUES))


def pieces_of(text: bytes) -> Pieces:
    """Decode a text into its pieces."""
    return msgspec.json.decode(text, type=Pieces)


@given(before=OBJECTS, after=OBJECTS)
def test_only_what_one_value_changes_is_told(before: dict[str, object], after: dict[str, object]) -> None:
    """A piece is named only where it alone differs, whatever braces and quotes the values hold; and then always."""
    texts = [{name: json.dumps(one[name]) for name in NAMES} for one in (before, after)]  # in one order
    old, new = (json.dumps({name: one[name] for name in NAMES}).encode() for one in (before, after))
    changed = [name for name in NAMES if texts[0][name] != texts[1][name]]
    found = changed_piece(old, pieces_of(old), new)
    if len(changed) == 1:
        assert found is not None
        assert (found[0], msgspec.json.decode(found[1])) == (changed[0], after[changed[0]])
    else:
        assert found is None


@pytest.mark.parametrize(
    "new",
    ['{"/a/1": {"x": 1}}', '{"/a/1": {"x": 1}, "/a/3": {}}', '{"/a/1": {"x": 1}, "/a/2": {}, "/a/3": {}}', "{}"],
)
def test_names_that_come_and_go_are_no_change_of_one_value(new: str) -> None:
    """Where the names differ, everything is read."""
    old = b'{"/a/1": {"x": 1}, "/a/2": {}}'
    assert changed_piece(old, pieces_of(old), new.encode()) is None


def store(revision: int = 1, **servers: object) -> bytes:
    """Write a metabase of these virtual servers."""
    keys = {"/": {"fall": 3}, **{f"/smtp/{name}": value for name, value in servers.items()}}
    return json.dumps({"schema_version": 1, "revision": revision, "keys": keys}).encode()


ONE, TWO = {"bindings": ["127.0.0.1:25"]}, {"bindings": ["127.0.0.1:26"], "rise": 2}


@pytest.mark.parametrize(
    "edited",
    [
        store(a=ONE, b=ONE),
        store(2, a=ONE, b={**TWO, "poll_interval_s": 3}),
        store(2, a=ONE, b={**TWO, "auto_start": False}),
        store(a=TWO, b=TWO, c=ONE),
        store(a=TWO, b=ONE),
    ],
)
def test_an_edit_reads_as_the_whole_does(edited: bytes) -> None:
    """The store after an edit is that of its text alone, and what did not change is the same object."""
    before = read_store(store(a=ONE, b=TWO), None)
    after = read_store(edited, None, before)
    assert after.store == read_store(edited, None).store
    assert after.metabase.keys.keys() == read_store(edited, None).metabase.keys.keys()
    kept = before.store.virtual_servers
    assert all(kept[key] is one for key, one in after.store.virtual_servers.items() if kept.get(key) == one)


def test_one_edit_after_the_other_is_followed() -> None:
    """Each builds on the one before, also where lengths change."""
    reading: Reading | None = None
    for port in (25, 2525, 7, 65535):
        text = store(port, a={"bindings": [f"127.0.0.1:{port}"]}, b=TWO)
        reading = read_store(text, None, reading)
        assert reading.store == read_store(text, None).store


@pytest.mark.parametrize(
    "wrong",
    [
        b'{"bindings": ["127.0.0.1:99999"]}',
        b'{"bindings": ["127.0.0.1:25"], "bindings": ["127.0.0.1:26"]}',
        b'{"bindingz": []}',
        b"7",
        b'{"bindings": ["\xff"]}',
        b"{} x",
    ],
)
def test_mistakes_of_an_edit_are_those_of_the_whole(wrong: bytes) -> None:
    """A bad edit is refused with the words that reading the whole text has for it."""
    good = b'{"bindings": ["127.0.0.1:26"], "rise": 2}'
    text = store(a=ONE, b=TWO)
    assert good in text
    edited = text.replace(good, wrong)
    with pytest.raises(StoreError) as whole:
        read_store(edited, None)
    with pytest.raises(StoreError) as edit:
        read_store(edited, None, read_store(text, None))
    assert edit.value.problems == whole.value.problems
