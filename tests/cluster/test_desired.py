"""What operators asked for last survives a restart, and no damage to its file loses it silently."""

from __future__ import annotations

import contextlib
import errno
import logging

import pytest

from probe.cluster import DesiredState
from probe.values import ResourceId
from tests.sim.files import Crash, MemoryFiles

SMTP = ResourceId("evs1", "smtp")


def test_offline_survives_a_restart() -> None:
    """An operator's offline that was saved is read by the next run."""
    files = MemoryFiles()
    state = DesiredState(files, "/state")
    state.load()
    state.want(SMTP, False)
    state.save()
    again = DesiredState(files, "/state")
    again.load()
    assert again.items() == ((SMTP, False),)


def test_unreadable_file_is_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    """A damaged file is kept under another name and said so; the run begins with nothing wanted."""
    files = MemoryFiles.holding({"/state/desired.json": b'{"schema_version": 1, "desired": {"evs1/smtp": "no"}}'})
    state = DesiredState(files, "/state")
    with caplog.at_level(logging.ERROR):
        state.load()
    assert state.items() == ()
    assert "set aside" in caplog.text
    assert "/state/desired.json.unreadable" in files.files


def test_file_with_an_impossible_id_is_set_aside() -> None:
    """An id that is none does not end the start; the file is kept under another name."""
    files = MemoryFiles.holding({"/state/desired.json": b'{"schema_version": 1, "desired": {"/smtp": false}}'})
    state = DesiredState(files, "/state")
    state.load()
    assert state.items() == ()
    assert "/state/desired.json.unreadable" in files.files


class UnreadableFiles(MemoryFiles):
    """A disk that does not give the file back."""

    def read(self, path: str, bytes_max: int) -> bytes:
        """Fail."""
        raise OSError(errno.EIO, f"Input/output error beyond {bytes_max} bytes", path)


def test_disk_that_cannot_be_read_is_no_empty_wish() -> None:
    """What an operator took offline must not start because a disk fails: the caller learns of it."""
    with pytest.raises(OSError, match="Input/output"):
        DesiredState(UnreadableFiles(), "/state").load()


def test_only_what_the_store_has_is_kept() -> None:
    """Wishes for resources that are no more are forgotten, the others stay."""
    state = DesiredState(MemoryFiles(), "/state")
    state.want(SMTP, False)
    state.want(ResourceId("evs1", "gone"), False)
    state.keep([SMTP, ResourceId("evs1", "new")])
    assert state.items() == ((SMTP, False),)


@pytest.mark.parametrize("names", ["durable", "latest"])
@pytest.mark.parametrize("step", range(1, 6))
def test_crash_at_any_step_leaves_the_old_or_the_new(step: int, names: str) -> None:
    """Whatever step of saving a crash hits, the next run reads the old wish or the new one."""
    files = MemoryFiles()
    state = DesiredState(files, "/state")
    state.want(SMTP, True)
    state.save()
    files.fail_at = len(files.steps) + step
    state.want(SMTP, False)
    with contextlib.suppress(Crash):
        state.save()
    again = DesiredState(files.after_crash("durable" if names == "durable" else "latest"), "/state")
    again.load()
    assert again.items() in (((SMTP, True),), ((SMTP, False),))
