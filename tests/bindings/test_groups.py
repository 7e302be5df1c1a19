"""The cluster database as a text: what changes is written anew, the rest stays as its author wrote it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.groups import ClusterDocument, split_cluster
from tests.bindings.examples import CLUSTER


def test_a_resource_is_put_in_its_place() -> None:
    """A changed resource keeps its place, a new one goes to the end; every other keeps its spacing and its order."""
    document = split_cluster(CLUSTER)
    changed = document.with_resource("evs1", "sa", {"type": "system-attendant", "depends_on": []})
    changed = changed.with_resource("evs1", "imap", {"type": "imap", "parameters": {"virtual_server": "/imap/1"}})
    text = changed.text().decode()
    groups = json.loads(text)["groups"]
    assert list(groups["evs1"]["resources"]) == ["sa", "store", "smtp", "imap"]
    assert '"sa": {\n          "type": "system-attendant",\n          "depends_on": []\n        }' in text
    assert '"command": ["/usr/sbin/postfix", "start-fg"]},\n            "restart_threshold": 2}' in text
    assert split_cluster(changed.text()).text() == changed.text()


def test_an_empty_document_is_begun() -> None:
    """No file is an empty document; a resource of a group that is not there makes the group."""
    document = ClusterDocument().with_group("evs1", {"possible_owners": ["node1"]})
    assert document.with_resource("evs1", "sa", {"type": "system-attendant"}).text().decode() == (
        '{\n  "schema_version": 1,\n  "revision": 0,\n  "groups": {\n    "evs1": {\n'
        '      "possible_owners": ["node1"],\n      "resources": {\n        "sa": {\n'
        '          "type": "system-attendant"\n        }\n      }\n    }\n  }\n}\n'
    )
    assert ClusterDocument().text() == b'{\n  "schema_version": 1,\n  "revision": 0,\n  "groups": {}\n}\n'


def test_what_is_not_there_cannot_be_removed() -> None:
    """Removing says what is missing, by its name."""
    document = split_cluster(CLUSTER)
    with pytest.raises(StoreError, match="evs1/imap: there is no such resource"):
        document.with_resource("evs1", "imap", None)
    with pytest.raises(StoreError, match="evs2: there is no such group"):
        document.with_group("evs2", None)
    assert document.with_group("evs1", None).groups == {}


def test_deleted_ones_are_remembered_and_forgotten() -> None:
    """S41: what is remembered stands beside the resources, is read back, and leaves no trace once forgotten."""
    document = split_cluster(CLUSTER).with_deleted("evs1", "search", {"type": "search"})
    again = split_cluster(document.text())
    assert json.loads(again.text())["groups"]["evs1"]["deleted"] == {"search": {"type": "search"}}
    assert b"deleted" not in again.with_deleted("evs1", "search", None).text()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b'{"schema_version": 1, "groups": {"a": {}, "a": {}}}', '"a" is given twice'),
        (b'{"schema_version": 1, "groups": {"a": {"resources": {"x": {}, "x": {}}}}}', '"x" is given twice'),
        (b'{"schema_version": 1, "groups": {"a": []}}', "must be an object"),
        (b'{"schema_version": 1, "groups": []}', "must be an object"),
        (b'{"schema_version": 1, "groups": ', "not JSON"),
        (b'{"groups": {}}', '"schema_version" is missing'),
    ],
)
def test_what_writing_would_spoil_is_refused(text: bytes, wanted: str) -> None:
    """A text that is no groups of resources, or gives a name twice, is never tidied up."""
    with pytest.raises(StoreError, match=wanted):
        split_cluster(text)


def test_own_properties_are_read_as_written() -> None:
    """One resource's own properties, None for one that is not there, an error for what is no object."""
    document = split_cluster(CLUSTER)
    assert document.own("evs1", "sa") == {"type": "system-attendant", "controller": {"kind": "none"}}
    assert document.own("evs1", "x") is document.own("x", "sa") is None
    broken = split_cluster(b'{"schema_version": 1, "groups": {"a": {"resources": {"x": 5}}}}')
    with pytest.raises(StoreError, match="a/x: cannot be read"):
        broken.own("a", "x")


NAMES = st.sampled_from(["a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(NAMES, NAMES, st.dictionaries(st.text(max_size=8), VALUES, max_size=3) | st.none())))
def test_any_edits_read_back(deeds: list[tuple[str, str, dict[str, object] | None]]) -> None:
    """After any edits, written and read again in between, the document holds exactly what was put in, in order."""
    document, wanted = ClusterDocument(), dict[str, dict[str, object]]()
    for group, name, properties in deeds:
        if properties is None and name not in wanted.get(group, {}):
            continue
        document = split_cluster(document.with_resource(group, name, properties).text())
        if properties is None:
            del wanted[group][name]
        else:
            wanted.setdefault(group, {})[name] = properties
    found = {name: group["resources"] for name, group in json.loads(document.text())["groups"].items()}
    assert found == wanted
    assert [list(group) for group in found.values()] == [list(group) for group in wanted.values()]
