"""What the directory still has to be told (S72): ids noted before the store is written, struck out once that is done.

Only ids are kept: what to do is read off the store when it is done, so a step can be done late, twice, or by another
process and is the same step. Whoever creates, changes or deletes resources does:

    with pending.changing(*ids):
        ...  # write the store
    pending.settle(directory, folder.load)

A crash anywhere leaves the notes, and the next `settle` (the service has one each minute) makes the directory right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager

import msgspec

from bindings.files import Files, replace_file
from bindings.model import Store
from probe.directory.contract import Directory, DirectoryError, DirectoryObject
from probe.values import ResourceId

PENDING_FILE = "directory-pending.json"
PENDING_MAX = 10_000
FILE_BYTES_MAX = 4 * 1024 * 1024


class _File(msgspec.Struct, frozen=True):
    ids: list[str] = []


class Pending:
    """The notes of one state folder. Blocking; one process at a time changes them, others wait and then give up."""

    def __init__(self, files: Files, state_path: str) -> None:
        self._files = files
        self._folder = state_path.rstrip("/") or "/"

    @property
    def _path(self) -> str:
        return f"{self._folder}/{PENDING_FILE}"

    def ids(self) -> tuple[ResourceId, ...]:
        """Return what is noted, sorted. Raises DirectoryError for a file that cannot be read."""
        try:
            noted = msgspec.json.decode(self._files.read(self._path, FILE_BYTES_MAX), type=_File).ids
            return tuple(sorted(map(ResourceId.parse, noted)))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, RecursionError) as error:
            hint = "remove it, then run `looksalive drift` to see what differs"
            raise DirectoryError(f"{self._path} cannot be read ({error}); {hint}") from error

    @contextmanager
    def changing(self, *ids: ResourceId) -> Iterator[None]:
        """Note durably that these have a step to come, and keep others' steps away while the store is written.

        Raises DirectoryError before the body runs: nothing must be written then.
        """
        with self._locked():
            self._write({*self.ids(), *ids})
            yield

    def settle(self, directory: Directory, load: Callable[[], Store]) -> tuple[ResourceId, ...]:
        """Do every noted step as the store has it now, and return whose they were; nothing noted costs one small read.

        The first step that fails ends it: that one and all after it stay noted. Raises DirectoryError, and what `load`
        raises.
        """
        if not self.ids():
            return ()
        with self._locked():
            left = list(self.ids())
            done: list[ResourceId] = []
            store = load()
            try:
                while left:
                    equalize(directory, store, left[0])
                    done.append(left.pop(0))
            finally:
                if done:
                    self._write(set(left))
            return tuple(done)

    def _write(self, ids: set[ResourceId]) -> None:
        if ids == set(self.ids()):
            return
        if len(ids) > PENDING_MAX:
            raise DirectoryError(f"more than {PENDING_MAX} resources wait for the directory; mend that first")
        text = msgspec.json.encode(_File([str(id) for id in sorted(ids)]))
        try:
            replace_file(self._files, self._folder, PENDING_FILE, text)
        except OSError as error:
            raise self._unwritable(error) from error

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as held:
            try:
                self._files.make_folder(self._folder)
                held.enter_context(self._files.lock(f"{self._folder}/.{PENDING_FILE}.lock"))
            except TimeoutError as error:
                raise DirectoryError("another program is bringing the directory up to date; try again") from error
            except OSError as error:
                raise self._unwritable(error) from error
            yield

    def _unwritable(self, error: OSError) -> DirectoryError:
        return DirectoryError(f"{self._path} cannot be written ({error.strerror or error}); mend the state folder")


def equalize(directory: Directory, store: Store, id: ResourceId) -> None:
    """Make the object of one resource what the store says, whatever it was. Raises DirectoryError."""
    object = object_of(store, id)
    if object is None:
        directory.remove(id)
    else:
        directory.put(object)


def object_of(store: Store, id: ResourceId) -> DirectoryObject | None:
    """Say what object a resource ought to have: type and parameters (S71); None if cluster.json does not have it."""
    group = store.groups.get(id.group)
    resource = None if group is None else group.resources.get(id.name)
    if resource is None or resource.implied:
        return None
    return DirectoryObject(id, resource.type, resource.parameters)


def objects_of(store: Store) -> Iterable[DirectoryObject]:
    """Say what objects a store ought to have."""
    for group in store.groups.values():
        for name in group.resources:
            object = object_of(store, ResourceId(group.name, name))
            if object is not None:
                yield object
