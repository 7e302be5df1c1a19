"""The embedded directory: `directory.json` in the store's folder, for whom a directory server would be too much.

    {"schema_version": 1, "objects": {
      "evs1/smtp": {"type":"smtp","properties":{"virtual_server":"/smtp/1"}}}}

It lies in the state folder where the store cannot be written, and moves back with the first write after it can: while
the state folder has one, that is the later.
"""

from __future__ import annotations

import errno
from contextlib import suppress

import msgspec

from bindings.files import Files, replace_file
from probe.directory.contract import DirectoryError, DirectoryObject
from probe.values import ResourceId

DIRECTORY_FILE = "directory.json"
LOCK_FILE = ".directory.lock"
FILE_BYTES_MAX = 64 * 1024 * 1024

_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)


class _Object(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    properties: dict[str, object] = {}


class _File(msgspec.Struct, frozen=True):
    schema_version: int
    objects: dict[str, _Object]


class EmbeddedDirectory:
    """`Directory` in one file; other programs are kept apart by a lock beside it, readers need none."""

    def __init__(self, files: Files, store_path: str, state_path: str | None = None) -> None:
        self._files = files
        self._store_path = store_path.rstrip("/") or "/"
        self._state_path = None if state_path is None else state_path.rstrip("/") or "/"

    @property
    def place(self) -> str:
        """The file's path."""
        return f"{self._folder_of_file()}/{DIRECTORY_FILE}"

    @property
    def exists(self) -> bool:
        """Whether there is a file: nobody has to have a directory. Raises DirectoryError."""
        try:
            return self._files.stamp(self.place) is not None
        except OSError as error:
            raise self._unreadable(self.place, error) from error

    def get(self, id: ResourceId) -> DirectoryObject | None:
        """Return the object of a resource, or None."""
        found = self._read().get(str(id))
        return None if found is None else DirectoryObject(id, found.type, found.properties)

    def put(self, object: DirectoryObject) -> None:
        """Create the object, or make it equal to this one; what is equal already is not written."""
        self._change(str(object.id), _Object(object.type, dict(object.properties)))

    def remove(self, id: ResourceId) -> None:
        """Remove the object; nothing if there is none."""
        self._change(str(id), None)

    def objects(self) -> tuple[DirectoryObject, ...]:
        """Return every object, in the order of their ids."""
        found = ((self._id(text), content) for text, content in self._read().items())
        return tuple(DirectoryObject(id, content.type, content.properties) for id, content in sorted(found, key=_first))

    def _change(self, name: str, wanted: _Object | None) -> None:
        for folder in filter(None, (self._store_path, self._state_path)):
            try:
                with self._files.lock(f"{folder}/{LOCK_FILE}"):
                    objects = self._read()
                    if _is_written_alike(objects.get(name), wanted):
                        return
                    objects.pop(name, None)
                    if wanted is not None:
                        objects[name] = wanted
                    replace_file(self._files, folder, DIRECTORY_FILE, _text(objects))
                    if folder != self._state_path and self._state_path is not None:
                        with suppress(FileNotFoundError):
                            self._files.remove(f"{self._state_path}/{DIRECTORY_FILE}")
                    return
            except TimeoutError as error:
                raise DirectoryError(f"another program is writing {folder}/{DIRECTORY_FILE}; try again") from error
            except OSError as error:
                if error.errno in _NOT_WRITABLE and folder == self._store_path and self._state_path is not None:
                    continue
                why = error.strerror or error
                raise DirectoryError(f"{folder}/{DIRECTORY_FILE} cannot be written ({why}); mend the folder") from error

    def _read(self) -> dict[str, _Object]:
        path = self.place
        try:
            content = self._files.read(path, FILE_BYTES_MAX)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(path, error) from error
        try:
            file = msgspec.json.decode(content, type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DirectoryError(
                f"{path} is no directory: {error}; mend it, or remove it and run `looksalive drift --policy push`"
            ) from error
        if file.schema_version != 1:
            raise DirectoryError(f"{path} has schema_version {file.schema_version}; this looksalive reads 1")
        return file.objects

    def _id(self, text: str) -> ResourceId:
        try:
            return ResourceId.parse(text)
        except ValueError as error:
            raise DirectoryError(f"{self.place}: {error}; name the object after its resource") from error

    def _folder_of_file(self) -> str:
        state = self._state_path
        with suppress(OSError):  # reading meets the same and says which file
            if state is not None and self._files.stamp(f"{state}/{DIRECTORY_FILE}") is not None:
                return state
        return self._store_path

    @staticmethod
    def _unreadable(path: str, error: OSError) -> DirectoryError:
        return DirectoryError(f"{path} cannot be read ({error.strerror or error}); mend the file's permissions or size")


def _first(pair: tuple[ResourceId, _Object]) -> ResourceId:
    return pair[0]


def _is_written_alike(one: _Object | None, other: _Object | None) -> bool:
    return msgspec.json.encode(one) == msgspec.json.encode(other)  # to Python 1 and true were equal


def _text(objects: dict[str, _Object]) -> bytes:
    """One line an object, sorted, so that a line tool shows what changed."""
    lines = [
        b"    %s: %s" % (msgspec.json.encode(name), msgspec.json.encode(objects[name])) for name in sorted(objects)
    ]
    body = b"{\n%s\n  }" % b",\n".join(lines) if lines else b"{}"
    return b'{\n  "schema_version": 1,\n  "objects": %s\n}\n' % body
