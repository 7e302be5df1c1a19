"""Check what `bindings` left open: types, controllers and their parameters, and what a probe would stumble over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from bindings.addresses import WILDCARDS, rejects
from bindings.model import Resource, Store, StoreProblem, VirtualServer
from bindings.parse import virtual_server_of
from probe.checks import check_for
from probe.checks.pattern import Pattern
from probe.resources.contract import ResourceType
from probe.resources.observed import group_address, observed_parameters
from probe.resources.reading import Problem, Reading, did_you_mean
from probe.resources.types import TYPES

__all__ = ["ControllerKind", "Problem", "check_store"]

CLUSTER = "cluster.json"
METABASE = "metabase.json"


def _never(parameters: Mapping[str, object]) -> bool:
    del parameters
    return False


def _nameless(parameters: Mapping[str, object]) -> str:
    del parameters
    return ""


def _all_fits(resource: Resource) -> Iterable[Problem]:
    del resource
    return ()


@dataclass(frozen=True, slots=True)
class ControllerKind:
    """What the store's checker must know of a controller; `controllers` fills in the table."""

    kind: str
    acts: bool
    ours_to_stop: bool
    problems: Callable[[Mapping[str, object]], Iterable[Problem]]
    can_upgrade: Callable[[Mapping[str, object]], bool] = _never
    identity: Callable[[Mapping[str, object]], str] = _nameless  # equal texts are one service, shared (S36)
    misfits: Callable[[Resource], Iterable[Problem]] = _all_fits  # what the resource asks that it cannot do
    ends_with_us: Callable[[Mapping[str, object]], bool] | None = None  # where the parameters decide `ours_to_stop`
    has_instances: bool = False  # each resource is a part of its service that comes and goes by itself
    types: tuple[str, ...] = ()  # only for these, whose own parameters it acts on; empty: for all
    resource_problems: Callable[[Mapping[str, object]], Iterable[Problem]] | None = None  # with those parameters

    def is_ours_to_stop(self, parameters: Mapping[str, object]) -> bool:
        """Say whether the service ends with us unless told to be left running."""
        return self.ours_to_stop if self.ends_with_us is None else self.ends_with_us(parameters)


def check_store(store: Store, kinds: Mapping[str, ControllerKind]) -> list[StoreProblem]:
    """List every mistake that needs knowledge of types, controllers or checks; empty when there is none."""
    problems: list[StoreProblem] = []
    for group in store.groups.values():
        for resource in group.resources.values():
            if not resource.implied:
                problems += _check_resource(store, resource, kinds)
            problems += _check_access(store, resource)
    problems += _check_singles(store)
    for server in store.virtual_servers.values():
        problems += _check_pattern(server)
    return problems


def check_served(
    store: Store, kinds: Mapping[str, ControllerKind], ids: Iterable[tuple[str, str]]
) -> list[StoreProblem]:
    """List the mistakes of a store that had none before these resources' virtual servers were changed."""
    problems: list[StoreProblem] = []
    for group, name in ids:
        resource = store.groups[group].resources[name]
        if not resource.implied:
            problems += _check_resource(store, resource, kinds)
        problems += _check_access(store, resource)
        server = store.virtual_servers.get(virtual_server_of(resource) or "")
        problems += () if server is None else _check_pattern(server)
    return list(dict.fromkeys(problems))


def _check_pattern(server: VirtualServer) -> Iterator[StoreProblem]:
    if server.body_match is None:
        return
    try:
        Pattern(server.body_match)
    except ValueError as error:
        pointer = f"/keys/{server.key.replace('/', '~1')}/body_match"
        yield StoreProblem(METABASE, pointer, f"{server.key}: body_match", str(error))


def _check_singles(store: Store) -> Iterator[StoreProblem]:
    """Find second resources of a type of which a cluster has one (S24); the first one written stays."""
    single = {name for name, kind in TYPES.items() if kind.traits.one_per_cluster}
    first: dict[str, Resource] = {}
    for group in store.groups.values():
        for resource in group.resources.values():
            there = first.setdefault(resource.type, resource) if resource.type in single else resource
            if there is not resource:
                message = f"a cluster has one {resource.type}, and {there.group}/{there.name} is there already"
                yield _Place(resource).problem(("type",), message, f"{there.group}/{there.name} serves every group")


def _check_access(store: Store, resource: Resource) -> Iterator[StoreProblem]:
    """Find access lists that keep the check of a wildcard binding out: it comes from the group's own address (S34)."""
    key = virtual_server_of(resource)
    server = store.virtual_servers.get(key or "")
    if server is None or server.ip_security is None or server.source is not None:
        return
    for binding in server.bindings:
        if binding.unix_path is not None or binding.address not in WILDCARDS:
            continue
        address = group_address(store, resource) or WILDCARDS[binding.address]
        if rejects(server.ip_security, address):
            message = f"rejects {address}, from which {resource.group}/{resource.name} is checked at {binding.text}"
            pointer = f"/keys/{server.key.replace('/', '~1')}"
            hint = 'let it in, or name another "source"'
            yield StoreProblem(METABASE, pointer, f"{server.key}: ip_security", message, hint)


