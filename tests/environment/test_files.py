"""The real files, and that the ones in memory behave alike."""

from __future__ import annotations

import errno
import fcntl
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bindings.store import Files, StoreFolder
from probe.environment.files import RealFiles
from tests.bindings.examples import METABASE
from tests.sim.files import MemoryFiles

Maker = Callable[[], Files]


@pytest.fixture(params=[RealFiles, MemoryFiles])
def files(request: pytest.FixtureRequest) -> Files:
    """Both implementations, each test on each."""
    made: Files = request.param()
    return made


def test_what_is_written_is_read(files: Files, tmp_path: Path) -> None:
    """A file is made, overwritten and read back whole."""
    path = f"{tmp_path}/a"
    for content in (b"first", b"", b"second"):
        files.write(path, content)
        files.sync(path)
        assert files.read(path, 100) == content


def test_reading_is_bounded(files: Files, tmp_path: Path) -> None:
    """A file of exactly the bound is read, one byte more is EFBIG, a missing one FileNotFoundError."""
    path = f"{tmp_path}/a"
    files.write(path, b"12345")
    assert files.read(path, 5) == b"12345"
    with pytest.raises(OSError, match="is larger than 4 bytes") as caught:
        files.read(path, 4)
    assert caught.value.errno == errno.EFBIG
    with pytest.raises(FileNotFoundError):
        files.read(f"{tmp_path}/b", 5)


def test_a_file_is_replaced_listed_and_removed(files: Files, tmp_path: Path) -> None:
    """Rename replaces; names are sorted; what is gone is gone."""
    folder = f"{tmp_path}/x/y"
    files.make_folder(folder)
    files.make_folder(folder)
    for name in ("b", "a"):
        files.write(f"{folder}/{name}", name.encode())
    files.sync(folder)
    assert files.names(folder) == ["a", "b"]
    files.rename(f"{folder}/b", f"{folder}/a")
    assert (files.names(folder), files.read(f"{folder}/a", 9)) == (["a"], b"b")
    files.remove(f"{folder}/a")
    assert files.names(folder) == []
    with pytest.raises(FileNotFoundError):
        files.remove(f"{folder}/a")
    with pytest.raises(FileNotFoundError):
        files.rename(f"{folder}/a", f"{folder}/c")


def test_a_stamp_tells_one_content_from_another(files: Files, tmp_path: Path) -> None:
    """A stamp is the same until something happens to the file; None is a file that is not there."""
    path = f"{tmp_path}/a"
    assert files.stamp(path) is None
    files.write(path, b"1")
    first = files.stamp(path)
    assert first == files.stamp(path)
    files.write(path, b"22")
    assert files.stamp(path) != first
    files.write(f"{path}.new", b"33")
    second = files.stamp(path)
    files.rename(f"{path}.new", path)
    assert files.stamp(path) != second


def test_a_lock_is_given_back(files: Files, tmp_path: Path) -> None:
    """A lock can be taken again after it was held, also when what was done under it failed."""
    path = f"{tmp_path}/.lock"
    with pytest.raises(KeyError), files.lock(path):
        raise KeyError
    with files.lock(path):
        pass


def test_a_lock_that_stays_held_times_out(tmp_path: Path) -> None:
    """Another holder of the flock is waited for, but not for ever."""
    path = tmp_path / ".lock"
    files = RealFiles(lock_wait_s=0.05)
    with path.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(TimeoutError, match="is locked by another program"), files.lock(str(path)):
            pass
    with files.lock(str(path)):
        pass


def test_the_mode_is_kept(tmp_path: Path) -> None:
    """A file that takes another's place has its permissions."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("x")
    old.chmod(0o640)
    RealFiles().write(str(new), b"y", like=str(old))
    assert stat.S_IMODE(new.stat().st_mode) == 0o640
    RealFiles().write(str(new), b"y", like=str(tmp_path / "none"))


def test_a_link_is_never_written_through(tmp_path: Path) -> None:
    """A symbolic link where our new file should be is refused: it may lead anywhere."""
    (tmp_path / "target").write_text("precious")
    (tmp_path / "link").symlink_to("target")
    with pytest.raises(OSError, match="symbolic links"):
        RealFiles().write(str(tmp_path / "link"), b"")
    with pytest.raises(OSError, match="symbolic links"), RealFiles().lock(str(tmp_path / "link")):
        pass
    assert (tmp_path / "target").read_text() == "precious"


def descriptors() -> set[str]:
    """List our open descriptors and what they are; the one that lists them is not among them."""
    return {f"{entry.name} {entry.readlink()}" for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """Nothing that RealFiles does keeps a descriptor, errors included."""
    before = descriptors()
    made, path = RealFiles(), f"{tmp_path}/a"
    made.write(path, b"1")
    made.sync(path)
    made.sync(str(tmp_path))
    with made.lock(path):
        pass
    with pytest.raises(OSError, match="larger"):
        made.read(path, 0)
    assert descriptors() == before


def test_a_store_on_a_real_disk(tmp_path: Path) -> None:
    """The store folder works on real files: load, write, revisions, the volatile half, and keeps the file's mode."""
    (tmp_path / "metabase.json").write_bytes(METABASE)
    (tmp_path / "metabase.json").chmod(0o600)
    folder = StoreFolder(RealFiles(), str(tmp_path))
    folder.load()
    assert folder.patch_metabase("/smtp/1", {"rise": 2}, based_on=7) == 8
    folder.write_runtime("/smtp/1", {"command": "start"})
    assert StoreFolder(RealFiles(), str(tmp_path)).load().virtual_servers["/smtp/1"].rise == 2
    names = sorted(entry.relative_to(tmp_path).as_posix() for entry in tmp_path.rglob("*"))
    assert names == [
        ".lock",
        "metabase.json",
        "revisions",
        "revisions/metabase.7.json",
        "revisions/metabase.8.json",
        "runtime.json",
    ]
    assert stat.S_IMODE((tmp_path / "metabase.json").stat().st_mode) == 0o600
