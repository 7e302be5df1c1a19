"""probe/resources/parameters.py, health.py: what each type takes, and what is said of what it does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bindings.model import Resource, StoreProblem, VirtualServer
from bindings.parse import parse_store
from probe.controllers import CONTROLLER_KINDS
from probe.resources import TYPES, check_store, spec_of
from probe.resources.parameters import (
    StorageGroup,
    parameters_of,
    read_address,
    read_argv,
    read_disk,
    read_instance,
    read_name,
    read_store,
)
from probe.resources.reading import ParametersError
from tests.house import ROOT

GROUPS = [
    {"name": "sg1", "mount": ["mount", "1"], "unmount": ["unmount", "1"], "ready": ["ready", "1"]},
    {"name": "sg2", "mount": ["/sbin/mount", "2"], "unmount": ["unmount", "2"]},
]
GOOD: dict[str, list[dict[str, object]]] = {
    "ip-address": [{"address": "192.0.2.7/24", "interface": "eth0"}, {"address": "2001:db8::7/64"}],
    "network-name": [{"name": "mail.example.org"}, {"name": "mail", "hosts_file": "/etc/hosts"}],
    "physical-disk": [{"mount_point": "/srv"}, {"mount_point": "/srv", "free_bytes_min": 1 << 30}],
    "system-attendant": [{}, {"instance_start": ["start", "evs1"], "instance_stop": ["/sbin/stop"]}],
    "information-store": [{}, {"name": "evs1"}, {"name": "evs1", "health": "grpc://127.0.0.1:9090"},
                          {"name": "evs1", "health": "https://[::1]/active?x=1", "storage_groups": GROUPS}],
    "mta": [{}],
    "routing": [{}, {"instance_start": ["start"], "instance_stop": ["stop"]}],
    "search": [{"health": "http://127.0.0.1:8983/{index}/ping", "index": "mail"}],
    "service": [{}],
    "grpc": [{"target": "127.0.0.1:9090"}, {"target": "grpcs://[::1]:9090", "service": "store"}],
    "exec": [{"argv": ["/usr/local/lib/checks/queue", "--short"]}],
}  # fmt: skip
START = ["/bin/start"]


def checked(type: str, parameters: dict[str, object]) -> list[StoreProblem]:
    """Check a store with one resource of that type, whose controller acts."""
    controller = {"kind": "process", "command": ["/bin/cat"]}
    resources = {"r": {"type": type, "parameters": parameters, "controller": controller}}
    cluster = {"schema_version": 1, "groups": {"g": {"resources": resources}}}
    return check_store(parse_store(None, json.dumps(cluster).encode()), CONTROLLER_KINDS)


def problems(type: str, parameters: dict[str, object]) -> list[str]:
    """Say what is wrong, without the place that is the same for all."""
    return [f"{each.place.removeprefix('g/r: parameters.')}: {each.message}" for each in checked(type, parameters)]


def resource(type: str, parameters: dict[str, object]) -> Resource:
    """Make such a resource."""
    return Resource(group="g", name="r", type=type, parameters=parameters)


def server(type: str, **parameters: object) -> VirtualServer:
    """Say what such a resource asks."""
    asked = TYPES[type].asks(resource(type, parameters))
    assert asked is not None
    return asked


@pytest.mark.parametrize(("type", "parameters"), [(type, each) for type, all in GOOD.items() for each in all])
def test_good_parameters_are_taken(type: str, parameters: dict[str, object]) -> None:
    """S13: every type takes what it is described with."""
    assert checked(type, parameters) == []


def test_every_type_is_tried() -> None:
    """The table above misses none but the protocols, which take a virtual server."""
    assert set(TYPES) - set(GOOD) == {name for name, row in TYPES.items() if row.virtual_server is not None}


@pytest.mark.parametrize("type", TYPES)
def test_what_is_described_is_taken(type: str) -> None:
    """A described parameter is never unknown, a needed one is missed, and any other is unknown with its nearest."""
    described = [each.name for each in TYPES[type].parameters]
    told = checked(type, {**dict.fromkeys(described, 1.5), "undescribed": 1})
    assert [each.pointer.rpartition("/")[2] for each in told if "unknown parameter" in each.message] == ["undescribed"]
    assert {each.pointer.split("/")[6] for each in told} >= {*described, "undescribed"}
    needed = {each.name for each in TYPES[type].parameters if each.required}
    assert {each.pointer.rpartition("/")[2] for each in checked(type, {})} == needed


@pytest.mark.parametrize(
    ("type", "parameters", "said"),
    [
        ("ip-address", {"address": "192.0.2.7"}, 'address: "192.0.2.7" is no address with a prefix length'),
        ("ip-address", {"address": "192.0.2.7/33"}, 'address: "192.0.2.7/33" is no address with a prefix length'),
        ("ip-address", {"address": "::1/64", "interface": "a b"},
         'interface: "a b" cannot be the name of an interface'),
        ("network-name", {"name": "a_b"}, 'name: name "a_b" is neither an address nor a host name (RFC 1123)'),
        ("network-name", {"name": "a", "hosts_file": "hosts"}, 'hosts_file: "hosts" is relative'),
        ("physical-disk", {"mount_point": "srv"}, 'mount_point: "srv" is relative'),
        ("physical-disk", {"mount_point": "/", "free_bytes_min": -1},
         "free_bytes_min: must be a whole number of bytes, 0 or more"),
        ("system-attendant", {"instance_start": START}, "instance_stop: is missing beside instance_start"),
        ("routing", {"instance_stop": START}, "instance_start: is missing beside instance_stop"),
        ("routing", {"instance_start": "x", "instance_stop": START},
         "instance_start: must be a list of words: no shell reads it"),
        ("information-store", {"health": "grpc://127.0.0.1:1"}, "name: is missing"),
        ("information-store", {"name": "x", "health": "ftp://a"},
         "health: has none of the schemes grpc, grpcs, http, https"),
        ("information-store", {"name": "x", "health": "grpc://127.0.0.1"}, "health: names no host and port"),
        ("information-store", {"name": "x", "health": "grpc://127.0.0.1:x"}, "health: is no address"),
        ("information-store", {"name": "x", "health": "grpc://127.0.0.1:1/evs1"}, "health: has a path"),
        ("information-store", {"name": "x", "health": "http://u:p@127.0.0.1/"}, "health: has a user or a fragment"),
        ("information-store", {"name": "x", "health": "http://a b/"},
         "health: is too long, or has a space or what is no visible ASCII character"),
        ("information-store", {"name": "x", "health": "http://a_b/"},
         'health: address "a_b" is neither an address nor a host name (RFC 1123)'),
        ("information-store", {"storage_groups": {}}, "storage_groups: must be a list of at most 64 storage groups"),
        ("information-store", {"storage_groups": [1]}, "storage_groups[0]: must be an object"),
        ("information-store", {"storage_groups": [GROUPS[0], {**GROUPS[1], "name": "sg1"}]},
         'storage_groups[1].name: "sg1" is the name of an earlier one'),
        ("information-store", {"storage_groups": [GROUPS[0], {**GROUPS[1], "mount": ["bin/x"]}]},
         'storage_groups[1].mount: "bin/x" is relative'),
        ("information-store", {"storage_groups": [{**GROUPS[0], "umount": []}]},
         'storage_groups[0].umount: unknown key "umount"'),
        ("search", {"health": "grpc://127.0.0.1:1", "index": "x"}, "health: has none of the schemes http, https"),
        ("search", {"health": "http://127.0.0.1:1/", "index": "a\nb"},
         "index: must have at most 255 characters, all printable"),
        ("grpc", {"target": "127.0.0.1"}, "target: names no host and port"),
        ("grpc", {"target": "http://127.0.0.1"}, "target: has none of the schemes grpc, grpcs"),
        ("grpc", {"target": "127.0.0.1:1", "service": 1}, "service: must be a text of at most 255 characters"),
        ("grpc", {"target": "127.0.0.1:99999"}, "target: is no address"),
        ("exec", {"argv": "true"}, "argv: must be a list of words: no shell reads it"),
        ("mta", {"name": "x"}, "name: unknown parameter of the type mta (known: none)"),
        ("exec", {"argv": START, "a/b": 1}, "a/b: unknown parameter of the type exec (known: argv)"),
    ],
)  # fmt: skip
def test_a_mistake_is_named(type: str, parameters: dict[str, object], said: str) -> None:
    """Each mistake is told alone, with its place and what is wrong."""
    assert problems(type, parameters) == [said]


def test_every_mistake_is_named_at_once() -> None:
    """S23: all that is wrong in one resource is told together, each with the way to it."""
    wrong = {"name": 7, "health": "x", "storage_groups": [{"name": "a"}, 5], "nmae": 1}
    told = checked("information-store", wrong)
    at = "/groups/g/resources/r/parameters"
    assert [each.pointer.removeprefix(at) for each in told] == [
        "/nmae", "/health", "/name", "/storage_groups/0/mount", "/storage_groups/0/unmount", "/storage_groups/1"
    ]  # fmt: skip
    assert told[0].hint == 'did you mean "name"?'
    assert all(each.hint for each in told if each.pointer != f"{at}/name")


def test_a_second_mta_is_refused() -> None:
    """S24: a store with two mta names the one that is too many, and the one that serves every group."""
    groups = {name: {"resources": {"mta": {"type": "mta"}}} for name in ("evs1", "evs2", "evs3")}
    store = parse_store(None, json.dumps({"schema_version": 1, "groups": groups}).encode())
    assert [str(problem) for problem in check_store(store, CONTROLLER_KINDS)] == [
        f"cluster.json: {name}/mta: type: a cluster has one mta, and evs1/mta is there already; "
        f"evs1/mta serves every group (at /groups/{name}/resources/mta/type)"
        for name in ("evs2", "evs3")
    ]


def test_parameters_are_read_for_who_acts_on_them() -> None:
    """S21, S57: who acts gets the parameters whole, and all mistakes as one error."""
    store = parameters_of(resource("information-store", {"name": "evs1", "storage_groups": GROUPS}), read_store)
    assert (store.name, store.health) == ("evs1", None)
    assert store.storage_groups == (
        StorageGroup("sg1", ("mount", "1"), ("unmount", "1"), ("ready", "1")),
        StorageGroup("sg2", ("/sbin/mount", "2"), ("unmount", "2")),
    )
    both = resource("routing", {"instance_start": ["a"], "instance_stop": ["b", "c"]})
    assert parameters_of(both, read_instance).instance_stop == ("b", "c")
    assert parameters_of(resource("exec", {"argv": ["a"]}), read_argv) == ("a",)
    assert parameters_of(resource("physical-disk", {"mount_point": "/a"}), read_disk).free_bytes_min == 0
    assert parameters_of(resource("network-name", {"name": "a"}), read_name).hosts_file is None
    with pytest.raises(ParametersError) as caught:
        parameters_of(resource("ip-address", {"address": 1, "interface": 2}), read_address)
    assert [problem.key for problem in caught.value.problems] == ["address", "interface"]


def test_a_store_is_asked_by_grpc() -> None:
    """S23: the gRPC health protocol is asked about the virtual server's name."""
    asked = server("information-store", name="evs1", health="grpc://127.0.0.1:9090")
    assert (asked.protocol, asked.subject, asked.bindings[0].text) == ("grpc", "evs1", "127.0.0.1:9090")
    assert not asked.bindings[0].secure
    assert server("information-store", name="evs1", health="grpcs://[::1]:9090").bindings[0].secure


