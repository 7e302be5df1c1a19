"""The cluster database as a text to be changed: a resource is replaced, every other stays as its author wrote it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from bindings.errors import StoreError
from bindings.metabase import SCHEMA_VERSION, read_header
from bindings.mistakes import Mistakes
from bindings.model import StoreProblem
from bindings.syntax import Pieces, decode_pieces, decode_text, names_written, note_duplicates
from bindings.watch import CLUSTER_FILE

_PARTS = ("resources", "deleted")  # of a group: kept in pieces, for they are what changes
Properties = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class GroupPieces:
    """One group in pieces of its own text."""

    head: Pieces = field(default_factory=dict)  # `possible_owners`
    resources: Pieces = field(default_factory=dict)
    deleted: Pieces = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ClusterDocument:
    """A cluster document in pieces of its own text."""

    revision: int = 0
    groups: dict[str, GroupPieces] = field(default_factory=dict)
    head: Pieces = field(default_factory=lambda: {"schema_version": msgspec.Raw(str(SCHEMA_VERSION))})

    def own(self, group: str, name: str) -> dict[str, Any] | None:
        """Return a resource's own properties as written, None if there is none. Raises StoreError for no object."""
        pieces = self.groups.get(group)
        if pieces is None or name not in pieces.resources:
            return None
        try:
            return msgspec.json.decode(pieces.resources[name], type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            place = f"{group}/{name}"
            raise StoreError([StoreProblem(CLUSTER_FILE, "", place, f"cannot be read: {error}")]) from error

    def with_resource(self, group: str, name: str, properties: Properties | None) -> ClusterDocument:
        """Set a resource's properties, at its place or at the end of its group, which is made if need be.

        None removes it; StoreError if it is not there.
        """
        return self._with_part("resources", group, name, properties)

    def with_deleted(self, group: str, name: str, properties: Properties | None) -> ClusterDocument:
        """Remember a deleted resource, or (None) forget it."""
        return self._with_part("deleted", group, name, properties)

    def with_group(self, group: str, properties: Properties | None) -> ClusterDocument:
        """Set what a group says besides its resources, making it if need be. None removes the group whole."""
        groups = dict(self.groups)
        if properties is None:
            if groups.pop(group, None) is None:
                raise StoreError([StoreProblem(CLUSTER_FILE, "", group, "there is no such group")])
        else:
            head = {name: msgspec.Raw(_line(value)) for name, value in properties.items()}
            groups[group] = replace(groups.get(group, GroupPieces()), head=head)
        return replace(self, groups=groups)

    def text(self) -> bytes:
        """Write the document: a line a property, so that a line tool shows what changed."""
        head = {**self.head, "revision": msgspec.Raw(str(self.revision))}
        members = [(name, bytes(raw)) for name, raw in head.items()]
        groups = [(name, _object(list(_group_members(group)), 4)) for name, group in self.groups.items()]
        return _object([*members, ("groups", _object(groups, 2))], 0) + b"\n"

    def _with_part(self, part: str, group: str, name: str, properties: Properties | None) -> ClusterDocument:
        pieces = self.groups.get(group, GroupPieces())
        written: Pieces = dict(getattr(pieces, part))
        if properties is not None:
            members = [(key, _line(value)) for key, value in properties.items()]
            written[name] = msgspec.Raw(_object(members, 8))
        elif written.pop(name, None) is None:
            place = f"{group}/{name}"
            raise StoreError([StoreProblem(CLUSTER_FILE, "", place, "there is no such resource")])
        return replace(self, groups={**self.groups, group: replace(pieces, **{part: written})})


def split_cluster(text: bytes | None) -> ClusterDocument:
    """Take a document apart; None is an empty one. Raises StoreError when it is no groups of resources at all."""
    if text is None:
        return ClusterDocument()
    mistakes = Mistakes(CLUSTER_FILE)
    top = decode_text(text, mistakes)
    if top is not None:
        revision = read_header(top, tuple(top), mistakes)
        raw = decode_pieces(top["groups"], "groups by name", mistakes, "groups") if "groups" in top else {}
        groups = {name: _split_group(name, piece, mistakes) for name, piece in (raw or {}).items()}
        names = len(top) + len(groups) + sum(_names(group) for group in groups.values())
        if names_written(text) != names:
            note_duplicates(text, mistakes, 4)  # writing would drop one of the two for good
        if raw is not None and not mistakes.count:
            return ClusterDocument(revision, groups, {name: piece for name, piece in top.items() if name != "groups"})
    raise StoreError(mistakes.summary())


def _split_group(name: str, raw: msgspec.Raw, mistakes: Mistakes) -> GroupPieces:
    mistakes.enter(("groups", name), name)
    content = decode_pieces(raw, "possible_owners and resources", mistakes) or {}
    parts = {part: decode_pieces(content.pop(part), "by name", mistakes, part) for part in _PARTS if part in content}
    return GroupPieces(content, **{part: pieces or {} for part, pieces in parts.items()})


def _names(group: GroupPieces) -> int:
    """Count the names that a group's text must have, so that one given twice is noticed."""
    inside = [*group.head.values(), *group.resources.values(), *group.deleted.values()]
    parts = len(group.resources) + len(group.deleted) + bool(group.resources) + bool(group.deleted)
    return len(group.head) + parts + sum(map(names_written, inside))


def _group_members(group: GroupPieces) -> Iterator[tuple[str, bytes]]:
    yield from ((name, bytes(raw)) for name, raw in group.head.items())
    yield "resources", _object([(name, bytes(raw)) for name, raw in group.resources.items()], 6)
    if group.deleted:
        yield "deleted", _object([(name, bytes(raw)) for name, raw in group.deleted.items()], 6)


def _object(members: list[tuple[str, bytes]], indent: int) -> bytes:
    """Write an object whose members stand on lines of their own, two blanks further in."""
    if not members:
        return b"{}"
    lines = [b"%*s%s: %s" % (indent + 2, b"", _line(name), value) for name, value in members]
    return b"{\n%s\n%*s}" % (b",\n".join(lines), indent, b"")


def _line(value: object) -> bytes:
    """Write a value on one line as people do. Raises ValueError for what JSON has no word for."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
