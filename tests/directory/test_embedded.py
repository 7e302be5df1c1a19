"""The directory in one file: equal to what was put, whole whatever fails, clear about a bad one."""

from __future__ import annotations

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.embedded import EmbeddedDirectory
from probe.values import ResourceId
from tests.directory.worlds import objects
from tests.sim.files import Crash, MemoryFiles

PATH = "/store/directory.json"
ONE = DirectoryObject(ResourceId("g", "a"), "smtp", {"virtual_server": "/smtp/1"})
TWO = DirectoryObject(ResourceId("g", "b"), "imap", {})


def directory(files: MemoryFiles) -> EmbeddedDirectory:
    """The directory of a store with a state folder."""
    return EmbeddedDirectory(files, "/store/", "/state")


def test_objects_come_and_go() -> None:
    """S71, S19: put, read, change, remove; twice the same is once; what is equal is not written again."""
    files = MemoryFiles()
    place = directory(files)
    assert not place.exists
    assert place.objects() == ()
    for _ in range(2):
        place.put(TWO)
        place.put(ONE)
        assert place.objects() == (ONE, TWO)
        assert place.get(ONE.id) == ONE
        files.steps.clear()
    place.put(ONE)
    assert [step for step in files.steps if not step.startswith("lock")] == []
    place.put(DirectoryObject(ONE.id, "smtp", {"on": 1}))
    place.put(DirectoryObject(ONE.id, "smtp", {"on": True}))
    assert place.objects()[0].properties["on"] is True
    for _ in range(2):
        place.remove(ONE.id)
        assert place.objects() == (TWO,)
        assert place.get(ONE.id) is None
    assert place.exists
    assert place.place == PATH


@given(st.lists(objects(), max_size=8))
def test_everything_that_was_put_is_there(wanted: list[DirectoryObject]) -> None:
    """S71: of each id the last put is read back, equal, in the order of the ids."""
    place = directory(MemoryFiles())
    for one in wanted:
        place.put(one)
    assert place.objects() == tuple(sorted({one.id: one for one in wanted}.values(), key=lambda one: one.id))


@pytest.mark.parametrize("names", ["durable", "latest"])
def test_a_crash_leaves_the_old_or_the_new(names: str) -> None:
    """S72: after a crash at any step the file is the old directory or the new one, and the put can be made again."""
    for step in range(1, 20):
        files = MemoryFiles()
        directory(files).put(ONE)
        files.steps.clear()
        files.fail_at = step
        try:
            directory(files).put(TWO)
        except Crash:
            survived = directory(files.after_crash(names))  # type: ignore[arg-type] # one of the two
            assert survived.objects() in [(ONE,), (ONE, TWO)]
            survived.put(TWO)
            assert survived.objects() == (ONE, TWO)
        else:
            return
    pytest.fail("no put came to its end")


def test_a_read_only_store() -> None:
    """Where the store cannot be written the file lies in the state folder, is read there, and moves back later."""
    files = MemoryFiles()
    place = directory(files)
    place.put(ONE)
    files.read_only.add("/store")
    place.put(TWO)
    assert place.place == "/state/directory.json"
    assert place.objects() == (ONE, TWO)
    files.read_only.clear()
    place.remove(ONE.id)
    assert place.place == PATH
    assert place.objects() == (TWO,)


def test_nowhere_to_write() -> None:
    """A directory that cannot be written at all says which file and what to mend; nothing has changed."""
    files = MemoryFiles(read_only={"/store", "/state"})
    with pytest.raises(DirectoryError, match=r"/state/directory\.json cannot be written .*mend the folder"):
        directory(files).put(ONE)
    full = MemoryFiles(fail_at=1, failure=OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(DirectoryError, match=r"/store/directory\.json cannot be written \(No space left on device\)"):
        directory(full).put(ONE)


def test_another_writer() -> None:
    """A lock that stays held is an error that says so; readers need no lock."""
    files = MemoryFiles()
    directory(files).put(ONE)
    files.locked.add("/store/.directory.lock")
    with pytest.raises(DirectoryError, match="another program is writing"):
        directory(files).put(TWO)
    assert directory(files).objects() == (ONE,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no directory: Input data was truncated"),
        ("[]", "is no directory: Expected `object`"),
        ('{"schema_version": 1, "objects": {"g/a": {"type": 5}}}', r"Expected `str`, got `int` - at `\$\.objects"),
        ('{"schema_version": 1, "objects": {"g/a": {"type": "x", "propertys": {}}}}', "propertys"),
        ('{"schema_version": 2, "objects": {}}', "schema_version 2; this looksalive reads 1"),
        ('{"schema_version": 1, "objects": {"a": {"type": "x"}}}', "'a' is not GROUP/NAME"),
        ("[" * 100_000, "is no directory"),
        ("\xff", "is no directory"),
    ],
)
def test_a_bad_file(text: str, message: str) -> None:
    """A file that is no directory is named with what is wrong and the mend, and stays as it is."""
    files = MemoryFiles()
    files.put(PATH, text.encode("latin-1"))
    with pytest.raises(DirectoryError, match=message) as caught:
        directory(files).objects()
    assert str(caught.value).startswith(PATH)
    assert files.files[PATH].content == text.encode("latin-1")


def test_a_file_too_large() -> None:
    """The file is read up to a bound; more is an error that says so."""

    class Large(MemoryFiles):
        def read(self, path: str, bytes_max: int) -> bytes:
            raise OSError(errno.EFBIG, f"is larger than {bytes_max} bytes", path)

    with pytest.raises(DirectoryError, match="is larger than 67108864 bytes"):
        directory(Large()).objects()
