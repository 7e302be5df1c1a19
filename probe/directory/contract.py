"""What every directory is: objects by resource id, each with properties. Blocking: used from threads.

Rules of a directory:
1. `put` and `remove` are idempotent: whoever was cut off between two steps does the same again (S72).
2. It decides nothing; what differs from the store is found by `drift.py` and shown (S73).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from probe.values import ResourceId


class DirectoryError(Exception):
    """The directory could not be asked, or refused; the text says why, as a sentence for people."""


@dataclass(frozen=True, slots=True)
class DirectoryObject:
    """One resource's object: its type and its properties, JSON values by name."""

    id: ResourceId
    type: str
    properties: Mapping[str, object] = field(default_factory=dict)


class Directory(Protocol):
    """One place where objects are kept."""

    @property
    def place(self) -> str:
        """Where it is, for people; without any secret."""

    def get(self, id: ResourceId) -> DirectoryObject | None:
        """Return the object of a resource, or None. Raises DirectoryError."""

    def put(self, object: DirectoryObject) -> None:
        """Create the object, or make it equal to this one. Raises DirectoryError."""

    def remove(self, id: ResourceId) -> None:
        """Remove the object; nothing if there is none. Raises DirectoryError."""

    def objects(self) -> tuple[DirectoryObject, ...]:
        """Return every object, in the order of their ids. Raises DirectoryError."""
