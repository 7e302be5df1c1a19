"""Each kind of controller says what it can do; asking more is an error of the store, with its place and its mend."""

from __future__ import annotations

import json

import pytest

from bindings.model import Store
from bindings.parse import parse_store
from probe.controllers import CONTROLLER_KINDS
from probe.controllers.contract import Instance
from probe.controllers.identity import identity_of
from probe.controllers.specs import service_spec
from probe.resources import check_store, spec_of

METABASE = {
    "schema_version": 1,
    "keys": {"/smtp/1": {"bindings": ["127.0.0.1:25"]}, "/smtp/2": {"bindings": ["127.0.0.1:26"]}},
}
POSTFIX: dict[str, object] = {"kind": "process", "command": ["/usr/sbin/postfix", "start-fg"]}


def store_of(**resources: object) -> Store:
    """Make a store of one group."""
    cluster = {"schema_version": 1, "groups": {"g": {"resources": resources}}}
    return parse_store(json.dumps(METABASE).encode(), json.dumps(cluster).encode())


def mistakes(**resources: object) -> list[str]:
    """List what is wrong with it."""
    return [str(problem) for problem in check_store(store_of(**resources), CONTROLLER_KINDS)]


def smtp(controller: object, key: str = "/smtp/1") -> dict[str, object]:
    """Make an smtp resource."""
    return {"type": "smtp", "controller": controller, "parameters": {"virtual_server": key}}


@pytest.mark.parametrize("kind", ["none", "kubelet"])
def test_an_instance_needs_who_acts(kind: str) -> None:
    """S57: instance_start where nobody would call it is a mistake."""
    found = mistakes(
        sa={
            "type": "system-attendant",
            "controller": {"kind": kind},
            "parameters": {"instance_start": ["/bin/in"], "instance_stop": ["/bin/out"]},
        }
    )
    pointer = "/groups/g/resources/sa/parameters/instance_start"
    assert any("nothing calls it" in one and pointer in one and "choose a controller that acts" in one for one in found)


@pytest.mark.parametrize("kind", ["none", "kubelet"])
def test_an_upgrade_needs_who_acts(kind: str) -> None:
    """S53: upgrade is for controllers that act."""
    found = mistakes(smtp=smtp({"kind": kind, "upgrade": ["/bin/upgrade"]}))
    assert any("takes no parameters" in one and "/controller/upgrade" in one for one in found)


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("process", {"command": ["/bin/x"]}),
        ("exec", {"start": ["/bin/x"], "stop": ["/bin/x"]}),
        ("ocf", {"agent": "ocf:heartbeat:Dummy"}),
        ("container", {"container": "mail"}),
        ("supervisord", {"socket": "/run/s.sock", "program": "mail"}),
        ("systemd", {"unit": "mail.service"}),
        ("metabase", {"service": POSTFIX}),
    ],
)
def test_every_kind_that_acts_takes_an_upgrade(kind: str, parameters: dict[str, object]) -> None:
    """S53: it is checked as an argv, and the core is told that there is one; it makes no other service of it."""
    row = CONTROLLER_KINDS[kind]
    before = {problem.key for problem in row.problems(parameters)}
    upgraded = {**parameters, "upgrade": ["/bin/upgrade"]}
    assert {problem.key for problem in row.problems(upgraded)} == before
    assert {problem.key for problem in row.problems({**parameters, "upgrade": "sh -c x"})} == {*before, "upgrade"}
    assert (row.can_upgrade(parameters), row.can_upgrade(upgraded)) == (False, True)
    assert row.identity(parameters)
    assert row.identity(parameters) == row.identity(upgraded)


@pytest.mark.parametrize("kind", ["none", "metabase", "kubelet", "nobody"])
def test_a_metabase_needs_who_can_run_its_service(kind: str) -> None:
    """S58: the controller in `service` must be one that starts and stops services itself."""
    (found,) = mistakes(smtp=smtp({"kind": "metabase", "service": {"kind": kind}}))
    assert f'"{kind}" cannot start and stop a service here' in found
    assert "/groups/g/resources/smtp/controller/service/kind" in found


def test_a_nested_mistake_has_its_place() -> None:
    """The service's own parameters are checked as its kind's, wherever they stand."""
    (found,) = mistakes(smtp=smtp({"kind": "metabase", "service": {**POSTFIX, "outptu": "file"}}))
    assert "/controller/service/outptu" in found
    assert 'did you mean "output"?' in found


@pytest.mark.parametrize("service", ["postfix", {"unit": "postfix.service"}, {"kind": 7}])
def test_a_service_is_a_controller(service: object) -> None:
    """What is no object with a kind is none."""
    (found,) = mistakes(smtp=smtp({"kind": "metabase", "service": service}))
    assert "service: must be a controller" in found


