"""Reading a store: what the two files say once joined, and every mistake in them at once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.model import Controller, Resource, Store
from bindings.parse import parse_store, read_store, virtual_server_of
from tests.bindings.examples import CLUSTER, METABASE, cluster, group, metabase

ONE = {"/smtp/1": {"bindings": ["127.0.0.1:25"]}}


def errors(metabase_text: bytes | None, cluster_text: bytes | None = None) -> list[str]:
    """Return every mistake as a person reads it; none at all is a failure."""
    with pytest.raises(StoreError) as caught:
        parse_store(metabase_text, cluster_text)
    return str(caught.value).splitlines()


def test_the_design_examples_are_a_store() -> None:
    """The two documents of the design read as written: servers, resources, controllers, and the implied resource."""
    store = parse_store(METABASE, CLUSTER)
    assert (store.metabase_revision, store.cluster_revision) == (7, 3)
    assert list(store.virtual_servers) == ["/smtp/1", "/http/1"]
    assert list(store.groups) == ["evs1", "default"]
    assert store.groups["evs1"].resources["smtp"] == Resource(
        group="evs1",
        name="smtp",
        type="smtp",
        depends_on=("store",),
        controller=Controller("process", {"command": ["/usr/sbin/postfix", "start-fg"]}),
        parameters={"virtual_server": "/smtp/1"},
        restart_threshold=2,
    )
    assert list(store.groups["default"].resources) == ["http-1"]


def test_a_store_of_one_small_file() -> None:
    """A virtual server that no resource names is the resource default/PROTOCOL-NAME with controller none."""
    store = parse_store(metabase({"/smtp/1": {"bindings": [":25"]}, "/imap/a.b": {"bindings": [":143"]}}), None)
    resources = store.groups["default"].resources
    assert list(resources) == ["smtp-1", "imap-a.b"]
    first = resources["smtp-1"]
    assert (first.type, first.controller.kind, first.depends_on, first.implied) == ("smtp", "none", (), True)
    assert virtual_server_of(first) == "/smtp/1"
    assert store.metabase_revision == 0


def test_a_group_called_default_keeps_its_own_and_gets_the_implied() -> None:
    """A written group default has its resources, owners and the implied ones; its own may depend on an implied one."""
    groups = {"default": {"possible_owners": ["n1"], "resources": {"x": {"type": "exec", "depends_on": ["smtp-1"]}}}}
    store = parse_store(metabase(ONE), cluster(groups))
    assert list(store.groups["default"].resources) == ["x", "smtp-1"]
    assert store.groups["default"].possible_owners == ("n1",)


def test_a_cluster_alone_is_a_store() -> None:
    """Without metabase.json a cluster.json is enough: not every resource is a conversation."""
    store = parse_store(None, cluster(group(a={"type": "exec"})))
    assert store.groups["g"].resources["a"].type == "exec"
    assert store.virtual_servers == {}


def test_no_file_at_all_says_what_to_create() -> None:
    """An empty folder is an error that shows the line to write."""
    assert errors(None) == [
        (
            "metabase.json: there is no such file; create it with one line such as "
            '{"schema_version": 1, "keys": {"/smtp/1": {"bindings": ["127.0.0.1:25"]}}}'
        )
    ]
    shown = errors(None)[0].partition("such as ")[2]
    assert list(parse_store(shown.encode(), None).virtual_servers) == ["/smtp/1"]


@pytest.mark.parametrize(("own", "wanted"), [({}, False), ({"auto_start": True}, True), ({"auto_start": None}, False)])
def test_auto_start_is_the_resources_own_or_its_servers(own: dict[str, object], wanted: bool) -> None:
    """A resource that says nothing of auto_start does what its virtual server says."""
    servers = {"/smtp/1": {"bindings": [":25"], "auto_start": False}}
    text = cluster(group(a={"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}, **own}))
    assert parse_store(metabase(servers), text).groups["g"].resources["a"].auto_start is wanted
    assert parse_store(metabase(servers), None).groups["default"].resources["smtp-1"].auto_start is False


def test_every_mistake_of_both_files_at_once() -> None:
    """One reading names all that is wrong in both files, each at its place; it does not stop at the first."""
    keys = {
        "/smtp": {"probe_timeout_s": 0},
        "/smtp/1": {"bindings": ["127.0.0.1:99999", "x"], "polit": True, "tls": {"cafile": "x"}},
        "/http/1": {},
    }
    resources = group(a={"type": "smtp", "depends_on": ["b"], "parameters": {"virtual_server": "/smtp/2"}}, c={})
    assert errors(metabase(keys, revision=-1), cluster(resources, revison=1)) == [
        "metabase.json: revision: -1 is below 0 (at /revision)",
        "metabase.json: /smtp: probe_timeout_s: must be more than 0 (at /keys/~1smtp/probe_timeout_s)",
        "metabase.json: /smtp/1: bindings[0]: port 99999 is above 65535 (at /keys/~1smtp~11/bindings/0)",
        (
            'metabase.json: /smtp/1: bindings[1]: "x" has no port; write ADDRESS:PORT, for example "127.0.0.1:25" '
            "(at /keys/~1smtp~11/bindings/1)"
        ),
        'metabase.json: /smtp/1: unknown key "polit"; did you mean "polite"? (at /keys/~1smtp~11/polit)',
        'metabase.json: /smtp/1: tls: unknown key "cafile"; did you mean "ca_file"? (at /keys/~1smtp~11/tls/cafile)',
        (
            'metabase.json: /http/1: "bindings" or "secure_bindings" is missing; for example '
            '"bindings": ["127.0.0.1:25"] (at /keys/~1http~11)'
        ),
        'cluster.json: unknown key "revison"; did you mean "revision"? (at /revison)',
        'cluster.json: g/c: "type" is missing; for example "type": "smtp" (at /groups/g/resources/c)',
        (
            'cluster.json: g/a: parameters.virtual_server: there is no virtual server "/smtp/2" in metabase.json; '
            'did you mean "/smtp/1"? (at /groups/g/resources/a/parameters/virtual_server)'
        ),
        (
            'cluster.json: g/a: depends_on[0]: there is no resource "b" in group "g" '
            "(at /groups/g/resources/a/depends_on/0)"
        ),
    ]


def test_the_errors_of_one_file_do_not_hide_the_others() -> None:
    """A metabase that is no JSON leaves the cluster to be checked, save for what would need the metabase."""
    resources = group(a={"type": "smtp", "depends_on": ["a"], "parameters": {"virtual_server": "/smtp/1"}})
    assert errors(b"{", cluster(resources)) == [
        "metabase.json: line 1 column 2: not JSON: expecting property name enclosed in double quotes",
        "cluster.json: g/a: depends_on: depends on itself: a -> a (at /groups/g/resources/a/depends_on)",
    ]


def test_a_server_with_mistakes_is_still_there_for_its_resource() -> None:
    """A resource that names a virtual server with a mistake in it is not blamed as well."""
    resources = group(a={"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}})
    assert errors(metabase({"/smtp/1": {"bindings": [":0"]}}), cluster(resources)) == [
        "metabase.json: /smtp/1: bindings[0]: port 0 is below 1 (at /keys/~1smtp~11/bindings/0)"
    ]


def test_a_defaults_key_is_no_virtual_server() -> None:
    """A resource cannot name `/smtp`, which holds defaults."""
    text = errors(
        metabase({"/smtp": {}, **ONE}), cluster(group(a={"type": "x", "parameters": {"virtual_server": "/smtp"}}))
    )
    assert text == [
        (
            'cluster.json: g/a: parameters.virtual_server: there is no virtual server "/smtp" in metabase.json; '
            'did you mean "/smtp/1"? (at /groups/g/resources/a/parameters/virtual_server)'
        )
    ]


def test_a_name_that_an_implied_resource_has_is_refused() -> None:
    """A resource default/smtp-1 beside a virtual server /smtp/1 that nobody names would be two of one name."""
    assert errors(metabase(ONE), cluster({"default": {"resources": {"smtp-1": {"type": "exec"}}}})) == [
        (
            "cluster.json: default/smtp-1: this name is taken by the resource that virtual server /smtp/1 becomes "
            "by itself; "
            'give it "parameters": {"virtual_server": "/smtp/1"} or another name (at /groups/default/resources/smtp-1)'
        )
    ]
    named = {"default": {"resources": {"smtp-1": {"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}}}}}
    assert not parse_store(metabase(ONE), cluster(named)).groups["default"].resources["smtp-1"].implied


def test_a_reading_builds_on_the_one_before() -> None:
    """Unchanged keys and resources stay the same objects; the result equals a reading from nothing."""
    keys: dict[str, object] = {
        "/smtp": {"rise": 2},
        **{f"/smtp/{n}": {"bindings": [f"127.0.0.1:{n}"]} for n in range(1, 6)},
    }
    before = read_store(metabase(keys), CLUSTER)
    keys["/smtp/3"] = {"bindings": ["127.0.0.1:33"]}
    text = metabase(keys)
    after = read_store(text, CLUSTER, before)
    assert after.store == parse_store(text, CLUSTER)
    old, new = before.store, after.store
    assert [key for key in keys if key != "/smtp" and old.virtual_servers[key] is new.virtual_servers[key]] == [
        "/smtp/1", "/smtp/2", "/smtp/4", "/smtp/5",
    ]  # fmt: skip
    assert old.groups["evs1"].resources["sa"] is new.groups["evs1"].resources["sa"]
    assert read_store(text, CLUSTER, after) is after


@pytest.mark.parametrize("key", ["/", "/smtp"])
def test_a_changed_default_reaches_unchanged_keys(key: str) -> None:
    """A key whose own text is as before is read anew when a default above it changed."""
    before = read_store(metabase({key: {"rise": 2}, **ONE}), None)
    for text in (metabase({key: {"rise": 3}, **ONE}), metabase(ONE), metabase({**ONE, key: {"rise": 4}})):
        assert read_store(text, None, before).store == parse_store(text, None)


def test_an_implied_resource_follows_its_server() -> None:
    """The resource that a virtual server becomes is made anew when the server's auto_start changes."""
    before = read_store(metabase(ONE), None)
    text = metabase({"/smtp/1": {"bindings": ["127.0.0.1:25"], "auto_start": False}})
    assert read_store(text, None, before).store == parse_store(text, None)


