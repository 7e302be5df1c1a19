"""The real files: the only `open` of the two packages."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from bindings.watch import FileStamp

LOCK_WAIT_S = 5.0
LOCK_POLL_S = 0.01
NEW_FILE_MODE = 0o644


class RealFiles:
    """`bindings.store.Files` over the operating system; blocking, so callers on the loop use a thread."""

    def __init__(self, lock_wait_s: float = LOCK_WAIT_S) -> None:
        self._lock_wait_s = lock_wait_s

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read a whole file of at most `bytes_max` bytes. Raises OSError(EFBIG) for more."""
        with open(path, "rb") as file:
            content = file.read(bytes_max + 1)
        if len(content) > bytes_max:
            raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", path)
        return content

    def write(self, path: str, content: bytes, *, like: str | None = None) -> None:
        """Create or overwrite a file; a symbolic link in its place is refused (ELOOP), never followed."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(path, flags, NEW_FILE_MODE), "wb") as file:
            if like is not None:
                _copy_mode(file.fileno(), like)
            file.write(content)

    def sync(self, path: str) -> None:
        """Make a file or a folder durable."""
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def rename(self, path: str, new_path: str) -> None:
        """Replace `new_path` by `path` in one step."""
        Path(path).replace(new_path)

    def remove(self, path: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        Path(path).unlink()

    def names(self, folder: str) -> list[str]:
        """List the names in a folder, sorted. Raises FileNotFoundError."""
        return sorted(entry.name for entry in Path(folder).iterdir())

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it."""
        Path(path).mkdir(parents=True, exist_ok=True)

    def stamp(self, path: str) -> FileStamp | None:
        """Look at a file through symbolic links; None when it is not there or its link leads nowhere."""
        try:
            status = Path(path).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return FileStamp(status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)

    @contextlib.contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """Hold the flock of `path`; another holder is waited for, for a while (TimeoutError)."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, NEW_FILE_MODE)
        try:
            _flock_within(fd, path, time.monotonic() + self._lock_wait_s)
            yield
        finally:
            os.close(fd)  # which gives the lock back


def _flock_within(fd: int, path: str, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise TimeoutError(errno.ETIMEDOUT, "is locked by another program", path) from None
            time.sleep(LOCK_POLL_S)
        else:
            return


def _copy_mode(fd: int, like: str) -> None:
    """Give an open file the permissions of another; the owner only where we may (a plain user may not)."""
    try:
        status = Path(like).stat()
    except FileNotFoundError:
        return
    os.fchmod(fd, status.st_mode & 0o777)
    with contextlib.suppress(PermissionError):
        os.fchown(fd, status.st_uid, status.st_gid)
