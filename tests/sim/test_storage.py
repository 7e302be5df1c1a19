"""The files seam, tested on the real disk and on the simulated one with the same bodies."""

from __future__ import annotations

from pathlib import Path

import pytest

from bindings.store import Files
from probe.environment.files import RealFiles
from tests.sim.files import MemoryFiles
from tests.sim.storage import RunFiles

FilesAt = tuple[Files, str]


@pytest.fixture(params=["real", "simulated"])
def files_at(request: pytest.FixtureRequest, tmp_path: Path) -> FilesAt:
    """Give files and an empty folder of theirs."""
    if request.param == "real":
        return RealFiles(), str(tmp_path)
    files = RunFiles(MemoryFiles(), set())
    files.make_folder("/somewhere")
    return files, "/somewhere"


def test_write_and_read(files_at: FilesAt) -> None:
    """What was written is read, listed and stamped; a rewrite changes the stamp and keeps the inode."""
    files, folder = files_at
    files.write(f"{folder}/a", b"one")
    before = files.stamp(f"{folder}/a")
    assert (files.read(f"{folder}/a", 3), files.names(folder)) == (b"one", ["a"])
    files.write(f"{folder}/a", b"three")
    files.sync(f"{folder}/a")
    files.sync(folder)
    after = files.stamp(f"{folder}/a")
    assert before is not None
    assert after is not None
    assert (after != before, after.inode == before.inode, after.size) == (True, True, 5)


def test_rename_replaces(files_at: FilesAt) -> None:
    """A rename replaces its target in one step, inode and all."""
    files, folder = files_at
    files.write(f"{folder}/a", b"old")
    files.write(f"{folder}/b", b"new")
    stamp = files.stamp(f"{folder}/b")
    files.rename(f"{folder}/b", f"{folder}/a")
    assert (files.read(f"{folder}/a", 10), files.names(folder), files.stamp(f"{folder}/a")) == (b"new", ["a"], stamp)


def test_remove(files_at: FilesAt) -> None:
    """A removed file is gone."""
    files, folder = files_at
    files.write(f"{folder}/a", b"")
    files.remove(f"{folder}/a")
    assert (files.names(folder), files.stamp(f"{folder}/a")) == ([], None)


def test_too_large(files_at: FilesAt) -> None:
    """A file larger than the bound is refused, not cut."""
    files, folder = files_at
    files.write(f"{folder}/a", b"four")
    with pytest.raises(OSError, match="is larger than 3 bytes"):
        files.read(f"{folder}/a", 3)


def test_missing(files_at: FilesAt) -> None:
    """Everything that needs a file or folder that is not there is FileNotFoundError."""
    files, folder = files_at
    attempts = (
        lambda: files.read(f"{folder}/a", 1),
        lambda: files.remove(f"{folder}/a"),
        lambda: files.rename(f"{folder}/a", f"{folder}/b"),
        lambda: files.names(f"{folder}/sub"),
        lambda: files.write(f"{folder}/sub/a", b""),
        lambda: files.sync(f"{folder}/sub"),
    )
    for attempt in attempts:
        with pytest.raises(FileNotFoundError):
            attempt()


def test_folders(files_at: FilesAt) -> None:
    """A folder is made with those above it, twice if need be, and is listed in its parent."""
    files, folder = files_at
    files.make_folder(f"{folder}/x/y")
    files.make_folder(f"{folder}/x/y")
    files.write(f"{folder}/x/y/z", b"")
    assert (files.names(folder), files.names(f"{folder}/x"), files.names(f"{folder}/x/y")) == (["x"], ["y"], ["z"])


def test_lock(files_at: FilesAt) -> None:
    """A lock makes its file and can be taken again once it was given back."""
    files, folder = files_at
    for _ in range(2):
        with files.lock(f"{folder}/lock"):
            assert files.names(folder) == ["lock"]


def test_death_gives_the_lock_back() -> None:
    """A killed run writes nothing more, and another one can take its lock."""
    disk, folders = MemoryFiles(), set[str]()
    first, second = RunFiles(disk, folders), RunFiles(disk, folders)
    with first.lock("/lock"):
        with pytest.raises(TimeoutError), second.lock("/lock"):
            pass
        first.die()
        with second.lock("/lock"):
            second.write("/a", b"2")
        with pytest.raises(OSError, match="Input/output error"):
            first.write("/a", b"1")
    assert second.read("/a", 1) == b"2"
