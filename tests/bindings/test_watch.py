"""Noticing that the store's files changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bindings.store import StoreFolder
from bindings.watch import FileStamp, StoreStamp, changed_files
from probe.environment.files import RealFiles

STAMP = FileStamp(device=1, inode=2, mtime_ns=3, size=4)


def test_the_same_look_twice_is_no_change() -> None:
    """Two equal looks name no file; nor do two looks at nothing."""
    assert changed_files(StoreStamp(STAMP, None), StoreStamp(STAMP, None)) == ()
    assert changed_files(StoreStamp(None, None), StoreStamp(None, None)) == ()


@pytest.mark.parametrize("field", FileStamp._fields)
def test_each_part_of_a_stamp_counts(field: str) -> None:
    """Another device, inode, time or size is a change by itself."""
    other = STAMP._replace(**{field: 9})
    assert changed_files(StoreStamp(STAMP, STAMP), StoreStamp(other, STAMP)) == ("metabase.json",)
    assert changed_files(StoreStamp(STAMP, STAMP), StoreStamp(STAMP, other)) == ("cluster.json",)


def test_a_file_that_comes_or_goes_is_a_change() -> None:
    """cluster.json is optional: its coming and going are edits."""
    assert changed_files(StoreStamp(STAMP, None), StoreStamp(STAMP, STAMP)) == ("cluster.json",)
    assert changed_files(StoreStamp(STAMP, STAMP), StoreStamp(None, None)) == ("metabase.json", "cluster.json")


def test_a_configmap_swap_is_a_change(tmp_path: Path) -> None:
    """A kubelet replaces the link `..data`, no file that we named: the look goes through it."""
    for version in ("one", "two"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "metabase.json").write_text('{"schema_version": 1, "keys": {}}')
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "metabase.json").symlink_to("..data/metabase.json")
    folder = StoreFolder(RealFiles(), str(tmp_path))
    before = folder.stamp()
    assert changed_files(before, folder.stamp()) == ()
    (tmp_path / "..data_tmp").symlink_to("two")
    os.replace(tmp_path / "..data_tmp", tmp_path / "..data")  # noqa: PTH105 # what the kubelet does
    assert changed_files(before, folder.stamp()) == ("metabase.json",)


def test_a_rename_into_place_is_a_change(tmp_path: Path) -> None:
    """An editor that writes a new file of the same size and time and renames it is seen by the inode."""
    file = tmp_path / "metabase.json"
    file.write_text("a")
    os.utime(file, ns=(1, 1))
    folder = StoreFolder(RealFiles(), str(tmp_path))
    before = folder.stamp()
    other = tmp_path / "new"
    other.write_text("b")
    os.utime(other, ns=(1, 1))
    other.rename(file)
    assert changed_files(before, folder.stamp()) == ("metabase.json",)


def test_a_link_that_leads_nowhere_is_no_file(tmp_path: Path) -> None:
    """In the middle of a swap a link may dangle: that is a missing file, not an error."""
    (tmp_path / "metabase.json").symlink_to("gone")
    assert StoreFolder(RealFiles(), str(tmp_path)).stamp() == StoreStamp(None, None)
