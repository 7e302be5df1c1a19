"""`unfinished.json`: the keys of an edit of both documents, noted before its first file is replaced.

An edit that broke off leaves a key without its resource, and such a key is a resource of its own. While the file is
there, those of its keys that no resource names, and that say what the edit knew of them, are nobody's wish.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from bindings.documents import Document
from bindings.edits import Edit
from bindings.files import Files, replace_file
from bindings.model import Store
from bindings.parse import IMPLIED_GROUP, virtual_server_of

UNFINISHED_FILE = "unfinished.json"
UNFINISHED_BYTES_MAX = 64 * 1024 * 1024

Keys = Mapping[str, Mapping[str, object]]


def note_keys(files: Files, folder: str, edit: Edit, document: Document) -> None:
    """Note the keys that the edit makes or removes, with what they say. Raises OSError."""
    keys = {key: properties or document.own(key) for key, properties in edit.keys.items()}
    replace_file(files, folder, UNFINISHED_FILE, msgspec.json.encode({"keys": keys}))


def noted_keys(files: Files, folder: str) -> Keys:
    """Read what an edit noted; nothing where there is no file, or one that cannot be read."""
    try:
        raw = files.read(f"{folder}/{UNFINISHED_FILE}", UNFINISHED_BYTES_MAX)
        return msgspec.json.decode(raw, type=dict[str, dict[str, dict[str, object]]]).get("keys", {})
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def forget_keys(files: Files, folder: str) -> None:
    """Say that the edit is done. A file that stays is looked at again and changes nothing."""
    with suppress(OSError):
        files.remove(f"{folder}/{UNFINISHED_FILE}")


def loose_keys(noted: Keys, document: Document, store: Store) -> list[str]:
    """Name the noted keys that are still there as noted, and that no resource names."""
    implied = store.groups[IMPLIED_GROUP].resources.values() if IMPLIED_GROUP in store.groups else ()
    alone = {virtual_server_of(resource) for resource in implied if resource.implied}
    return [key for key, properties in noted.items() if key in alone and document.own(key) == properties]
