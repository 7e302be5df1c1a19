"""A store checked against types, controllers and checks: every mistake named with its place and its mend."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from bindings.model import Store
from bindings.parse import parse_store
from probe.controllers import CONTROLLER_KINDS
from probe.resources import TYPES, check_store, spec_of
from probe.values import ResourceId

METABASE = {"schema_version": 1, "keys": {"/smtp/1": {"bindings": ["127.0.0.1:25"]}}}


def problems(resource: Mapping[str, object], metabase: Mapping[str, object] | None = None) -> list[str]:
    """Check a store of one resource; give the messages."""
    cluster = {"schema_version": 1, "groups": {"g": {"resources": {"r": resource}}}}
    store = parse_store(json.dumps(metabase or METABASE).encode(), json.dumps(cluster).encode())
    return [str(problem) for problem in check_store(store, CONTROLLER_KINDS)]


def test_good_resource_has_no_problem() -> None:
    """A protocol resource with its virtual server and a process passes."""
    good = {
        "type": "smtp",
        "parameters": {"virtual_server": "/smtp/1"},
        "controller": {"kind": "process", "command": ["/usr/sbin/postfix", "start-fg"]},
    }
    assert problems(good) == []


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        (
            {"type": "stmp", "parameters": {"virtual_server": "/smtp/1"}},
            (
                "cluster.json: g/r: type: there is no type 'stmp'; the types are {types}; did you mean \"smtp\"? "
                "(at /groups/g/resources/r/type)"
            ),
        ),
        (
            {"type": "smtp"},
            (
                "cluster.json: g/r: parameters.virtual_server: missing: a smtp resource names what to ask; "
                'add "parameters": {{"virtual_server": "/smtp/1"}} (at /groups/g/resources/r/parameters/virtual_server)'
            ),
        ),
        (
            {"type": "imap", "parameters": {"virtual_server": "/smtp/1"}},
            (
                "cluster.json: g/r: parameters.virtual_server: /smtp/1 speaks smtp, not imap; use the type smtp "
                "(at /groups/g/resources/r/parameters/virtual_server)"
            ),
        ),
        (
            {"type": "service", "controller": {"kind": "proces", "command": ["/bin/true"]}},
            (
                "cluster.json: g/r: controller.kind: there is no controller 'proces'; the kinds are {kinds}; "
                'did you mean "process"? (at /groups/g/resources/r/controller/kind)'
            ),
        ),
        (
            {"type": "information-store", "parameters": {"nme": "x"}},
            (
                "cluster.json: g/r: parameters.nme: unknown parameter of the type information-store (known: name, "
                'health, storage_groups); did you mean "name"? (at /groups/g/resources/r/parameters/nme)'
            ),
        ),
    ],
)
def test_mistake_is_named(resource: dict[str, object], said: str) -> None:
    """Each mistake says the file, the place, what is wrong and what would mend it."""
    types, kinds = ", ".join(sorted(TYPES)), ", ".join(sorted(CONTROLLER_KINDS))
    assert problems(resource) == [said.format(types=types, kinds=kinds)]


def test_every_mistake_is_named_at_once() -> None:
    """Type, parameters and controller are all looked at, whatever the others hold."""
    bad = {"type": "smtp", "parameters": {"x": 1}, "controller": {"kind": "process", "comand": ["/bin/true"]}}
    assert len(problems(bad)) >= 3


def test_pattern_that_re2_refuses_is_a_mistake() -> None:
    """A body_match that cannot be compiled is refused when the store is read, not at the first probe."""
    metabase = {"schema_version": 1, "keys": {"/http/1": {"bindings": ["127.0.0.1:80"], "body_match": "(a"}}}
    store = parse_store(json.dumps(metabase).encode(), None)
    [problem] = check_store(store, CONTROLLER_KINDS)
    assert str(problem).startswith("metabase.json: /http/1: body_match: ")


def test_pattern_is_judged_without_the_secrets_beside_it() -> None:
    """A body_match is no mistake because a header's secret cannot be read where the store is checked."""
    secret = {"Authorization": {"file": "/nowhere/token"}}
    server = {"bindings": ["127.0.0.1:80"], "body_match": "ok", "headers": secret}
    metabase = {"schema_version": 1, "keys": {"/http/1": server}}
    assert check_store(parse_store(json.dumps(metabase).encode(), None), CONTROLLER_KINDS) == []


