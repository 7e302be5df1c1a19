"""Files in memory: a `Disk` that stays, and the `MemoryFiles` through which one run of a program sees it.

What was not synced is lost with the power, as POSIX allows: a file's bytes until the file is synced, a folder's names
(a new file, a rename, a removal) until the folder is.
"""

from __future__ import annotations

import contextlib
import errno
import os
import posixpath
from collections.abc import Callable, Iterator

from bindings.watch import FileStamp

LINKS_FOLLOWED_MAX = 40
DEVICE = 1


class _Node:
    """A file's content, whatever names lead to it."""

    def __init__(self, inode: int) -> None:
        self.inode = inode
        self.content = b""
        self.durable = b""
        self.mtime_ns = 0
        self.mode = 0o644


class Disk:
    """What is stored: names, their files, folders and symbolic links. Parents come into being with what is in them."""

    def __init__(self, wall: Callable[[], float] | None = None) -> None:
        self.names: dict[str, _Node] = {}
        self.links: dict[str, str] = {}
        self.folders: set[str] = {"/"}
        self.locked: set[str] = set()
        self.failures: dict[str, int] = {}  # by path: the errno with which writing and syncing it fails
        self._durable_names: dict[str, _Node] = {}
        self._inodes = 0
        self._wall = wall
        self._ticks = 0

    def resolve(self, path: str, *, follow_last: bool = True) -> str:
        """Follow symbolic links. Raises OSError(ELOOP)."""
        for _ in range(LINKS_FOLLOWED_MAX):
            path = posixpath.normpath(path)
            parts = path.split("/")
            ends = range(1, len(parts) + (1 if follow_last else 0))
            heads = ("/".join(parts[:end]) or "/" for end in ends)
            link = next((head for head in heads if head in self.links), None)
            if link is None:
                return path
            target = posixpath.join(posixpath.dirname(link), self.links[link])
            path = posixpath.join(target, path[len(link) :].lstrip("/")) if len(path) > len(link) else target
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)

    def put(self, path: str, content: bytes | str) -> None:
        """Have a file there, durably: what was on the disk before, or what an editor's rename puts in its place."""
        path = self.resolve(path)
        self.names[path] = self.node(content.encode() if isinstance(content, str) else content)
        self.names[path].durable = self.names[path].content
        self._durable_names[path] = self.names[path]
        self.add_folder(posixpath.dirname(path))

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link, or point it elsewhere (a ConfigMap's swap)."""
        self.links[posixpath.normpath(path)] = target
        self.add_folder(posixpath.dirname(posixpath.normpath(path)))

    def node(self, content: bytes) -> _Node:
        """Make a file without a name."""
        self._inodes += 1
        node = _Node(self._inodes)
        self.fill(node, content)
        return node

    def fill(self, node: _Node, content: bytes) -> None:
        """Replace a file's bytes."""
        self._ticks += 1
        node.content = content
        node.mtime_ns = self._ticks if self._wall is None else int(self._wall() * 1e9)

    def add_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        while path not in self.folders and path:
            self.folders.add(path)
            path = posixpath.dirname(path)

    def sync(self, path: str) -> None:
        """Make a file's bytes or a folder's names durable. Raises FileNotFoundError."""
        if path in self.names:
            self.names[path].durable = self.names[path].content
            return
        if path not in self.folders:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        for name in [name for name in self._durable_names if posixpath.dirname(name) == path]:
            if name not in self.names:
                del self._durable_names[name]
        for name, node in self.names.items():
            if posixpath.dirname(name) == path:
                self._durable_names[name] = node

    def lose_power(self) -> None:
        """Keep only what is durable."""
        self.names = dict(self._durable_names)
        self.locked.clear()
        for node in self.names.values():
            node.content = node.durable


class MemoryFiles:
    """`bindings.store.Files` over a `Disk`; `dead` is our own death, after which nothing is written any more."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk = disk or Disk()
        self.dead = False

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read a whole file. Raises FileNotFoundError, IsADirectoryError, OSError(EFBIG)."""
        path = self.disk.resolve(path)
        node = self.disk.names.get(path)
        if node is None:
            raise _error(errno.EISDIR if path in self.disk.folders else errno.ENOENT, path)
        if len(node.content) > bytes_max:
            raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", path)
        return node.content

    def write(self, path: str, content: bytes, *, like: str | None = None) -> None:
        """Create or overwrite a file; a symbolic link in its place is refused (ELOOP)."""
        path = self._writable(path)
        if path in self.disk.links:
            raise _error(errno.ELOOP, path)
        if posixpath.dirname(path) not in {*self.disk.folders, ""}:
            raise _error(errno.ENOENT, path)
        node = self.disk.names.get(path)
        if node is None:
            self.disk.names[path] = node = self.disk.node(content)
        else:
            self.disk.fill(node, content)
        if like is not None and (pattern := self.disk.names.get(self.disk.resolve(like))) is not None:
            node.mode = pattern.mode

    def sync(self, path: str) -> None:
        """Make a file or a folder durable. Raises FileNotFoundError."""
        self.disk.sync(self.disk.resolve(self._writable(path)))

    def rename(self, path: str, new_path: str) -> None:
        """Replace `new_path` (the link itself, if it is one) in one step. Raises FileNotFoundError."""
        path, new_path = self._writable(path), self._writable(new_path)
        if path not in self.disk.names:
            raise _error(errno.ENOENT, path)
        self.disk.links.pop(new_path, None)
        self.disk.names[new_path] = self.disk.names.pop(path)

    def remove(self, path: str) -> None:
        """Remove a file or a link. Raises FileNotFoundError."""
        path = self._writable(path)
        if self.disk.links.pop(path, None) is None and self.disk.names.pop(path, None) is None:
            raise _error(errno.ENOENT, path)

    def names(self, folder: str) -> list[str]:
        """List the names in a folder, sorted. Raises FileNotFoundError."""
        folder = self.disk.resolve(folder)
        if folder not in self.disk.folders:
            raise _error(errno.ENOENT, folder)
        everything = {*self.disk.names, *self.disk.links, *self.disk.folders} - {"/"}
        return sorted(posixpath.basename(path) for path in everything if posixpath.dirname(path) == folder)

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        self.disk.add_folder(self.disk.resolve(self._writable(path)))

    def stamp(self, path: str) -> FileStamp | None:
        """Look at a file through symbolic links; None when it is not there."""
        node = self.disk.names.get(self.disk.resolve(path))
        return None if node is None else FileStamp(DEVICE, node.inode, node.mtime_ns, len(node.content))

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold the lock of `path`. Raises TimeoutError when another holds it: nobody can give it back meanwhile."""
        path = self._writable(path)
        if path in self.disk.locked:
            raise TimeoutError(errno.ETIMEDOUT, "is locked by another program", path)
        if path not in self.disk.names:
            self.write(path, b"")
        self.disk.locked.add(path)
        try:
            yield
        finally:
            self.disk.locked.discard(path)

    def _writable(self, path: str) -> str:
        if self.dead:
            raise _error(errno.EIO, path)
        path = self.disk.resolve(path, follow_last=False)
        if path in self.disk.failures:
            raise _error(self.disk.failures[path], path)
        return path


def _error(code: int, path: str) -> OSError:
    return OSError(code, os.strerror(code), path)
