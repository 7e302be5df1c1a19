"""Disks tried out for real: mounts made by the test, full ones, read-only ones; and the kernel's table of mounts."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.environment.disks import RealDisks, find_mount
from tests.e2e.programs import absent, need_root

SIZE = 1024 * 1024
TABLE = b"""\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:26 / /srv/with\\040space rw - nfs4 server:/mail rw,vers=4
31 21 0:27 / /srv/old ro - ext4 /dev/vdb rw
32 21 0:28 / /srv/mail rw master:1 - tmpfs under rw
33 21 0:29 / /srv/mail rw - tmpfs over ro
torn line
"""


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A small tmpfs of the test's own."""
    need_root("a mount")
    place = tmp_path / "a disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "la-test", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        absent(f"nothing can be mounted here: {done.stderr}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(
    ("place", "source", "read_only"),
    [
        (b"/", "/dev/vda", False),
        (b"/srv/with space", "server:/mail", False),
        (b"/srv/old", "/dev/vdb", True),
        (b"/srv/mail", "over", True),
    ],
)
def test_the_table_of_mounts_is_read(place: bytes, source: str, read_only: bool) -> None:
    """The uppermost mount counts, names are unescaped, and either side can say that it is read-only."""
    found = find_mount(TABLE, place)
    assert found is not None
    assert (found.source, found.read_only) == (source, read_only)


def test_what_is_not_in_the_table_is_not_mounted() -> None:
    """A folder of a mounted file system is no mount point."""
    assert find_mount(TABLE, b"/srv") is None


@given(st.binary(max_size=200), st.binary(max_size=20))
def test_rubbish_in_the_table_is_passed_over(table: bytes, place: bytes) -> None:
    """Whatever stands there, reading it raises nothing."""
    find_mount(table, place)


def test_a_good_disk_leaves_nothing_behind(mounted: Path) -> None:
    """S13: a mounted, writable disk with room: its source, its room, no file left."""
    disk = RealDisks().look(str(mounted), "evs1-disk")
    assert (disk.source, disk.kind, disk.read_only, disk.step, disk.error) == ("la-test", "tmpfs", False, "", None)
    assert 0 < disk.free_bytes <= SIZE
    assert list(mounted.iterdir()) == []


def test_a_link_to_the_mount_point_is_followed(mounted: Path, tmp_path: Path) -> None:
    """The mount point may be written through a symbolic link."""
    link = tmp_path / "link"
    link.symlink_to(mounted)
    assert RealDisks().look(f"{link}/", "x").source == "la-test"


def test_nothing_is_written_where_nothing_is_mounted(tmp_path: Path) -> None:
    """The folder under a mount point that is not mounted stays untouched."""
    before = tmp_path.stat().st_mtime_ns
    assert RealDisks().look(str(tmp_path), "x").source == ""
    assert RealDisks().look(str(tmp_path / "nowhere"), "x").source == ""
    assert tmp_path.stat().st_mtime_ns == before


def test_a_full_disk_fails_at_the_write(mounted: Path) -> None:
    """ENOSPC is told with the step that met it, and our file is not left there."""
    (mounted / "filler").write_bytes(b"\0" * (SIZE - 4096))
    with (mounted / "more").open("wb", buffering=0) as more, contextlib.suppress(OSError):
        while True:
            more.write(b"\0" * 4096)
    disk = RealDisks().look(str(mounted), "x")
    assert disk.step in ("create", "write")
    assert disk.error is not None
    assert disk.error.errno == errno.ENOSPC
    assert disk.free_bytes == 0
    assert {each.name for each in mounted.iterdir()} == {"filler", "more"}


def test_a_read_only_remount_is_told(mounted: Path) -> None:
    """Nothing is tried on what is mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    disk = RealDisks().look(str(mounted), "x")
    assert disk.read_only
    assert disk.error is None


@pytest.mark.parametrize("planted", ["link", "hard link", "fifo", "leftover"])
def test_what_is_planted_is_never_written_through(mounted: Path, planted: str) -> None:
    """A link, a FIFO or our own leftover in our file's place is removed; what it leads to stays as it is."""
    victim = mounted / "victim"
    victim.write_text("precious", encoding="ascii")
    ours = mounted / f".looksalive-{os.uname().nodename}-x"
    match planted:
        case "link":
            ours.symlink_to(victim)
        case "hard link":
            ours.hardlink_to(victim)
        case "fifo":
            os.mkfifo(ours)
        case _:
            ours.write_text("old", encoding="ascii")
    assert RealDisks().look(str(mounted), "x").error is None
    assert victim.read_text(encoding="ascii") == "precious"
    assert not ours.exists()
