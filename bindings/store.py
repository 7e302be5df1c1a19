"""A store folder: reading it, and writing it so that no crash can break it.

    DIR/metabase.json  cluster.json   what people write
    DIR/runtime.json                  the volatile half of the metabase: `command` and `state` of each key
    DIR/revisions/metabase.N.json     the last revisions, and those of cluster.json beside them
    DIR/.lock                         held by whoever writes

A write keeps the outgoing document among the revisions, then makes the new file beside the old one, makes it durable,
renames it into place and makes the folder durable: whatever fails, the file is the old document or the new one.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

from bindings.documents import Document, merge_patch, split
from bindings.edits import Edit, StoreRevisions, stages
from bindings.errors import RevisionConflict, StoreBusy, StoreError, StoreReadOnly, StoreWriteFailed, WriteRefused
from bindings.files import Files, replace_file
from bindings.groups import ClusterDocument, split_cluster
from bindings.model import Store, StoreProblem
from bindings.parse import Reading, read_store
from bindings.revisions import Revisions
from bindings.unfinished import forget_keys, loose_keys, note_keys, noted_keys
from bindings.volatile import RUNTIME_FILE, read_volatile
from bindings.watch import CLUSTER_FILE, METABASE_FILE, StoreStamp

__all__ = [
    "Files",
    "RevisionConflict",
    "StoreBusy",
    "StoreError",
    "StoreFolder",
    "StoreReadOnly",
    "StoreWriteFailed",
    "WriteRefused",
]

STORE_BYTES_MAX = 256 * 1024 * 1024
LOCK_FILE = ".lock"

_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_Properties = Mapping[str, object]
Check = Callable[[Store], Sequence[StoreProblem]]  # what others know to be wrong with a store that is about to be


class _Step(NamedTuple):
    """One file to be replaced: what goes and under which number it is kept, what comes, the store that then is."""

    file: str
    outgoing: bytes | None
    number: int
    text: bytes
    revision: int
    reading: Reading


def _compare(based_on: int, present: int) -> None:
    if based_on != present:
        raise RevisionConflict(based_on, present)


def _no_objection(_: Store) -> Sequence[StoreProblem]:
    return ()


class StoreFolder:
    """One store on disk. Not for two threads at once; other programs are kept apart by the lock.

    `state_path` is the folder for `runtime.json` when the store itself cannot be written.
    """

    def __init__(self, files: Files, path: str, state_path: str | None = None) -> None:
        self._files = files
        self._path = path.rstrip("/") or "/"
        self._state_path = state_path
        self._revisions = {
            name: Revisions(files, self._path, STORE_BYTES_MAX, name) for name in (METABASE_FILE, CLUSTER_FILE)
        }
        self._reading: Reading | None = None

    def __repr__(self) -> str:
        loaded = f"at revision {self._reading.store.metabase_revision}" if self._reading else "not loaded"
        return f"<StoreFolder {self._path} {loaded}>"

    def stamp(self) -> StoreStamp:
        """Look at both files. Take it before `load`, so that an edit during the load shows at the next look."""
        metabase, cluster = (self._files.stamp(f"{self._path}/{name}") for name in (METABASE_FILE, CLUSTER_FILE))
        return StoreStamp(metabase, cluster)

    def load(self) -> Store:
        """Read and check the store; equal texts give the same Store again. Raises StoreError with every mistake.

        After a StoreError the last good store is remembered, and the next load builds on it.
        """
        self._reading = read_store(*self._read_texts(), self._reading)
        return self._reading.store

    def metabase_key(self, key: str) -> tuple[int, dict[str, object]] | None:
        """Return the revision and a key's own properties as written, with `command` and `state` in place.

        None when there is no such key. Raises StoreError when the file cannot be read.
        """
        document = split(self._read(METABASE_FILE))
        own = document.own(key)
        return None if own is None else (document.revision, own | dict(self.runtime(key)))

    def documents(self) -> tuple[Document, ClusterDocument]:
        """Read both documents as written, in pieces; an empty one for a file that is not there. Raises StoreError."""
        return split(self._read(METABASE_FILE)), split_cluster(self._read(CLUSTER_FILE))

    def write_metabase(
        self, key: str, properties: _Properties | None, *, based_on: int, check: Check = _no_objection
    ) -> int:
        """Replace a key's own properties (None removes the key); return the new revision.

        Raises a WriteRefused (RevisionConflict when `based_on` is not the present revision), or StoreError when the
        result would be wrong. Nothing has changed then, save that a StoreWriteFailed may come after the fact.
        """
        return self._write_key(key, lambda _: properties, based_on, check)

    def patch_metabase(self, key: str, patch: _Properties, *, based_on: int, check: Check = _no_objection) -> int:
        """Merge into a key's own properties as RFC 7396 says; return the new revision. Raises as `write_metabase`.

        Null removes what the key itself says, so that the inherited value holds again.
        """
        return self._write_key(key, lambda own: merge_patch(own, patch), based_on, check)

    def write_cluster(
        self, group: str, name: str, properties: _Properties | None, *, based_on: int, check: Check = _no_objection
    ) -> int:
        """Replace a resource's properties (None removes it); return the new revision. Raises as `write_metabase`."""

        def plan(_: Document, cluster: ClusterDocument) -> Edit:
            _compare(based_on, cluster.revision)
            return Edit(resources={(group, name): properties})

        return self._write(plan, check).cluster

    def write_both(self, edit: Edit, *, based_on: StoreRevisions, check: Check = _no_objection) -> StoreRevisions:
        """Carry out an edit of both documents, all of it or nothing; return the new revisions.

        Two files are replaced in up to three steps; a machine that stops in between leaves a sound store, and the same
        edit again does the rest. Raises as `write_metabase`.
        """

        def plan(metabase: Document, cluster: ClusterDocument) -> Edit:
            _compare(based_on.metabase, metabase.revision)
            _compare(based_on.cluster, cluster.revision)
            return edit

        return self._write(plan, check)

    def preview(
        self, edit: Edit, *, based_on: StoreRevisions, check: Check = _no_objection
    ) -> tuple[tuple[str, bytes | None, bytes], ...]:
        """Say what `write_both` would write: file, text before, text after. Raises as it would; nothing is written."""
        texts = self._read_texts()
        documents = split(texts[0]), split_cluster(texts[1])
        _compare(based_on.metabase, documents[0].revision)
        _compare(based_on.cluster, documents[1].revision)
        before = dict(zip((METABASE_FILE, CLUSTER_FILE), texts, strict=True))
        after = {step.file: step.text for step in self._checked(texts, documents, edit, check)}
        return tuple((file, before[file], text) for file, text in after.items())

    def finish(self) -> tuple[str, ...]:
        """Do the rest of a `write_both` that broke off: return the keys without a resource that are removed.

        Nothing left costs one small read. Raises as `write_metabase`.
        """
        if not noted_keys(self._files, self._path):
            return ()
        loose: list[str] = []

        def plan(metabase: Document, _: ClusterDocument) -> Edit:
            loose.extend(loose_keys(noted_keys(self._files, self._path), metabase, self.load()))
            return Edit(dict.fromkeys(loose))

        self._write(plan, _no_objection)
        forget_keys(self._files, self._path)
        return tuple(loose)

    def runtime(self, key: str) -> Mapping[str, str]:
        """Return a key's `command` and `state`, as far as they were written."""
        return read_volatile(self._files, self._volatile_folders()).keys.get(key, {})

    def write_runtime(self, key: str, entries: Mapping[str, str | None]) -> None:
        """Set a key's `command` or `state` (None clears), outside the revisions. Raises a WriteRefused, ValueError."""
        folders = self._volatile_folders()
        for folder in folders:
            try:
                with self._writing(folder):
                    volatile = read_volatile(self._files, folders).with_entries(key, entries)
                    replace_file(self._files, folder, RUNTIME_FILE, volatile.text())
            except StoreReadOnly:
                if folder == folders[-1]:
                    raise
            else:
                return

    def _volatile_folders(self) -> tuple[str, ...]:
        return (self._path,) if self._state_path is None else (self._path, self._state_path)

    def _read_texts(self) -> tuple[bytes | None, bytes | None]:
        texts: list[bytes | None] = []
        problems: list[StoreProblem] = []
        for name in (METABASE_FILE, CLUSTER_FILE):
            try:
                texts.append(self._read(name))
            except StoreError as error:
                problems.extend(error.problems)
        if problems:
            raise StoreError(problems)
        return texts[0], texts[1]

    def _read(self, name: str) -> bytes | None:
        try:
            return self._files.read(f"{self._path}/{name}", STORE_BYTES_MAX)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError([StoreProblem(name, "", "", f"cannot be read: {error.strerror or error}")]) from error

    def _write_key(
        self, key: str, change: Callable[[_Properties | None], _Properties | None], based_on: int, check: Check
    ) -> int:
        def plan(metabase: Document, _: ClusterDocument) -> Edit:
            _compare(based_on, metabase.revision)
            return Edit({key: change(metabase.own(key))})

        return self._write(plan, check).metabase

    def _write(self, plan: Callable[[Document, ClusterDocument], Edit], check: Check) -> StoreRevisions:
        """Read every stage of the edit as whoever loads it would; only then write them, one after the other."""
        with self._writing(self._path):
            texts = self._read_texts()
            documents = split(texts[0]), split_cluster(texts[1])
            edit = plan(*documents)
            steps = self._checked(texts, documents, edit, check)
            if len(steps) > 1:
                note_keys(self._files, self._path, edit, documents[0])
            for step in steps:
                self._replace(step)
                self._reading = step.reading
            if len(steps) > 1:
                forget_keys(self._files, self._path)
        revisions = {METABASE_FILE: documents[0].revision, CLUSTER_FILE: documents[1].revision}
        revisions |= {step.file: step.revision for step in steps}
        return StoreRevisions(revisions[METABASE_FILE], revisions[CLUSTER_FILE])

    def _checked(
        self,
        texts: tuple[bytes | None, bytes | None],
        documents: tuple[Document, ClusterDocument],
        edit: Edit,
        check: Check,
    ) -> list[_Step]:
        steps = list(self._prepare(texts, documents, edit))
        problems = check(steps[-1].reading.store) if steps else ()
        if problems:
            raise StoreError(problems)
        return steps

    def _prepare(
        self, texts: tuple[bytes | None, bytes | None], documents: tuple[Document, ClusterDocument], edit: Edit
    ) -> Iterator[_Step]:
        present: dict[str, bytes | None] = dict(zip((METABASE_FILE, CLUSTER_FILE), texts, strict=True))
        declared = dict(zip(present, (document.revision for document in documents), strict=True))
        reading = self._reading
        for file, document in stages(edit, *documents):
            outgoing, kept = present[file], self._revisions[file]
            number = declared[file] if outgoing is None else kept.number_for(declared[file], outgoing)
            declared[file] = max(declared[file], number, *kept.numbers()) + 1
            text = present[file] = replace(document, revision=declared[file]).text()
            reading = read_store(present[METABASE_FILE], present[CLUSTER_FILE], reading)
            yield _Step(file, outgoing, number, text, declared[file], reading)

    def _replace(self, step: _Step) -> None:
        kept = self._revisions[step.file]
        if step.outgoing is not None:
            kept.keep(step.number, step.outgoing)
        replace_file(self._files, self._path, step.file, step.text)
        with suppress(OSError):  # it is in force; should it be missing here, the next write keeps it
            kept.keep(step.revision, step.text)

    @contextmanager
    def _writing(self, folder: str) -> Iterator[None]:
        """Hold the folder's lock, and turn what the operating system refuses into our words."""
        try:
            with self._files.lock(f"{folder}/{LOCK_FILE}"):
                yield
        except TimeoutError as error:
            raise StoreBusy(folder) from error
        except OSError as error:
            why = error.strerror or str(error)
            raise (StoreReadOnly if error.errno in _NOT_WRITABLE else StoreWriteFailed)(folder, why) from error
