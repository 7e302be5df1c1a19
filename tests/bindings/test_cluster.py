"""`cluster.json`: groups, resources, what they depend on, and one message for each mistake."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.model import Controller, Resource, Store
from bindings.parse import parse_store
from tests.bindings.examples import cluster, group

AT = "cluster.json: "


def store(groups: object, **more: object) -> Store:
    """Parse a cluster document without a metabase."""
    return parse_store(None, cluster(groups, **more))


def errors(text: bytes) -> list[str]:
    """Return every mistake of a cluster document."""
    with pytest.raises(StoreError) as caught:
        parse_store(None, text)
    return str(caught.value).splitlines()


def test_every_property_is_read() -> None:
    """A resource that gives all properties has all of them in the model."""
    full = {
        "type": "exec",
        "depends_on": ["b"],
        "possible_owners": ["node-1.example.org"],
        "controller": {"kind": "process", "command": ["/bin/x", "-f"], "kill_after_s": 3},
        "parameters": {"argv": ["/bin/true"], "n": {"m": None}},
        "restart_action": "restart-and-fail-over",
        "restart_threshold": 0,
        "restart_period_s": 60,
        "restart_delay_s": 0,
        "retry_period_s": 120.5,
        "pending_timeout_s": 5,
        "poll_interval_s": 0.1,
        "fast_interval_s": 0.2,
        "rise": 2,
        "fall": 3,
        "auto_start": False,
    }
    assert store(group(a=full, b={"type": "exec"})).groups["g"].resources["a"] == Resource(
        group="g",
        name="a",
        type="exec",
        depends_on=("b",),
        possible_owners=("node-1.example.org",),
        controller=Controller("process", {"command": ["/bin/x", "-f"], "kill_after_s": 3}),
        parameters={"argv": ["/bin/true"], "n": {"m": None}},
        restart_action="restart-and-fail-over",
        restart_threshold=0,
        restart_period_s=60.0,
        restart_delay_s=0.0,
        retry_period_s=120.5,
        pending_timeout_s=5.0,
        poll_interval_s=0.1,
        fast_interval_s=0.2,
        rise=2,
        fall=3,
        auto_start=False,
    )


def test_the_defaults_are_those_of_the_design() -> None:
    """S12: a resource that gives its type alone has the defaults, and so has one that gives null for all."""
    plain = store(group(a={"type": "exec"})).groups["g"].resources["a"]
    assert (plain.restart_action, plain.restart_threshold, plain.restart_period_s) == ("restart", 2, 900.0)
    assert (plain.restart_delay_s, plain.retry_period_s, plain.pending_timeout_s) == (0.0, None, 180.0)
    assert (plain.controller.kind, plain.auto_start, plain.poll_interval_s) == ("none", True, None)
    nulls = {"type": "exec", "retry_period_s": None, "controller": None, "depends_on": None, "auto_start": None}
    assert store(group(a=nulls)).groups["g"].resources["a"] == plain


def test_what_may_come_over_the_network_is_listed() -> None:
    """allowed_controllers and allowed_files are lists of texts, for the API to obey."""
    read = store({}, allowed_controllers=["systemd"], allowed_files=["/etc/ca.pem"], revision=4)
    assert (read.allowed_controllers, read.allowed_files, read.cluster_revision) == (("systemd",), ("/etc/ca.pem",), 4)


def test_types_controllers_and_parameters_are_not_judged_here() -> None:
    """What a type or controller makes of its parameters is its own business; it is carried as it is."""
    read = store(group(a={"type": "unheard-of", "controller": {"kind": "odd", "x": [1]}, "parameters": {"y": 2}}))
    assert read.groups["g"].resources["a"].controller == Controller("odd", {"x": [1]})


VALUES: list[tuple[str, object, str]] = [
    ("type", None, '"type" is missing; for example "type": "smtp"'),
    ("type", 1, "type: must be a name: a letter or digit, then at most 62 letters, digits or . _ -, not the number 1"),
    ("type", "a b", 'type: "a b" is not a name: a letter or digit, then at most 62 letters, digits or . _ -'),
    ("depends_on", "b", 'depends_on: must be a list of resources of the group, not the text "b"'),
    ("depends_on", ["b", "b"], 'depends_on[1]: "b" is given twice'),
    ("depends_on", ["B"], 'depends_on[0]: there is no resource "B" in group "g"'),
    ("depends_on", ["bb"], 'depends_on[0]: there is no resource "bb" in group "g"; did you mean "b"?'),
    ("depends_on", ["a"], "depends_on: depends on itself: a -> a"),
    ("possible_owners", [""], 'possible_owners[0]: "" is not the name of a node'),
    ("controller", "none", 'controller: must be an object such as {"kind": "none"}, not the text "none"'),
    ("controller", {"knd": "none"}, 'controller: "kind" is missing; for example {"kind": "none"}'),
    ("controller", {"kind": 1},
     "controller.kind: must be a name: a letter or digit, then at most 62 letters, digits or . _ -, not the number 1"),
    ("parameters", [], "parameters: must be an object, not a list"),
    ("restart_action", "retry",
     ('restart_action: must be one of "restart", "restart-and-fail-over", "do-not-restart", not the text "retry"; '
     'did you mean "restart"?')),
    ("restart_threshold", -1, "restart_threshold: -1 is below 0"),
    ("restart_period_s", 0, "restart_period_s: must be more than 0"),
    ("restart_delay_s", -0.5, "restart_delay_s: -0.5 is below 0"),
    ("retry_period_s", 0, "retry_period_s: must be more than 0"),
    ("pending_timeout_s", "3m", 'pending_timeout_s: must be a number of seconds, not the text "3m"'),
    ("poll_interval_s", 0.01, "poll_interval_s: 0.01 is below 0.1"),
    ("rise", 0, "rise: 0 is below 1"),
    ("auto_start", 0, "auto_start: must be true or false, not the number 0"),
    ("restart_treshold", 1, 'unknown key "restart_treshold"; did you mean "restart_threshold"?'),
    ("command", "start", 'unknown key "command"'),
]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "wanted"), VALUES)
def test_each_wrong_value_has_its_message(name: str, value: object, wanted: str) -> None:
    """A wrong value gives exactly one message, with group/resource, the property and a pointer to it."""
    (line,) = errors(cluster(group(b={"type": "exec"}, a={"type": "exec", name: value})))
    assert line.partition(" (at /")[0] == f"{AT}g/a: {wanted}"
    assert line.partition(" (at ")[2].startswith("/groups/g/resources/a")


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"schema_version": 1}, ['"groups" is missing; for example "groups": {}']),
        ({"schema_version": 1, "groups": []}, ["groups: must be an object: groups by name (at /groups)"]),
        ({"schema_version": 1, "groups": {"g": []}},
         ["g: must be an object: possible_owners and resources (at /groups/g)"]),
        ({"schema_version": 1, "groups": {"g": {"resources": []}}},
         ["g: resources: must be an object: resources by name (at /groups/g/resources)"]),
        ({"schema_version": 1, "groups": {"g": {"resource": {}}}},
         ['g: unknown key "resource"; did you mean "resources"? (at /groups/g/resource)']),
        ({"schema_version": 1, "groups": {"g": {"possible_owners": None}}},
         ["g: possible_owners: must be a list of nodes, not null (at /groups/g/possible_owners)"]),
        ({"schema_version": 1, "groups": {"g/h": {}}},
         ['g/h: "g/h" is not a name: a letter or digit, then at most 62 letters, digits or . _ - (at /groups/g~1h)']),
        ({"schema_version": 1, "groups": {"g": {"resources": {"a": None}}}},
         ["g/a: must be an object of properties, not null (at /groups/g/resources/a)"]),
        ({"schema_version": 1, "groups": {}, "allowed_files": ["a", 1]},
         ["allowed_files[1]: must be a text, not the number 1 (at /allowed_files/1)"]),
        ({"schema_version": 1, "groups": {}, "allowed_controlers": []},
         ['unknown key "allowed_controlers"; did you mean "allowed_controllers"? (at /allowed_controlers)']),
    ],
)  # fmt: skip
def test_what_surrounds_the_resources(document: object, wanted: list[str]) -> None:
    """The document around the resources is checked as strictly as the resources."""
    assert errors(json.dumps(document).encode()) == [AT + line for line in wanted]


def depending(**waits: list[str]) -> bytes:
    """Write a group whose resources depend on each other."""
    return cluster(group(**{name: {"type": "exec", "depends_on": providers} for name, providers in waits.items()}))


def circles(text: bytes) -> list[str]:
    """Return the circles that are told of."""
    return [line.partition("depends on itself: ")[2].partition(" (at")[0] for line in errors(text)]


def test_a_circle_is_named() -> None:
    """A circle of dependencies is one mistake, written out from its first resource on; nobody else is blamed."""
    assert circles(depending(x=["a"], a=["b"], b=["c"], c=["a"], y=[])) == ["a -> b -> c -> a"]
    assert circles(depending(a=["b"], b=["a"], c=["d"], d=["c"])) == ["a -> b -> a", "c -> d -> c"]
    assert circles(depending(a=["a", "b"], b=["a"])) == ["a -> a", "a -> b -> a"]


def test_a_long_circle_is_cut_short() -> None:
    """A circle of a thousand is one bounded line."""
    waits = {f"r{n}": [f"r{(n + 1) % 1000}"] for n in range(1000)}
    (circle,) = circles(depending(**waits))
    assert circle.startswith("r0 -> r1 -> ")
    assert circle.endswith("... -> r0")
    assert len(circle) < 200


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_circle_is_found_exactly_when_there_is_one(edges: list[tuple[int, int]]) -> None:
    """Dependencies are refused if and only if no order of starting exists."""
    waits = {n: sorted({b for a, b in edges if a == n}) for n in range(8)}
    started: set[int] = set()
    while ready := {n for n in waits if n not in started and started.issuperset(waits[n])}:
        started |= ready
    text = depending(**{f"r{n}": [f"r{b}" for b in providers] for n, providers in waits.items()})
    if len(started) == 8:
        assert len(parse_store(None, text).groups["g"].resources) == 8
    else:
        found = [circle.split(" -> ") for circle in circles(text)]
        assert found
        for circle in found:
            assert circle[0] == circle[-1]
            assert all(int(b[1:]) in waits[int(a[1:])] for a, b in itertools.pairwise(circle))


def test_a_group_does_not_see_another_groups_resources() -> None:
    """S11: a resource depends on resources of its own group only."""
    groups = {"g": {"resources": {"a": {"type": "x", "depends_on": ["b"]}}}, "h": {"resources": {"b": {"type": "x"}}}}
    assert errors(cluster(groups)) == [
        AT + 'g/a: depends_on[0]: there is no resource "b" in group "g" (at /groups/g/resources/a/depends_on/0)'
    ]