@pytest.mark.parametrize(
    ("binding", "access", "said"),
    [
        ("*:25", {"deny": ["192.0.2.0/24"]}, "rejects 192.0.2.7, from which g/r is checked at *:25"),
        ("0.0.0.0:25", {"allow": ["127.0.0.0/8"]}, "rejects 192.0.2.7, from which g/r is checked at 0.0.0.0:25"),
        ("*:25", {"allow": ["192.0.2.7"]}, ""),
        ("0.0.0.0:25", {"allow": ["192.0.2.0/24"]}, ""),
        ("unix:/run/smtp", {"deny": ["0.0.0.0/0"]}, ""),
    ],
)
def test_an_access_list_that_keeps_the_group_s_own_address_out(
    binding: str, access: dict[str, object], said: str
) -> None:
    """S34: a wildcard is checked from the group's own address; a list that rejects that is a mistake, no other is."""
    keys = {"/smtp/1": {"bindings": [binding], "ip_security": access}}
    resources = {
        "ip": {"type": "ip-address", "parameters": {"address": "192.0.2.7/24"}},
        "r": {"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}},
    }
    told = [str(each) for each in check_store(store_of(keys, resources), CONTROLLER_KINDS)]
    assert [said in each and 'or name another "source"' in each for each in told] == ([True] if said else [])


def test_without_an_address_a_wildcard_is_loopback() -> None:
    """S34: in a group without an ip-address it is loopback that the list must let in; a source of its own decides."""
    keys: dict[str, dict[str, object]] = {"/smtp/1": {"bindings": ["*:25"], "ip_security": {"deny": ["127.0.0.0/8"]}}}
    [told] = check_store(store_of(keys, {}), CONTROLLER_KINDS)
    assert "rejects 127.0.0.1, from which default/smtp-1 is checked" in str(told)
    keys["/smtp/1"]["source"] = "192.0.2.9"
    assert check_store(store_of(keys, {}), CONTROLLER_KINDS) == []


@pytest.mark.parametrize(("limit", "fits"), [(4, False), (5, True)])
def test_a_store_that_has_room_nowhere(limit: int, fits: bool) -> None:
    """S45: more storage groups than a node mounts in one resource are a mistake: it could never come online."""
    groups = [{"name": f"sg{number}", "mount": ["/bin/true"], "unmount": ["/bin/true"]} for number in range(5)]
    controller = {"kind": "process", "command": ["/bin/store"]}
    resource = {"type": "information-store", "parameters": {"storage_groups": groups}, "controller": controller}
    found = check_store(store_of({}, {"r": resource}, storage_groups_max=limit), CONTROLLER_KINDS)
    said = "g/r: parameters.storage_groups: are 5, and a node mounts at most 4; divide it among several groups"
    assert [said in str(each) for each in found] == ([] if fits else [True])


def store_of(keys: Mapping[str, object], resources: Mapping[str, object], **more: object) -> Store:
    """Read a store of one group."""
    metabase = {"schema_version": 1, "keys": keys}
    groups = {"g": {"resources": resources}} if resources else {}
    cluster = {"schema_version": 1, "groups": groups, **more}
    return parse_store(json.dumps(metabase).encode(), json.dumps(cluster).encode())


def test_spec_carries_the_policy() -> None:
    """What the store says of restarts and dependencies reaches the core."""
    cluster = {
        "schema_version": 1,
        "groups": {
            "g": {
                "resources": {
                    "a": {"type": "service", "controller": {"kind": "process", "command": ["/bin/cat"]}},
                    "b": {"type": "smtp", "depends_on": ["a"], "parameters": {"virtual_server": "/smtp/1"}}
                    | {"restart_action": "do-not-restart", "restart_threshold": 7, "pending_timeout_s": 3},
                }
            }
        },
    }
    store = parse_store(json.dumps(METABASE).encode(), json.dumps(cluster).encode())
    a, b = (spec_of(store.groups["g"].resources[name], CONTROLLER_KINDS) for name in "ab")
    assert (a.acts, a.ours_to_stop, a.restart, a.checked) == (True, True, True, False)
    assert (b.acts, b.depends_on, b.restart) == (False, (ResourceId("g", "a"),), False)
    assert (b.restart_threshold, b.pending_timeout_s, b.checked) == (7, 3.0, True)
