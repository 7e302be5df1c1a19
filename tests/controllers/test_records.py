"""The records of started processes."""

from __future__ import annotations

import errno

import pytest

from probe.controllers.records import Records, digest_of, path_under, record_of
from probe.values import Incarnation, ResourceId
from tests.sim.files import MemoryFiles
from tests.sim.storage import RunFiles

ID = ResourceId("evs1", "smtp")
RECORD = record_of(pid=12, start_time=345, boot_id="b", command=["x", "y"], incarnation=Incarnation(2))


def test_a_record_comes_back_as_it_was_written() -> None:
    """What is written is read, listed and removed."""
    records = Records(RunFiles(MemoryFiles(), set()), "/state/processes")
    assert (records.read(ID), records.ids()) == (None, [])
    records.write(ID, RECORD)
    assert (records.read(ID), records.ids()) == (RECORD, [ID])
    records.remove(ID)
    records.remove(ID)
    assert (records.read(ID), records.ids()) == (None, [])


def test_a_write_that_fails_leaves_the_old_record() -> None:
    """A disk that fails in the middle never leaves half a record in the place of a whole one."""
    files = MemoryFiles()
    records = Records(files, "/state")
    records.write(ID, RECORD)
    files.failure = OSError(errno.ENOSPC, "No space left on device")
    for step in ("make_folder", "write", "rename"):
        files.fail_at = len(files.steps) + 1 + ("make_folder", "write", "rename").index(step)
        with pytest.raises(OSError, match="No space left"):
            records.write(ID, record_of(pid=13, start_time=1, boot_id="b", command=["x"], incarnation=Incarnation(3)))
        assert files.steps[-1].startswith(step)
        assert records.read(ID) == RECORD


@pytest.mark.parametrize("content", [b"", b"{}", b'{"pid": "12"}', b"\xff", b"[" * 1000])
def test_what_cannot_be_understood_is_no_record(content: bytes) -> None:
    """A damaged record is as good as none."""
    files = MemoryFiles()
    records = Records(files, "/state")
    records.write(ID, RECORD)
    files.write("/state/evs1/smtp.json", content)
    assert records.read(ID) is None


def test_an_oversized_record_is_an_error_not_a_read() -> None:
    """The read is bounded."""
    files = MemoryFiles()
    records = Records(files, "/state")
    records.write(ID, RECORD)
    files.write("/state/evs1/smtp.json", b" " * 5000)
    with pytest.raises(OSError, match="larger than"):
        records.read(ID)


def test_a_file_that_is_no_record_s_is_not_listed() -> None:
    """What somebody else put there leads nowhere."""
    files = RunFiles(MemoryFiles(), set())
    records = Records(files, "/state")
    records.write(ID, RECORD)
    files.write("/state/evs1/a b.json", b"{}")
    files.write("/state/evs1/smtp.json.new", b"{}")
    assert records.ids() == [ID]


@pytest.mark.parametrize("part", ["..", ".", "", "a/b", "a\0b", ".hidden", "a\n"])
def test_no_id_leads_out_of_the_folder(part: str) -> None:
    """A name that is no plain name is refused, as group and as resource."""
    for id in (ResourceId(part, "smtp"), ResourceId("evs1", part)):
        with pytest.raises(ValueError, match="cannot be part of a file's name"):
            path_under("/state", id, ".json")


def test_digests_tell_word_boundaries_apart() -> None:
    """The same letters in other words are another command."""
    assert digest_of(["a", "bc"]) != digest_of(["ab", "c"])
