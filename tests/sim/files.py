"""Files in memory, with what a disk really promises: nothing is durable before it is synced.

`fail_at` makes one step fail or the machine stop there; `after_crash` shows what a disk may hold afterwards.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from bindings.watch import FileStamp


class Crash(Exception):
    """The machine stopped: no step after this one happens, clean-up included."""


@dataclass(slots=True)
class _File:
    inode: int
    content: bytes
    mtime_ns: int
    durable: bytes = b""  # what the disk holds until the next sync: an empty file, as file systems do


@dataclass(slots=True)
class MemoryFiles:
    """`bindings.store.Files` in memory; every folder exists, paths are compared as written."""

    files: dict[str, _File] = field(default_factory=dict)
    durable_names: dict[str, _File] = field(default_factory=dict)
    read_only: set[str] = field(default_factory=set)  # folders on a read-only file system
    locked: set[str] = field(default_factory=set)  # lock files that another program holds
    fail_at: int | None = None  # this step (counted from 1) and, after a crash, all later ones
    failure: OSError | Crash = field(default_factory=Crash)
    steps: list[str] = field(default_factory=list)  # what was done to the disk
    _inodes: int = 0

    @classmethod
    def holding(cls, contents: Mapping[str, bytes | str]) -> MemoryFiles:
        """Make a disk that durably holds these files."""
        files = cls()
        for path, content in contents.items():
            files.put(path, content)
        return files

    def put(self, path: str, content: bytes | str) -> None:
        """Write a file durably from outside, as an administrator's editor does: no step, no failure."""
        data = content.encode() if isinstance(content, str) else content
        self._inodes += 1
        self.files[path] = self.durable_names[path] = _File(self._inodes, data, self._inodes, data)

    def text(self, path: str) -> str:
        """Show a file's content."""
        return self.files[path].content.decode()

    def after_crash(self, names: Literal["durable", "latest"]) -> MemoryFiles:
        """Return a disk as a crash may leave it: contents as synced, names as synced or as last seen."""
        kept = self.durable_names if names == "durable" else self.files
        return MemoryFiles.holding({path: file.durable for path, file in kept.items()})

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read a whole file."""
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        content = self.files[path].content
        if len(content) > bytes_max:
            raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", path)
        return content

    def write(self, path: str, content: bytes, *, like: str | None = None) -> None:
        """Create or overwrite a file; durable only after `sync`."""
        self._step("write", path)
        self._inodes += 1
        file = self.files.get(path)
        if file is None:
            self.files[path] = _File(self._inodes, content, self._inodes)
        else:
            file.content, file.mtime_ns, file.durable = content, self._inodes, b""

    def sync(self, path: str) -> None:
        """Make a file's content durable, or a folder's names."""
        self._step("sync", path)
        if path in self.files:
            self.files[path].durable = self.files[path].content
            return
        inside = f"{path}/"
        others = {name: file for name, file in self.durable_names.items() if not _directly_in(name, inside)}
        self.durable_names = others | {name: file for name, file in self.files.items() if _directly_in(name, inside)}

    def rename(self, path: str, new_path: str) -> None:
        """Replace one file by another in one step."""
        self._step("rename", path)
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
        self.files[new_path] = self.files.pop(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._step("remove", path)
        if self.files.pop(path, None) is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)

    def names(self, folder: str) -> list[str]:
        """List the files directly in a folder."""
        inside = f"{folder}/"
        return sorted(name[len(inside) :] for name in self.files if _directly_in(name, inside))

    def make_folder(self, path: str) -> None:
        """Do nothing: every folder exists; a step all the same, for it can fail."""
        self._step("make_folder", path)

    def stamp(self, path: str) -> FileStamp | None:
        """Look at a file."""
        file = self.files.get(path)
        return None if file is None else FileStamp(1, file.inode, file.mtime_ns, len(file.content))

    @contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold a lock; one that another program holds is a time-out at once."""
        self._step("lock", path)
        if path in self.locked:
            raise TimeoutError(errno.ETIMEDOUT, "is locked by another program", path)
        self.locked.add(path)
        try:
            yield
        finally:
            self.locked.discard(path)

    def _step(self, what: str, path: str) -> None:
        if path.rpartition("/")[0] in self.read_only or path in self.read_only:
            raise OSError(errno.EROFS, "Read-only file system", path)
        self.steps.append(f"{what} {path}")
        if self.fail_at is None or len(self.steps) < self.fail_at:
            return
        if isinstance(self.failure, Crash) or len(self.steps) == self.fail_at:
            raise self.failure


def _directly_in(name: str, inside: str) -> bool:
    return name.startswith(inside) and "/" not in name[len(inside) :]
