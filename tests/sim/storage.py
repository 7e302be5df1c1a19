"""The machine's files as one run of the program sees them: a disk in memory with folders, until the run is killed."""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager

from bindings.watch import FileStamp
from tests.sim.files import MemoryFiles
from tests.sim.sockets import fail


class RunFiles:
    """`bindings.store.Files` over the machine's disk. A dead run changes nothing: every write is EIO.

    Unlike the bare disk a folder must have been made (or hold something) before it can be listed or written to.
    """

    def __init__(self, disk: MemoryFiles, folders: set[str]) -> None:
        self.disk = disk
        self.dead = False
        self._folders = folders  # the machine's
        self._held: set[str] = set()

    def die(self) -> None:
        """Be killed: the kernel gives the locks back."""
        self.dead = True
        self.disk.locked -= self._held

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read a whole file. Raises FileNotFoundError, OSError(EFBIG)."""
        return self.disk.read(path, bytes_max)

    def write(self, path: str, content: bytes, *, like: str | None = None) -> None:
        """Create or overwrite a file. Raises FileNotFoundError in a folder that is not there."""
        self._enter(posixpath.dirname(path))
        self.disk.write(path, content, like=like)

    def sync(self, path: str) -> None:
        """Make a file or a folder durable. Raises FileNotFoundError."""
        self._enter(posixpath.dirname(path) if path in self.disk.files else path)
        self.disk.sync(path)

    def rename(self, path: str, new_path: str) -> None:
        """Replace `new_path` by `path`. Raises FileNotFoundError."""
        self._enter(posixpath.dirname(new_path))
        self.disk.rename(path, new_path)

    def remove(self, path: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        self._enter(posixpath.dirname(path))
        self.disk.remove(path)

    def names(self, folder: str) -> list[str]:
        """List a folder's files and folders, sorted. Raises FileNotFoundError."""
        if not self._is_folder(folder):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", folder)
        inside = folder.rstrip("/") + "/"
        below = (path[len(inside) :] for path in (*self.disk.files, *self._folders) if path.startswith(inside))
        return sorted({path.partition("/")[0] for path in below})

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        if self.dead:
            raise fail(errno.EIO)
        self.disk.make_folder(path)
        while path not in {"", "/"}:
            self._folders.add(path)
            path = posixpath.dirname(path)

    def stamp(self, path: str) -> FileStamp | None:
        """Look at a file; None when it is not there."""
        return self.disk.stamp(path)

    @contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold a lock, and make its file. Raises TimeoutError at once: nobody gives it back while we wait."""
        self._enter(posixpath.dirname(path))
        with self.disk.lock(path):
            if path not in self.disk.files:
                self.disk.write(path, b"")
            self._held.add(path)
            try:
                yield
            finally:
                self._held.discard(path)

    def _enter(self, folder: str) -> None:
        if self.dead:
            raise fail(errno.EIO)
        if not self._is_folder(folder):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", folder)

    def _is_folder(self, path: str) -> bool:
        inside = path.rstrip("/") + "/"
        return path in {"", "/"} or path in self._folders or any(name.startswith(inside) for name in self.disk.files)
