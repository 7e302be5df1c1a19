"""One look at the drift, and what is done about it: since when it is known, pushed to the directory or pulled from it.

Blocking. What was seen lies in the state folder and may be lost: differences are then as old as the next look.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from bindings.edits import Edit, ResourceKey, StoreRevisions
from bindings.errors import StoreError
from bindings.files import Files, replace_file
from bindings.model import Store, StoreProblem
from bindings.store import StoreFolder
from probe.directory.contract import Directory, DirectoryObject
from probe.directory.drift import Difference, Kind, Memory, compare, conflicts, pulled, remember
from probe.directory.pending import equalize, objects_of

SEEN_FILE = "directory-drift.json"
SEEN_BYTES_MAX = 16 * 1024 * 1024

Check = Callable[[Store], Sequence[StoreProblem]]


@dataclass(frozen=True, slots=True)
class _Seen:
    since: dict[str, float]


class Looks:
    """Looks at the drift, each remembering the one before."""

    def __init__(self, files: Files, state_path: str) -> None:
        self._files = files
        self._folder = state_path.rstrip("/") or "/"

    def look(self, directory: Directory, store: Store, now: float) -> tuple[Difference, ...]:
        """Compare, and say since when each difference has been seen; `now` in seconds since the epoch.

        Raises DirectoryError. A state folder that cannot be written costs the memory and nothing else.
        """
        found = compare(objects_of(store), directory.objects())
        before = self._recall()
        differences, memory = remember(found, before, now)
        if memory != before:
            self._keep(memory)
        return differences

    def _recall(self) -> Memory:
        try:
            content = self._files.read(f"{self._folder}/{SEEN_FILE}", SEEN_BYTES_MAX)
            return msgspec.json.decode(content, type=_Seen).since
        except (OSError, ValueError, RecursionError):
            return {}

    def _keep(self, memory: Memory) -> None:
        try:
            self._files.make_folder(self._folder)
            replace_file(self._files, self._folder, SEEN_FILE, msgspec.json.encode(_Seen(dict(memory))))
        except OSError:
            pass  # the next look calls new what this one called new


def push(directory: Directory, store: Store, differences: Iterable[Difference]) -> None:
    """Make the directory equal to the store wherever they differ. Raises DirectoryError; what was done stays done."""
    for id in dict.fromkeys(one.id for one in differences):
        equalize(directory, store, id)


def pull(folder: StoreFolder, differences: Collection[Difference], check: Check) -> StoreRevisions | None:
    """Write the directory's values of all that differs into the parameters of cluster.json, all of them or none.

    None when there is nothing to pull. Raises StoreError with every mistake that the values would be, and WriteRefused;
    nothing has changed then.
    """
    problems = conflicts(differences)
    if problems:
        raise StoreError(problems)
    metabase, cluster = folder.documents()
    resources: dict[ResourceKey, dict[str, object]] = {}
    for id in dict.fromkeys(one.id for one in differences if one.kind is Kind.PROPERTY):
        own = cluster.own(*id)
        if own is not None:  # else it was deleted since we looked
            object = DirectoryObject(id, "", own.get("parameters") or {})
            resources[id] = own | {"parameters": pulled(object, differences)}
    if not resources:
        return None
    based_on = StoreRevisions(metabase.revision, cluster.revision)
    return folder.write_both(Edit(resources=dict(resources)), based_on=based_on, check=check)
