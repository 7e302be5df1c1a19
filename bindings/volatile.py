"""`runtime.json`: the half of the metabase that changes while services run, `command` and `state` of each key (S58).

It may be lost: a text that cannot be read counts as empty. It lies in the store's folder, or in the state folder when
the store cannot be written; where both have one, the higher revision is the later.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from bindings.files import Files
from bindings.properties import VOLATILE

RUNTIME_FILE = "runtime.json"
RUNTIME_BYTES_MAX = 64 * 1024 * 1024
_WORD = re.compile(r"[a-z][a-z-]{0,31}")


class Volatile(msgspec.Struct, frozen=True):
    """What `runtime.json` holds."""

    schema_version: int = 1
    revision: int = 0
    keys: dict[str, dict[str, str]] = {}

    def with_entries(self, key: str, entries: Mapping[str, str | None]) -> Volatile:
        """Set a key's entries (None clears). Raises ValueError for a name or value that cannot be."""
        for name, word in entries.items():
            if name not in VOLATILE:
                raise ValueError(f"{name!r} is not one of {', '.join(VOLATILE)}")
            if word is not None and not _WORD.fullmatch(word):
                raise ValueError(f"{name} {word!r} is not a word of small letters")
        merged = {**self.keys.get(key, {}), **entries}
        words = {name: word for name, word in merged.items() if word is not None}
        keys = {other: content for other, content in self.keys.items() if other != key}
        return Volatile(1, self.revision + 1, keys | ({key: words} if words else {}))

    def text(self) -> bytes:
        """Write it as JSON."""
        return msgspec.json.encode(self)


def read_volatile(files: Files, folders: tuple[str, ...]) -> Volatile:
    """Read the latest of the folders' `runtime.json`; empty when there is none."""
    return max((_read(files, folder) for folder in folders), key=lambda volatile: volatile.revision)


def _read(files: Files, folder: str) -> Volatile:
    try:
        return msgspec.json.decode(files.read(f"{folder}/{RUNTIME_FILE}", RUNTIME_BYTES_MAX), type=Volatile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Volatile()
