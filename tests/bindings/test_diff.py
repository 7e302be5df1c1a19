"""What changed between two stores."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bindings.diff import Change, StoreDiff, diff_stores
from bindings.model import Store
from bindings.parse import parse_store, read_store
from tests.bindings.examples import CLUSTER, METABASE, cluster, group, metabase


def servers(**ports: int) -> bytes:
    """Write a metabase of smtp servers, each with one port."""
    return metabase({f"/smtp/{name}": {"bindings": [f":{port}"]} for name, port in ports.items()})


def test_the_first_store_is_all_new() -> None:
    """Compared with nothing, every resource and group is added."""
    diff = diff_stores(None, parse_store(METABASE, CLUSTER))
    assert diff.added == (("evs1", "sa"), ("evs1", "store"), ("evs1", "smtp"), ("default", "http-1"))
    assert diff.groups_added == ("evs1", "default")
    assert diff._replace(added=(), groups_added=()).empty
    assert not diff.empty


def test_equal_stores_do_not_differ() -> None:
    """Texts read apart, spaced otherwise and with other revisions are the same store."""
    spaced = METABASE.replace(b'"revision": 7', b'"revision": 99').replace(b": ", b" :\n ")
    diff = diff_stores(parse_store(METABASE, CLUSTER), parse_store(spaced, CLUSTER.replace(b"3", b"4", 1)))
    assert diff == StoreDiff()
    assert diff.empty


def test_a_changed_server_changes_the_resource_that_names_it() -> None:
    """A resource is changed when its virtual server is, and the difference says which of the two it was."""
    text = METABASE.replace(b"127.0.0.1:25", b"127.0.0.1:26")
    diff = diff_stores(parse_store(METABASE, CLUSTER), parse_store(text, CLUSTER))
    assert diff == StoreDiff(changed=(Change(("evs1", "smtp"), resource=False, virtual_server=True),))


def test_a_changed_entry_changes_the_resource() -> None:
    """A resource whose own entry changed is told apart from one whose server did, and both can be."""
    entry = CLUSTER.replace(b'"restart_threshold": 2', b'"restart_threshold": 3')
    old = parse_store(METABASE, CLUSTER)
    assert diff_stores(old, parse_store(METABASE, entry)).changed == (Change(("evs1", "smtp"), True, False),)
    both = parse_store(METABASE.replace(b":25", b":26"), entry)
    assert diff_stores(old, both).changed == (Change(("evs1", "smtp"), True, True),)


def test_naming_another_server_changes_both() -> None:
    """A resource that names another virtual server has changed, and what it asks has."""
    old = cluster(group(a={"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}}))
    new = cluster(group(a={"type": "smtp", "parameters": {"virtual_server": "/smtp/2"}}))
    text = metabase({"/smtp/1": {"bindings": [":25"]}, "/smtp/2": {"bindings": [":25"]}})
    diff = diff_stores(parse_store(text, old), parse_store(text, new))
    assert diff.changed == (Change(("g", "a"), True, True),)
    assert diff.added == (("default", "smtp-1"),)
    assert diff.removed == (("default", "smtp-2"),)


def test_a_changed_default_changes_all_that_inherit_it() -> None:
    """A new value at /smtp changes each smtp server that does not override it, and no other."""
    keys = {"/smtp": {"rise": 1}, "/smtp/a": {"bindings": [":1"]}, "/smtp/b": {"bindings": [":2"], "rise": 5},
            "/imap/a": {"bindings": [":3"]}}  # fmt: skip
    changed = diff_stores(parse_store(metabase(keys), None), parse_store(metabase(keys | {"/smtp": {"rise": 2}}), None))
    assert [change.id for change in changed.changed] == [("default", "smtp-a")]


def test_added_and_removed() -> None:
    """A key that comes is an added resource, one that goes a removed one; a renamed one is both."""
    diff = diff_stores(parse_store(servers(a=1, b=2), None), parse_store(servers(b=2, c=1), None))
    assert diff == StoreDiff(added=(("default", "smtp-c"),), removed=(("default", "smtp-a"),))


def test_groups_come_change_and_go() -> None:
    """Groups are compared by name and possible owners; their resources are told apart."""
    old = cluster({"a": {}, "b": {"possible_owners": ["n1"]}, "c": {"resources": {"x": {"type": "exec"}}}})
    new = cluster({"b": {"possible_owners": ["n2"]}, "c": {}, "d": {}})
    diff = diff_stores(parse_store(None, old), parse_store(None, new))
    assert diff == StoreDiff(removed=(("c", "x"),), groups_added=("d",), groups_changed=("b",), groups_removed=("a",))


def test_new_permissions_are_told() -> None:
    """What the API may do is a change of its own."""
    diff = diff_stores(parse_store(None, cluster({})), parse_store(None, cluster({}, allowed_files=["/x"])))
    assert diff == StoreDiff(permissions_changed=True)


PORTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), max_size=6)


@given(PORTS, PORTS)
def test_the_difference_is_exactly_what_differs(old_ports: dict[str, int], new_ports: dict[str, int]) -> None:
    """Added, changed and removed are set differences, whether the new store was read afresh or built on the old."""
    before = read_store(servers(**old_ports), None)
    for new in (parse_store(servers(**new_ports), None), read_store(servers(**new_ports), None, before).store):
        diff = diff_stores(before.store, new)
        assert {name for _, name in diff.added} == {f"smtp-{n}" for n in new_ports.keys() - old_ports.keys()}
        assert {name for _, name in diff.removed} == {f"smtp-{n}" for n in old_ports.keys() - new_ports.keys()}
        both = old_ports.keys() & new_ports.keys()
        assert {change.id[1] for change in diff.changed} == {f"smtp-{n}" for n in both if old_ports[n] != new_ports[n]}
        assert diff.empty is (old_ports == new_ports)


def test_one_change_among_many_looks_into_nothing_else() -> None:
    """Re-reading a store of 2,000 servers after one edit keeps all others as the same objects."""
    ports = {f"v{n}": n + 1 for n in range(2000)}
    before = read_store(servers(**ports), None)
    after = read_store(servers(**{**ports, "v7": 9999}), None, before)
    assert [change.id for change in diff_stores(before.store, after.store).changed] == [("default", "smtp-v7")]
    assert shared(before.store, after.store) == 1999


def shared(old: Store, new: Store) -> int:
    """Count the virtual servers that two stores have in common as objects."""
    return sum(old.virtual_servers.get(key) is server for key, server in new.virtual_servers.items())