def test_a_store_is_asked_by_http() -> None:
    """S23: an HTTP address is asked for its active list; 2xx is good, anything else is not."""
    asked = server("information-store", name="evs1", health="https://store.example.org/active?all=1")
    assert (asked.protocol, asked.path, asked.expect_status) == ("http", "/active?all=1", "200-299")
    assert (asked.subject, asked.body_json) == ("evs1", "active")
    assert (asked.bindings[0].address, asked.bindings[0].port, asked.bindings[0].secure) == (
        "store.example.org", 443, True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("health", "path"),
    [
        ("http://127.0.0.1:8983", "/?index=a%2Fb%20%26c"),
        ("http://127.0.0.1:8983/x?y=1", "/x?y=1&index=a%2Fb%20%26c"),
        ("http://127.0.0.1:8983/{index}/handle", "/a%2Fb%20%26c/handle"),
    ],
)
def test_a_search_names_its_index(health: str, path: str) -> None:
    """S40: the index is named in the place of {index}, else in the query, whatever its name."""
    asked = server("search", health=health, index="a/b &c")
    assert (asked.path, asked.body_json, asked.subject) == (path, "handle", "a/b &c")


def test_a_target_is_asked_about_its_service() -> None:
    """S13: a grpc resource asks any server of the health protocol, about the whole of it by default."""
    assert server("grpc", target="127.0.0.1:9090").subject == ""
    asked = server("grpc", target="grpcs://127.0.0.1:9090", service="a.B")
    assert (asked.protocol, asked.subject, asked.bindings[0].secure) == ("grpc", "a.B", True)


