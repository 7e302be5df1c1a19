"""The real `Disks`: is it mounted, has it room, and does a small file that is written come back.

Everything here may hang in the kernel for as long as a file server is away, so it belongs into a thread.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

from probe.environment.machine import Disk

PIECE_BYTES = 4096
MOUNTINFO_BYTES_MAX = 16 * 1024 * 1024
MOUNTINFO = "/proc/self/mountinfo"
NAME_BYTES_MAX = 255  # of a file, on every file system that we know

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_OCTAL = re.compile(rb"\\([0-7]{3})")  # how a space, a tab, a newline and a backslash are written


class RealDisks:
    """`Disks` over the operating system."""

    def look(self, mount_point: str, name: str) -> Disk:
        """Try the file system out. Raises OSError when what is mounted cannot even be found out."""
        real = os.path.realpath(mount_point)
        with open(MOUNTINFO, "rb") as file:
            disk = find_mount(file.read(MOUNTINFO_BYTES_MAX), os.fsencode(real))
        if disk is None:
            return Disk()
        step = "statvfs"
        try:
            status = os.statvfs(real)
            free_bytes = status.f_bavail * status.f_frsize
            disk = disk._replace(free_bytes=free_bytes, read_only=disk.read_only or bool(status.f_flag & os.ST_RDONLY))
        except OSError as error:
            return disk._replace(step=step, error=error)
        return disk if disk.read_only else _try_out(disk, f"{real}/{_file_name(name)}")


def find_mount(mountinfo: bytes, mount_point: bytes) -> Disk | None:
    """Find what is mounted at a path, the uppermost where there are several (proc(5), /proc/pid/mountinfo)."""
    found = None
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(b" - ")
        fields, kinds = left.split(b" "), right.split(b" ")
        if separator and len(fields) > 5 and len(kinds) > 2 and _plain(fields[4]) == mount_point:
            read_only = b"ro" in (*fields[5].split(b","), *kinds[2].split(b","))
            found = Disk(os.fsdecode(_plain(kinds[1])) or "none", os.fsdecode(kinds[0]), read_only)
    return found


def _plain(field: bytes) -> bytes:
    return _OCTAL.sub(lambda match: bytes([int(match[1], 8) & 0xFF]), field)


def _file_name(name: str) -> str:
    """Name our file: the node's name in it keeps the nodes apart that share the file system."""
    return os.fsdecode(os.fsencode(f".looksalive-{os.uname().nodename}-{name}")[:NAME_BYTES_MAX])


def _try_out(disk: Disk, path: str) -> Disk:
    """Write, make durable, read again, remove; what a crash of ours left behind is removed first.

    The file is always a new one: whatever somebody planted in its place (a link, a FIFO) is never written through.
    """
    content = os.urandom(PIECE_BYTES)
    step = "create"
    try:
        Path(path).unlink(missing_ok=True)
        fd = os.open(path, _NEW, stat.S_IRUSR | stat.S_IWUSR)
        try:
            step = "write"
            if os.write(fd, content) != PIECE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            step = "fsync"
            os.fsync(fd)
            step = "read"
            if os.pread(fd, PIECE_BYTES + 1, 0) != content:
                raise OSError(errno.EIO, "something else was read than was written")
        finally:
            try:
                os.close(fd)  # a network file system may tell only here that it is full
            finally:
                Path(path).unlink()
    except OSError as error:
        return disk._replace(step=step, error=error)
    return disk
