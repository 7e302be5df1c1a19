"""`cluster.json`: groups and their resources, read into the model; what a type or a controller makes of its parameters
is not judged here."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from bindings.metabase import read_header
from bindings.mistakes import Mistakes, Steps, kind_of, plain, shown
from bindings.model import Controller, Group, Resource
from bindings.properties import ROUNDS_MAX
from bindings.rules import Anything, Choice, ListOf, Number, Rule, Schema, Switch, Text, Whole, name_text
from bindings.syntax import (
    Pieces,
    decode_pieces,
    decode_text,
    decode_value,
    names_in,
    names_written,
    note_duplicates,
)

TOP_NAMES = (
    "$schema",
    "schema_version",
    "revision",
    "allowed_controllers",
    "allowed_files",
    "storage_groups_max",
    "groups",
)
STORAGE_GROUPS_MAX = Whole(0, 1_000)
GROUP_NAMES = ("possible_owners", "resources", "deleted")
RESTARTS_MAX = 1000
DEPENDENCIES_MAX = 256
OWNERS_MAX = 256
ALLOWED_MAX = 1024
CIRCLE_SHOWN_MAX = 12

NAME = name_text("a name: a letter or digit, then at most 62 letters, digits or . _ -")
OWNERS = ListOf(name_text("the name of a node", 253), OWNERS_MAX, "a list of nodes", unique=True)
ALLOWED = ListOf(Text("a text"), ALLOWED_MAX, "a list of texts", unique=True)


@dataclass(frozen=True, slots=True)
class ControllerObject:
    """`{"kind": ..., ...}`, read into a Controller; all but the kind is that kind's own."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> Controller:
        if not isinstance(value, dict):
            mistakes.add(f'must be an object such as {{"kind": "none"}}, not {kind_of(value)}', *steps)
            return Controller()
        content = Anything().read(value, mistakes, steps)
        kind = NAME.read(content.pop("kind"), mistakes, (*steps, "kind")) if "kind" in content else None
        if kind is None:
            mistakes.add('"kind" is missing', *steps, hint='for example {"kind": "none"}')
        return Controller(kind or "", content)

    def schema(self) -> Schema:
        return {"type": "object", "properties": {"kind": NAME.schema()}, "required": ["kind"]}


class ResourceProperty(NamedTuple):
    """One property of a resource: what it must be, what it is for."""

    name: str
    rule: Rule
    about: str