def test_the_same_parameters_ask_the_same() -> None:
    """A reload compares by value: what did not change asks what it asked."""
    assert server("grpc", target="127.0.0.1:9090") == server("grpc", target="127.0.0.1:9090")


def test_the_spec_says_what_the_parameters_mean() -> None:
    """S45, S54, S57: storage groups, an instance of its own, and failing over reach the core."""

    def spec(type: str, **more: object) -> tuple[bool, bool, int, bool]:
        resources = {"r": {"type": type, **more}}
        cluster = json.dumps({"schema_version": 1, "groups": {"g": {"resources": resources}}}).encode()
        made = spec_of(parse_store(None, cluster).groups["g"].resources["r"], CONTROLLER_KINDS)
        return made.checked, made.has_instance, made.storage_groups, made.fail_over

    instance = {"instance_start": START, "instance_stop": START}
    assert spec("information-store", parameters={"storage_groups": GROUPS}) == (False, True, 2, False)
    assert spec("information-store", parameters=GOOD["information-store"][2]) == (True, False, 0, False)
    assert spec("system-attendant", parameters=instance) == (False, True, 0, False)
    assert spec("routing", parameters=instance, restart_action="restart-and-fail-over") == (False, True, 0, True)
    assert spec("routing") == (False, False, 0, False)
    assert spec("exec", parameters={"argv": START}) == (True, False, 0, False)


