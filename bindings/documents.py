"""The metabase as a text to be changed: one key is replaced, every other stays as its author wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from bindings.errors import StoreError
from bindings.metabase import SCHEMA_VERSION, read_header
from bindings.mistakes import Mistakes
from bindings.model import StoreProblem
from bindings.syntax import Pieces, decode_pieces, decode_text, names_written, note_duplicates
from bindings.watch import METABASE_FILE


@dataclass(frozen=True, slots=True)
class Document:
    """A metabase document in pieces of its own text."""

    revision: int = 0
    keys: Pieces = field(default_factory=dict)
    head: Pieces = field(default_factory=lambda: {"schema_version": msgspec.Raw(str(SCHEMA_VERSION))})

    def with_key(self, key: str, properties: Mapping[str, object] | None) -> Document:
        """Set a key's own properties, at its place or at the end. None removes it; StoreError if it is not there."""
        if properties is not None:
            return replace(self, keys={**self.keys, key: msgspec.Raw(msgspec.json.encode(properties))})
        if key not in self.keys:
            raise StoreError([StoreProblem(METABASE_FILE, "", key, "there is no such key")])
        return replace(self, keys={other: raw for other, raw in self.keys.items() if other != key})

    def own(self, key: str) -> dict[str, Any] | None:
        """Return a key's own properties, None if there is no such key. Raises StoreError for what is no object."""
        if key not in self.keys:
            return None
        try:
            return msgspec.json.decode(self.keys[key], type=dict[str, Any])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StoreError([StoreProblem(METABASE_FILE, "", key, f"cannot be read: {error}")]) from error

    def text(self) -> bytes:
        """Write the document: the head, then one entry a key, so that a line tool shows what changed."""
        head = {**self.head, "revision": msgspec.Raw(str(self.revision))}
        lines = [b"  %s: %s" % (msgspec.json.encode(name), bytes(raw)) for name, raw in head.items()]
        keys = [b"    %s: %s" % (msgspec.json.encode(key), bytes(raw)) for key, raw in self.keys.items()]
        lines.append(b'  "keys": {\n%s\n  }' % b",\n".join(keys) if keys else b'  "keys": {}')
        return b"{\n%s\n}\n" % b",\n".join(lines)


def split(text: bytes | None) -> Document:
    """Take a document apart; None is an empty one. Raises StoreError when its outermost level is wrong."""
    if text is None:
        return Document()
    mistakes = Mistakes(METABASE_FILE)
    top = decode_text(text, mistakes)
    if top is not None:
        revision = read_header(top, tuple(top), mistakes)
        keys = decode_pieces(top["keys"], "keys and their properties", mistakes, "keys") if "keys" in top else {}
        head = {name: raw for name, raw in top.items() if name != "keys"}
        if keys is not None and names_written(text) != len(top) + len(keys) + sum(map(names_written, keys.values())):
            note_duplicates(text, mistakes, 2)  # writing would drop one of the two for good
        if keys is not None and not mistakes.count:
            return Document(revision, keys, head)
    raise StoreError(mistakes.summary())


def merge_patch(own: Mapping[str, object] | None, patch: Mapping[str, object]) -> dict[str, object]:
    """Merge as RFC 7396 says: objects entry by entry, null removes, everything else replaces."""
    merged = dict(own or {})
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            inner = merged.get(name)
            merged[name] = merge_patch(inner if isinstance(inner, Mapping) else None, value)
        else:
            merged[name] = value
    return merged