RESOURCE_PROPERTIES: tuple[ResourceProperty, ...] = (
    ResourceProperty("type", NAME, "What it is: smtp, information-store, exec ... (S13)."),
    ResourceProperty("depends_on", ListOf(NAME, DEPENDENCIES_MAX, "a list of resources of the group", unique=True),
                     "Resources of the same group that must be online first (S16)."),
    ResourceProperty("possible_owners", OWNERS, "Nodes that may own it; empty means any."),
    ResourceProperty("controller", ControllerObject(), "Who starts and stops the service, and that one's parameters."),
    ResourceProperty("parameters", Anything(), "What the type needs to know."),
    ResourceProperty("restart_action", Choice(("restart", "restart-and-fail-over", "do-not-restart")),
                     "What to do when it fails (S12)."),
    ResourceProperty("restart_threshold", Whole(0, RESTARTS_MAX), "Restarts within the period before giving up (S54)."),
    ResourceProperty("restart_period_s", Number(), "Seconds over which restarts are counted (S54)."),
    ResourceProperty("restart_delay_s", Number(positive=False), "Seconds to wait before a restart."),
    ResourceProperty("retry_period_s", Number(), "After giving up, seconds between single new tries; null for none."),
    ResourceProperty("pending_timeout_s", Number(), "Seconds that going online or offline may take (S52)."),
    ResourceProperty("poll_interval_s", Number(0.1), "Seconds between two checks, before the virtual server's."),
    ResourceProperty("fast_interval_s", Number(0.1), "Seconds to the next check after a first failure, likewise."),
    ResourceProperty("rise", Whole(1, ROUNDS_MAX), "Good checks in a row that make it alive, likewise."),
    ResourceProperty("fall", Whole(1, ROUNDS_MAX), "Failed checks in a row that make it not alive, likewise."),
    ResourceProperty("auto_start", Switch(), "Whether to bring it online at start; else the virtual server's."),
)  # fmt: skip
RESOURCE_RULES: dict[str, Rule] = {row.name: row.rule for row in RESOURCE_PROPERTIES}


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster document that was read, not yet joined with the metabase."""

    revision: int = 0
    groups: dict[str, Group] = field(default_factory=dict)
    pieces: dict[str, Pieces] = field(default_factory=dict)  # by group: each resource's raw text
    decided: frozenset[tuple[str, str]] = frozenset()  # resources that do not leave auto_start to their virtual server
    allowed_controllers: tuple[str, ...] = ()
    allowed_files: tuple[str, ...] = ()
    storage_groups_max: int | None = None


NO_CLUSTER = Cluster()


def read_cluster(data: bytes, mistakes: Mistakes, before: Cluster = NO_CLUSTER) -> Cluster | None:
    """Read the file's text, noting every mistake. None when it is no document at all."""
    mistakes.enter((), "")
    top = decode_text(data, mistakes)
    if top is None:
        return None
    revision = read_header(top, TOP_NAMES, mistakes)
    allowed = {name: _read_allowed(top, name, mistakes) for name in ("allowed_controllers", "allowed_files")}
    limit = _read_limit(top, mistakes)
    if "groups" not in top:
        mistakes.add('"groups" is missing', hint='for example "groups": {}')
        return None
    groups = decode_pieces(top["groups"], "groups by name", mistakes, "groups")
    if groups is None:
        return None
    reading = _Reading(before, mistakes)
    read = {name: reading.group(name, raw) for name, raw in groups.items()}
    if names_written(data) != len(top) + len(groups) + reading.names:
        note_duplicates(data, mistakes, 4)
    return Cluster(revision, read, reading.pieces, frozenset(reading.decided), storage_groups_max=limit, **allowed)


def _read_limit(top: Pieces, mistakes: Mistakes) -> int | None:
    if "storage_groups_max" not in top:
        return None
    value = decode_value(top["storage_groups_max"], mistakes, "storage_groups_max")
    return STORAGE_GROUPS_MAX.read(value, mistakes, ("storage_groups_max",))


def _read_allowed(top: Pieces, name: str, mistakes: Mistakes) -> Any:
    return ALLOWED.read(decode_value(top[name], mistakes, name), mistakes, (name,)) if name in top else ()


