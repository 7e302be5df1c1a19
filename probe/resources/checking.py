"""Check what `bindings` left open: types, controllers and their parameters, and what a probe would stumble over."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from bindings.model import Resource, Store, StoreProblem
from probe.checks.pattern import Pattern
from probe.resources.types import TYPES, ResourceType

CLUSTER = "cluster.json"
METABASE = "metabase.json"


class Problem(NamedTuple):
    """A mistake in a set of parameters: the key, what is wrong, what would mend it."""

    key: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ControllerKind:
    """What the store's checker must know of a controller; `controllers` fills in the table."""

    kind: str
    acts: bool
    ours_to_stop: bool
    problems: Callable[[Mapping[str, object]], Iterable[Problem]]


def check_store(store: Store, kinds: Mapping[str, ControllerKind]) -> list[StoreProblem]:
    """List every mistake that needs knowledge of types, controllers or checks; empty when there is none."""
    problems: list[StoreProblem] = []
    for group in store.groups.values():
        for resource in group.resources.values():
            if not resource.implied:
                problems += _check_resource(store, resource, kinds)
    for server in store.virtual_servers.values():
        if server.body_match is None:
            continue
        try:
            Pattern(server.body_match)
        except ValueError as error:
            pointer = f"/keys/{server.key.replace('/', '~1')}/body_match"
            problems.append(StoreProblem(METABASE, pointer, f"{server.key}: body_match", str(error)))
    return problems


def _check_resource(store: Store, resource: Resource, kinds: Mapping[str, ControllerKind]) -> Iterable[StoreProblem]:
    at = f"/groups/{resource.group}/resources/{resource.name}"
    place = f"{resource.group}/{resource.name}"
    kind = TYPES.get(resource.type)
    if kind is None:
        message = f"there is no type {resource.type!r}; the types are {', '.join(sorted(TYPES))}"
        yield StoreProblem(CLUSTER, f"{at}/type", f"{place}: type", message, _nearest(resource.type, TYPES))
    else:
        for problem in _check_parameters(store, resource, kind):
            key = f"parameters.{problem.key}"
            yield StoreProblem(
                CLUSTER, f"{at}/parameters/{problem.key}", f"{place}: {key}", problem.message, problem.hint
            )
    controller = kinds.get(resource.controller.kind)
    if controller is None:
        message = f"there is no controller {resource.controller.kind!r}; the kinds are {', '.join(sorted(kinds))}"
        hint = _nearest(resource.controller.kind, kinds)
        yield StoreProblem(CLUSTER, f"{at}/controller/kind", f"{place}: controller.kind", message, hint)
        return
    for problem in controller.problems(resource.controller.parameters):
        yield StoreProblem(
            CLUSTER,
            f"{at}/controller/{problem.key}" if problem.key else f"{at}/controller",
            f"{place}: controller.{problem.key}" if problem.key else f"{place}: controller",
            problem.message,
            problem.hint,
        )


def _check_parameters(store: Store, resource: Resource, kind: ResourceType) -> Iterable[Problem]:
    for key in resource.parameters:
        if key not in kind.parameters:
            known = ", ".join(kind.parameters) or "none"
            hint = _nearest(key, kind.parameters)
            yield Problem(key, f"unknown parameter of the type {resource.type} (known: {known})", hint)
    if kind.virtual_server is None:
        return
    value = resource.parameters.get("virtual_server")
    if not isinstance(value, str):
        if "virtual_server" in resource.parameters:
            yield Problem("virtual_server", 'must be a key of metabase.json such as "/smtp/1"')
        else:
            example = f'add "parameters": {{"virtual_server": "/{resource.type}/1"}}'
            yield Problem("virtual_server", f"missing: a {resource.type} resource names what to ask", example)
        return
    server = store.virtual_servers.get(value)
    if server is not None and server.protocol != kind.virtual_server:
        message = f"{value} speaks {server.protocol}, not {resource.type}"
        yield Problem("virtual_server", message, f"use the type {server.protocol}")


def _nearest(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{matches[0]}"?' if matches else ""