def _check_resource(store: Store, resource: Resource, kinds: Mapping[str, ControllerKind]) -> Iterable[StoreProblem]:
    place = _Place(resource)
    kind = TYPES.get(resource.type)
    if kind is None:
        yield place.problem(("type",), _no_type(resource.type), did_you_mean(resource.type, TYPES))
    else:
        for problem in _check_parameters(store, resource, kind):
            yield place.problem(("parameters", problem.key, *problem.inside), problem.message, problem.hint)
    controller = kinds.get(resource.controller.kind)
    if controller is None:
        message = f"there is no controller {resource.controller.kind!r}; the kinds are {', '.join(sorted(kinds))}"
        yield place.problem(("controller", "kind"), message, did_you_mean(resource.controller.kind, kinds))
        return
    for problem in controller.problems(resource.controller.parameters):
        key = (problem.key, *problem.inside) if problem.key else ()
        yield place.problem(("controller", *key), problem.message, problem.hint)
    for problem in controller.misfits(resource):
        yield place.problem((problem.key, *problem.inside), problem.message, problem.hint)
    if controller.types and resource.type not in controller.types:
        message = f"controller {controller.kind} is only for the type {' and '.join(controller.types)}"
        yield place.problem(("controller", "kind"), f"{message}, not {resource.type}")
    elif controller.resource_problems is not None:
        for problem in controller.resource_problems(observed_parameters(store, resource)):
            yield place.problem(("parameters", problem.key), problem.message, problem.hint)


def _no_type(name: str) -> str:
    message = f"there is no type {name!r}; the types are {', '.join(sorted(TYPES))}"
    return "; ".join([message, *map(str, TYPES.failures)])


def _check_parameters(store: Store, resource: Resource, kind: ResourceType) -> Iterable[Problem]:
    names = [parameter.name for parameter in kind.parameters]
    for key in resource.parameters:
        if key not in names:
            known = ", ".join(names) or "none"
            yield Problem(
                key, f"unknown parameter of the type {resource.type} (known: {known})", did_you_mean(key, names)
            )
    if kind.virtual_server is not None:
        yield from _check_virtual_server(store, resource, kind.virtual_server)
        return
    reading = Reading(resource.parameters)
    kind.reads(reading)
    noted = {problem.key for problem in reading.problems}
    for parameter in kind.parameters:
        if parameter.required and parameter.name not in noted and resource.parameters.get(parameter.name) is None:
            reading.wrong(parameter.name, "is missing", f"it must be {parameter.value}: {parameter.about}")
    yield from reading.problems
    if not reading.problems:
        yield from _check_room(store, resource, kind)
        yield from _check_asking(resource, kind)


def _check_virtual_server(store: Store, resource: Resource, protocol: str) -> Iterator[Problem]:
    value = resource.parameters.get("virtual_server")
    if not isinstance(value, str):
        if "virtual_server" in resource.parameters:
            yield Problem("virtual_server", 'must be a key of metabase.json such as "/smtp/1"')
        else:
            example = f'add "parameters": {{"virtual_server": "/{resource.type}/1"}}'
            yield Problem("virtual_server", f"missing: a {resource.type} resource names what to ask", example)
        return
    server = store.virtual_servers.get(value)
    if server is not None and server.protocol != protocol:
        message = f"{value} speaks {server.protocol}, not {resource.type}"
        yield Problem("virtual_server", message, f"use the type {server.protocol}")


def _check_room(store: Store, resource: Resource, kind: ResourceType) -> Iterator[Problem]:
    """Find a store that could come online on no node, however empty it is (S45)."""
    count, limit = kind.storage_groups(resource), store.storage_groups_max
    if count > limit:
        hint = "divide it among several groups, or raise storage_groups_max in cluster.json"
        yield Problem("storage_groups", f"are {count}, and a node mounts at most {limit}", hint)


def _check_asking(resource: Resource, kind: ResourceType) -> Iterator[Problem]:
    """Build the check that the parameters describe, as it will be built to ask."""
    server = kind.asks(resource)
    try:
        if server is not None:
            check_for(server, server.bindings[0])
    except ValueError as error:
        yield Problem("health" if "health" in resource.parameters else "target", str(error))


class _Place:
    """Where a resource is, for machines and for people."""

    __slots__ = ("_at", "_place")

    def __init__(self, resource: Resource) -> None:
        self._at = f"/groups/{resource.group}/resources/{resource.name}"
        self._place = f"{resource.group}/{resource.name}"

    def problem(self, way: tuple[str | int, ...], message: str, hint: str = "") -> StoreProblem:
        """Word a mistake: `("parameters", "storage_groups", 1, "mount")` is `parameters.storage_groups[1].mount`."""
        pointer = "".join(f"/{str(step).replace('~', '~0').replace('/', '~1')}" for step in way)
        words = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in way)
        return StoreProblem(CLUSTER, f"{self._at}{pointer}", f"{self._place}: {words[1:]}", message, hint)
