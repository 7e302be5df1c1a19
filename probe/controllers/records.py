"""What we wrote down of the processes we started, so that a later run of ours finds them again (adoption)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Container, Sequence
from contextlib import suppress

import msgspec

from bindings.store import Files
from probe.values import Incarnation, ResourceId

RECORD_BYTES_MAX = 4096

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")  # the store's own rule: no separator, no leading dot


class ProcessRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """One started process: pid and start time identify it within the boot."""

    pid: int
    start_time: int  # clock ticks after boot
    boot_id: str
    command_sha256: str
    incarnation: int
    service_sha256: str = ""  # of the service's name, where it may be shared
    schema_version: int = 1


def digest_of(command: Sequence[str]) -> str:
    """Digest an argv; the words are told apart by a byte that none can hold."""
    return hashlib.sha256("\0".join(command).encode("utf-8", "surrogateescape")).hexdigest()


def record_of(
    *, pid: int, start_time: int, boot_id: str, command: Sequence[str], incarnation: Incarnation, service: str = ""
) -> ProcessRecord:
    """Make the record of a process just started."""
    return ProcessRecord(
        pid=pid,
        start_time=start_time,
        boot_id=boot_id,
        command_sha256=digest_of(command),
        incarnation=incarnation,
        service_sha256=digest_of([service]) if service else "",
    )


def path_under(folder: str, id: ResourceId, suffix: str) -> str:
    """Name a resource's own file, FOLDER/GROUP/NAME + suffix. Raises ValueError for an id that would lead elsewhere."""
    for part in id:
        if _NAME.fullmatch(part) is None:
            raise ValueError(f"{part!r} cannot be part of a file's name")
    return f"{folder}/{id.group}/{id.name}{suffix}"


class Records:
    """The folder of records, one JSON file for each service that runs."""

    def __init__(self, files: Files, folder: str) -> None:
        self._files = files
        self._folder = folder

    def write(self, id: ResourceId, record: ProcessRecord) -> None:
        """Write a record so that our death at any moment leaves the old one or the new one. Raises OSError.

        Nothing is synced to the disk: a record is worth nothing after the machine's own crash (another boot id).
        """
        path = path_under(self._folder, id, ".json")
        self._files.make_folder(f"{self._folder}/{id.group}")
        self._files.write(path + ".new", msgspec.json.encode(record) + b"\n")
        self._files.rename(path + ".new", path)

    def read(self, id: ResourceId) -> ProcessRecord | None:
        """Read a record; None when there is none or it cannot be understood. Raises OSError when it cannot be read."""
        try:
            raw = self._files.read(path_under(self._folder, id, ".json"), RECORD_BYTES_MAX)
            return msgspec.json.decode(raw, type=ProcessRecord)
        except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
            return None

    def take_over(self, id: ResourceId, service: str, kept: Container[ResourceId]) -> ProcessRecord | None:
        """Make another's record of the same service that of `id`, unless it is one of the `kept`. Raises OSError.

        The one whose name a shared service had may be gone from the store by the time that we are started again.
        """
        for other in self.ids() if service else ():
            record = None if other in kept else self.read(other)
            if record is not None and record.service_sha256 == digest_of([service]):
                self.write(id, record)
                self.remove(other)
                return record
        return None

    def remove(self, id: ResourceId) -> None:
        """Remove a record; one that is gone already, or cannot be removed, is found to be stale when it is read."""
        with suppress(OSError):
            self._files.remove(path_under(self._folder, id, ".json"))

    def ids(self) -> list[ResourceId]:
        """List whose records there are: services that an earlier run of ours may have left running."""
        return [
            ResourceId(group, name.removesuffix(".json"))
            for group in self._names(self._folder)
            for name in self._names(f"{self._folder}/{group}")
            if name.endswith(".json") and _NAME.fullmatch(group) and _NAME.fullmatch(name.removesuffix(".json"))
        ]

    def _names(self, folder: str) -> list[str]:
        try:
            return self._files.names(folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