def test_a_metabase_needs_a_virtual_server() -> None:
    """S58: the resource's own one, or one that the controller names, which must be a key."""
    (found,) = mistakes(store={"type": "service", "controller": {"kind": "metabase", "service": POSTFIX}})
    assert "names no virtual server" in found
    named = {"kind": "metabase", "service": POSTFIX, "virtual_server": "/smtp/1"}
    assert mistakes(store={"type": "service", "controller": named}) == []
    (found,) = mistakes(store={"type": "service", "controller": {**named, "virtual_server": "smtp1"}})
    assert "is no key of a virtual server" in found


def test_a_kubelet_needs_a_check() -> None:
    """Who is not asked for its health could never be seen to be restarted."""
    (found,) = mistakes(sa={"type": "service", "controller": {"kind": "kubelet"}})
    assert "nobody could see a restart" in found
    assert mistakes(smtp=smtp({"kind": "kubelet"})) == []


def test_the_same_service_has_the_same_name() -> None:
    """S36: kind and unit, program, container or argv, however it is written; the metabase's is that of its service."""
    same: list[list[tuple[str, dict[str, object]]]] = [
        [("process", POSTFIX_OWN), ("process", {**POSTFIX_OWN, "kill_after_s": 3}), ("metabase", {"service": POSTFIX})],
        [("systemd", {"unit": "a.service"}), ("systemd", {"unit": "a.service", "user": False})],
        [("supervisord", {"socket": "/s", "program": name}) for name in ("mail", "mail:mail")],
        [("ocf", {"agent": "ocf:heartbeat:Dummy", "parameters": {"b": 1, "a": "2"}}),
         ("ocf", {"agent": "ocf:heartbeat:Dummy", "parameters": {"a": "2", "b": "1"}, "monitor_interval_s": 3})],
        [("container", {"container": "mail"}), ("container", {"container": "mail", "stop_timeout_s": 4})],
        [("exec", {"start": ["a"], "stop": ["b"]}), ("exec", {"start": ["a"], "stop": ["b"], "status": ["c"]})],
    ]  # fmt: skip
    names = [{identity_of(kind, parameters) for kind, parameters in group} for group in same]
    assert [len(group) for group in names] == [1] * len(same)
    assert len(set().union(*names)) == len(same)


POSTFIX_OWN = {"command": POSTFIX["command"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"command": ["a", "b"]}, {"command": ["a b"]}),
        ({"command": ["a"]}, {"command": ["a"], "environment": {"PORT": "1"}}),
        ({"command": ["a"]}, {"command": ["a"], "directory": "/srv"}),
    ],
)
def test_what_differs_is_another_service(one: dict[str, object], other: dict[str, object]) -> None:
    """The words of an argv, its surroundings and its folder are part of which service it is."""
    assert identity_of("process", one) != identity_of("process", other)


@pytest.mark.parametrize(
    ("kind", "parameters"), [("none", {}), ("kubelet", {}), ("metabase", {}), ("process", {"command": []}), ("x", {})]
)
def test_nobody_s_service_has_no_name(kind: str, parameters: dict[str, object]) -> None:
    """S36: what nobody here starts, or cannot be read, is shared with nobody."""
    assert identity_of(kind, parameters) == ""


def test_the_core_is_told() -> None:
    """S36, S53, S57: which service it is, whether a part of it is the resource's own, and what it can do."""
    nested = {"kind": "metabase", "service": POSTFIX, "upgrade": ["/bin/u"]}
    resources = store_of(a=smtp(POSTFIX), b=smtp(nested, "/smtp/2"), c=smtp({"kind": "none"})).groups["g"].resources
    a, b, c = (spec_of(resources[name], CONTROLLER_KINDS) for name in "abc")
    assert a.service == b.service != ""
    assert [each.has_instance for each in (a, b, c)] == [False, True, False]
    assert [each.can_upgrade for each in (a, b, c)] == [False, True, False]
    assert [each.ours_to_stop for each in (a, b, c)] == [True, True, False]
    assert c.service == ""


def test_the_controller_is_told() -> None:
    """S21, S36, S58: whose service it is, what its stop means, its instance, its virtual server."""
    groups = [{"name": "sg1", "mount": ["/bin/m"], "unmount": ["/bin/u"]}]
    resources = store_of(
        smtp=smtp(POSTFIX),
        store={"type": "information-store", "controller": POSTFIX,
               "parameters": {"name": "evs1", "storage_groups": groups}},
        routing={"type": "routing", "controller": POSTFIX,
                 "parameters": {"instance_start": ["/bin/i"], "instance_stop": ["/bin/o"]}},
    ).groups["g"].resources  # fmt: skip
    told = {name: service_spec(resource, CONTROLLER_KINDS) for name, resource in resources.items()}
    assert len({spec.service for spec in told.values()}) == 1
    assert (told["smtp"].whole, told["smtp"].virtual_server, told["smtp"].instance) == (True, "/smtp/1", None)
    assert told["routing"].instance == Instance(("/bin/i",), ("/bin/o",))
    mounted = told["store"].instance
    assert mounted is not None
    assert [group.name for group in mounted.storage_groups] == ["sg1"]
    assert not told["store"].whole