class _Reading:
    """One reading of the groups; a resource whose raw text is that of the reading before stays the same object."""

    def __init__(self, before: Cluster, mistakes: Mistakes) -> None:
        self.names = 0  # of the objects read, to be compared with the text
        self.pieces: dict[str, Pieces] = {}
        self.decided: set[tuple[str, str]] = set()
        self._before = before
        self._mistakes = mistakes

    def group(self, name: str, raw: msgspec.Raw) -> Group:
        """Read one group and its resources."""
        mistakes = self._mistakes
        mistakes.enter(("groups", name), name)
        NAME.read(name, mistakes, ())
        content = decode_pieces(raw, "possible_owners and resources", mistakes)
        if content is None:
            return Group(name, (), {})
        for part in content:
            if part not in GROUP_NAMES:
                mistakes.add_unknown("key", part, GROUP_NAMES)
        owners: Any = ()
        if "possible_owners" in content:
            owners = decode_value(content["possible_owners"], mistakes, "possible_owners")
            owners = OWNERS.read(owners, mistakes, ("possible_owners",))
        pieces: Pieces | None = {}
        if "resources" in content:
            pieces = decode_pieces(content["resources"], "resources by name", mistakes, "resources")
        self.pieces[name] = pieces or {}
        self.names += len(content) + len(self.pieces[name])
        resources = {resource: self._resource(name, resource, piece) for resource, piece in self.pieces[name].items()}
        return Group(name, owners, resources, self._deleted(name, content) if "deleted" in content else {})

    def _deleted(self, group: str, content: Pieces) -> dict[str, dict[str, object]]:
        """Read what is remembered of deleted resources: objects, whose inside is judged when one is made again."""
        self._mistakes.enter(("groups", group), group)
        raw = decode_value(content["deleted"], self._mistakes, "deleted")
        self.names += names_in(raw)
        if not (isinstance(raw, dict) and all(isinstance(inner, dict) for inner in raw.values())):
            self._mistakes.add("must be an object: deleted resources by name, each an object", "deleted")
            return {}
        Anything().read(raw, self._mistakes, ("deleted",))
        return raw

    def _resource(self, group: str, name: str, raw: msgspec.Raw) -> Resource:
        before = self._before.pieces.get(group, {}).get(name)
        if before is not None and before == raw:
            if (group, name) in self._before.decided:
                self.decided.add((group, name))
            self.names += names_written(raw)
            return self._before.groups[group].resources[name]
        mistakes = self._mistakes
        mistakes.enter(("groups", group, "resources", name), f"{group}/{name}")
        NAME.read(name, mistakes, ())
        count = mistakes.count
        value = decode_value(raw, mistakes)
        if not isinstance(value, dict):
            if mistakes.count == count:
                mistakes.add(f"must be an object of properties, not {kind_of(value)}")
            return Resource(group=group, name=name, type="")
        self.names += names_in(value)
        own = self._read_own(value)
        if own.get("auto_start") is not None:
            self.decided.add((group, name))
        own["type"] = sys.intern(own["type"])  # a few names, a hundred thousand times
        return Resource(group=group, name=name, **own)

    def _read_own(self, value: Mapping[str, object]) -> dict[str, Any]:
        own: dict[str, Any] = {"type": ""}
        for name, inner in value.items():
            rule = RESOURCE_RULES.get(name)
            if rule is None:
                self._mistakes.add_unknown("key", name, RESOURCE_RULES)
            elif inner is not None:
                own[name] = rule.read(inner, self._mistakes, (name,))
        if value.get("type") is None:
            self._mistakes.add('"type" is missing', hint='for example "type": "smtp"')
        return own


def check_dependencies(group: Group, implied: Mapping[str, object], mistakes: Mistakes) -> None:
    """Check that a group's resources depend on resources of that group, and never in a circle."""
    if not any(resource.depends_on for resource in group.resources.values()):
        return
    known = {**group.resources, **implied}
    for resource in group.resources.values():
        mistakes.enter(("groups", group.name, "resources", resource.name), f"{group.name}/{resource.name}")
        for index, provider in enumerate(resource.depends_on):
            if provider not in known:
                message = f"there is no resource {shown(provider)} in group {shown(group.name)}"
                mistakes.add(message, "depends_on", index, hint=mistakes.nearest(provider, known))
    for circle in _circles(group):
        first = circle[0]
        mistakes.enter(("groups", group.name, "resources", first), f"{group.name}/{first}")
        names = [*circle, first]
        if len(names) > CIRCLE_SHOWN_MAX:
            names[CIRCLE_SHOWN_MAX - 2 : -1] = ["..."]
        mistakes.add(f"depends on itself: {' -> '.join(map(plain, names))}", "depends_on")


def _circles(group: Group) -> list[list[str]]:
    """Find the circles of a group's dependencies, each once, beginning with its first resource in the order written."""
    waits = {
        name: [provider for provider in resource.depends_on if provider in group.resources]
        for name, resource in group.resources.items()
    }
    circles: list[list[str]] = []
    done: set[str] = set()
    for start in waits:
        path: list[str] = []
        at: dict[str, int] = {}  # of the path
        rest: list[tuple[str, bool]] = [(start, False)]
        while rest:
            name, leaving = rest.pop()
            if leaving:
                done.add(path.pop())
                del at[name]
            elif name in at:
                circles.append(path[at[name] :])
            elif name not in done:
                at[name] = len(path)
                path.append(name)
                rest.append((name, True))
                rest.extend((provider, False) for provider in reversed(waits[name]))
    order = {name: index for index, name in enumerate(group.resources)}
    return [_turn(circle, order) for circle in circles]


def _turn(circle: list[str], order: Mapping[str, int]) -> list[str]:
    first = circle.index(min(circle, key=order.__getitem__))
    return circle[first:] + circle[:first]