WITHOUT_H2 = """
import json, sys
sys.modules["h2"] = None  # as if it were not installed
from bindings.parse import parse_store
from probe.controllers import CONTROLLER_KINDS
from probe.resources import check_store
resources = {
    "a": {"type": "grpc", "parameters": {"target": "127.0.0.1:1"}},
    "b": {"type": "information-store", "parameters": {"name": "x", "health": "grpc://127.0.0.1:1"}},
    "c": {"type": "information-store", "parameters": {"name": "x", "health": "http://127.0.0.1:1"}},
}
cluster = {"schema_version": 1, "groups": {"g": {"resources": resources}}}
print(*check_store(parse_store(None, json.dumps(cluster).encode()), CONTROLLER_KINDS), sep="\\n")
"""


def test_without_h2_validation_says_what_to_install() -> None:
    """A store that wants gRPC is refused where the extra is missing, with the command's words; others pass."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_H2], cwd=ROOT, capture_output=True, text=True, check=True)
    said = "cannot be asked: the package h2 is missing; install looksalive[grpc]"
    assert done.stdout.splitlines() == [
        f"cluster.json: g/a: parameters.target: {said} (at /groups/g/resources/a/parameters/target)",
        f"cluster.json: g/b: parameters.health: {said} (at /groups/g/resources/b/parameters/health)",
    ]


def test_a_missing_type_says_which_module_failed() -> None:
    """S1: an unknown type that a broken module may have had is told with that module."""
    program = WITHOUT_H2.replace('"h2"', '"probe.resources.search"').replace('"type": "grpc"', '"type": "search"')
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    [problem] = done.stdout.splitlines()
    assert "there is no type 'search'; the types are exec, grpc, " in problem
    assert 'the resource types of the module "search" (probe.resources.search:TYPES) are not there: Module' in problem
