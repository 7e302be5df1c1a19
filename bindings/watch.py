"""Whether the store's files changed, told from two looks at them. Pure: the runtime polls, this compares.

A look is device, inode, modification time and size, taken through symbolic links, so that an editor's rename, a write
in place, a ConfigMap's swap of its `..data` link, and a file that comes or goes all show. An edit of equal size within
one tick of the file system's clock does not; SIGHUP reads the files whatever this says.
"""

from __future__ import annotations

from typing import NamedTuple

METABASE_FILE = "metabase.json"
CLUSTER_FILE = "cluster.json"


class FileStamp(NamedTuple):
    """What `stat` says of a file's identity and content."""

    device: int
    inode: int
    mtime_ns: int
    size: int


class StoreStamp(NamedTuple):
    """One look at both files of a store; `None` is a file that is not there."""

    metabase: FileStamp | None
    cluster: FileStamp | None


def changed_files(before: StoreStamp, after: StoreStamp) -> tuple[str, ...]:
    """Name the files that differ between two looks, in the order they are read; empty when nothing happened."""
    named = ((METABASE_FILE, before.metabase, after.metabase), (CLUSTER_FILE, before.cluster, after.cluster))
    return tuple(name for name, old, new in named if old != new)
