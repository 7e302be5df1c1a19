"""Carrying out a planned change: the store first, then the directory (S70, S71, S72), and the rest after a crash.

1. What the directory will have to be told is noted before the store is written (`pending.py`), the keys of an edit of
   both files likewise (`bindings/unfinished.py`); so whoever comes next can do the rest, whatever the change was.
2. The store is replaced in stages that are each sound; the directory is told what the store then says, last of all.
3. A directory that cannot be told leaves the resources as pending. The change itself stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bindings.edits import StoreRevisions
from bindings.model import Store, StoreProblem
from bindings.store import StoreFolder
from probe.directory.contract import Directory, DirectoryError
from probe.directory.pending import Pending
from probe.resources import ControllerKind, check_store
from probe.resources.changes import Change, Present, empty_store
from probe.values import ResourceId


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a change."""

    revisions: StoreRevisions
    changed: bool  # the store differs
    pending: tuple[ResourceId, ...] = ()  # of the change: the directory has yet to be told (`directory_pending`)
    why: str = ""  # it could not be told


@dataclass(frozen=True, slots=True)
class Preview:
    """What a change would write, file by file: name, text before (None: no file), text after."""

    files: tuple[tuple[str, bytes | None, bytes], ...]


class Changes:
    """Reads what plans are made from, and carries them out. Blocking."""

    def __init__(
        self, folder: StoreFolder, directory: Directory, pending: Pending, kinds: Mapping[str, ControllerKind]
    ) -> None:
        self._folder = folder
        self._directory = directory
        self._pending = pending
        self._kinds = kinds

    def __repr__(self) -> str:
        return f"<Changes of {self._folder!r} told to {self._directory.place}>"

    def finish(self) -> tuple[ResourceId, ...]:
        """Do the rest of what broke off earlier; return whose objects were told to the directory.

        Raises StoreError or a WriteRefused for a store that cannot be brought on; a directory that cannot is for later.
        """
        if self._is_empty():
            return ()
        self._folder.finish()
        try:
            return self._pending.settle(self._directory, self._folder.load)
        except DirectoryError:
            return ()

    def read(self) -> Present:
        """Read the store for a plan; a folder without files is an empty one. Raises StoreError."""
        documents = self._folder.documents()
        return Present(empty_store() if self._is_empty() else self._folder.load(), *documents)

    def preview(self, change: Change) -> Preview:
        """Say what would be written. Raises what `carry_out` raises before it writes anything."""
        if not change.edit:
            return Preview(())
        return Preview(self._folder.preview(change.edit, based_on=change.based_on, check=self._check))

    def carry_out(self, change: Change) -> Done:
        """Write the store, then tell the directory.

        Raises StoreError with every mistake, a WriteRefused, DirectoryError: the store is then as it was, save that a
        StoreWriteFailed may come after the fact.
        """
        self.preview(change)  # nothing is noted for a change that will be refused
        revisions = change.based_on
        if change.edit:
            with self._pending.changing(*change.ids):
                revisions = self._folder.write_both(change.edit, based_on=change.based_on, check=self._check)
        try:
            self._pending.settle(self._directory, self._folder.load)
        except DirectoryError as error:
            left = set(self._pending.ids()) & set(change.ids)
            return Done(revisions, bool(change.edit), tuple(id for id in change.ids if id in left), str(error))
        return Done(revisions, bool(change.edit))

    def _check(self, store: Store) -> list[StoreProblem]:
        return check_store(store, self._kinds)

    def _is_empty(self) -> bool:
        stamp = self._folder.stamp()
        return stamp.metabase is None and stamp.cluster is None