def test_an_implied_resource_that_goes_is_missed() -> None:
    """A resource that depends on an implied one is in error when an edit of the metabase alone takes that one away."""
    text = cluster({"default": {"resources": {"x": {"type": "exec", "depends_on": ["smtp-1"]}}}})
    before = read_store(metabase(ONE), text)
    with pytest.raises(StoreError, match='there is no resource "smtp-1" in group "default"'):
        read_store(metabase({}), text, before)


def test_a_broken_edit_of_a_large_store_names_only_the_edit() -> None:
    """A mistake in one key among unchanged ones is found in the quick re-reading as in the first."""
    before = read_store(metabase(ONE), None)
    with pytest.raises(StoreError, match="/smtp/2: bindings"):
        read_store(metabase({**ONE, "/smtp/2": {"bindings": 1}}), None, before)


def test_ten_thousand_mistakes_are_enough() -> None:
    """The list of mistakes is bounded; the rest are counted in a last line."""
    keys: dict[str, object] = {f"/smtp/{n}": {"bindigs": []} for n in range(10_050)}
    lines = errors(metabase(keys))
    assert len(lines) == 10_001
    assert lines[-1] == "metabase.json: and 50 more mistakes"


def test_hostile_names_and_values_cannot_reach_a_terminal() -> None:
    """Whatever a file holds, a message is printable ASCII of bounded length."""
    evil = "\x1b[2J\u202e" + "x" * 5000
    resources = group(**{evil: {evil: 1, "type": evil, "depends_on": [evil], "restart_action": evil}})
    lines = errors(
        metabase({evil: {evil: evil}, "/smtp/1": {"bindings": [evil], "tls": {evil: 1}}}), cluster(resources)
    )
    assert len(lines) >= 8
    assert all(line.isascii() and line.isprintable() and len(line) < 2000 for line in lines)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["/", "/smtp", "/smtp/1", "/http/x", "smtp", "bindings", "secure_bindings", "tls", "verify", "headers",
     "ip_security", "allow", "rise", "expect", "comment", "source", "host", "path", "type", "depends_on", "controller",
     "kind", "parameters", "virtual_server", "resources", "a", "possible_owners", "auto_start", "poll_interval_s"]
)  # fmt: skip
LIKELY = st.recursive(
    st.sampled_from(
        ["127.0.0.1:25", "[::1]:1", ":25", "/smtp/1", "a", "10.0.0.0/8", "10.0.0.1", "", 0, 1, -1, 0.5, None]
    )
    | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


def only_store_error(metabase_text: bytes | None, cluster_text: bytes | None) -> Store | None:
    """Parse; anything but a Store or a StoreError with mistakes is a failure."""
    try:
        return parse_store(metabase_text, cluster_text)
    except StoreError as error:
        problems = error.problems
    assert problems
    assert all(str(problem) for problem in problems)
    return None


@given(st.none() | st.binary(max_size=200), st.none() | st.binary(max_size=200))
def test_any_bytes_are_a_store_or_a_store_error(metabase_text: bytes | None, cluster_text: bytes | None) -> None:
    """No bytes whatever make the parser raise anything but StoreError."""
    only_store_error(metabase_text, cluster_text)


@given(JSON, JSON)
def test_any_json_is_a_store_or_a_store_error(keys: object, groups: object) -> None:
    """No JSON whatever makes the parser raise anything but StoreError."""
    only_store_error(json.dumps(keys).encode(), json.dumps(groups).encode())
    only_store_error(metabase(keys), cluster(groups))


@settings(max_examples=300)
@given(st.dictionaries(NAMES, LIKELY, max_size=4), st.dictionaries(st.just("g"), LIKELY, max_size=1))
def test_json_of_likely_shape_is_a_store_or_a_store_error(keys: object, groups: object) -> None:
    """Documents made of real names and values with wrong shapes make nothing but a Store or a StoreError."""
    store = only_store_error(metabase(keys), cluster(groups))
    if store is not None:
        assert all(server.bindings for server in store.virtual_servers.values())


@given(st.dictionaries(NAMES, LIKELY, max_size=4), st.dictionaries(NAMES, LIKELY, max_size=4))
def test_reading_on_gives_what_reading_afresh_gives(first: object, second: object) -> None:
    """Building on the reading before never changes the result, store or mistakes."""
    usual = {"/": {"rise": 2}, "/smtp/1": {"bindings": [":25"]}, "/http/x": {"bindings": [":80"]}}
    keep = usual | {k: v for k, v in dict(first).items() if k in ("/", "/smtp", "/smtp/1")}  # type: ignore[call-overload] # hypothesis gives a dict
    try:
        before = read_store(metabase(keep), None)
    except StoreError:
        before = read_store(metabase(usual), None)
    text = metabase(keep | dict(second))  # type: ignore[call-overload] # likewise
    try:
        fresh: object = parse_store(text, None)
    except StoreError as error:
        fresh = error.problems
    try:
        built: object = read_store(text, None, before).store
    except StoreError as error:
        built = error.problems
    assert built == fresh


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b'{"schema_version":1,"keys":' + b'{"/":' * 900])
def test_deep_nesting_is_refused(text: bytes) -> None:
    """Nesting that would exhaust the stack is a StoreError."""
    assert errors(text, text)


def test_deep_parameters_are_refused_at_their_place() -> None:
    """What is only carried is bounded in depth too, so that comparing two stores cannot exhaust the stack."""
    deep: object = 1
    for _ in range(40):
        deep = [deep]
    assert errors(metabase(ONE), cluster(group(a={"type": "x", "parameters": {"p": deep}}))) == [
        "cluster.json: g/a: parameters: is nested more than 32 deep (at /groups/g/resources/a/parameters)"
    ]
