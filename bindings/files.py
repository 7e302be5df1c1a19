"""What the store needs of files, and the one way in which it replaces one."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from typing import Protocol

from bindings.watch import FileStamp


class Files(Protocol):
    """Files as the two packages see them; every call blocks, and raises OSError as the operating system does."""

    def read(self, path: str, bytes_max: int) -> bytes:
        """Read a whole file. Raises FileNotFoundError, and OSError(EFBIG) when it holds more than `bytes_max`."""

    def write(self, path: str, content: bytes, *, like: str | None = None) -> None:
        """Create or overwrite a file, not yet durable, with the mode and owner of the file `like` where that exists."""

    def sync(self, path: str) -> None:
        """Make a file's content, or a folder's names, durable (fsync)."""

    def rename(self, path: str, new_path: str) -> None:
        """Replace `new_path` by `path` in one step; durable once the folder is synced."""

    def remove(self, path: str) -> None:
        """Remove a file. Raises FileNotFoundError."""

    def names(self, folder: str) -> list[str]:
        """List the names in a folder, sorted. Raises FileNotFoundError."""

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; one that is there already is fine."""

    def stamp(self, path: str) -> FileStamp | None:
        """Look at a file through symbolic links; None when it is not there."""

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Hold the exclusive lock (flock) of the file `path`, made if need be. TimeoutError when it stays held."""


def replace_file(files: Files, folder: str, name: str, content: bytes) -> None:
    """Put new content in the place of a file's so that it is the old or the new, whole, whatever fails (OSError).

    The file beside it always has the same name: what a crash leaves behind is overwritten by the next write.
    """
    path, beside = f"{folder}/{name}", f"{folder}/.{name}.new"
    try:
        files.write(beside, content, like=path)
        files.sync(beside)
        files.rename(beside, path)
    except OSError:
        with suppress(OSError):
            files.remove(beside)
        raise
    files.sync(folder)
