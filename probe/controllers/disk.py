"""Looks at disks: mounted, with room, and a small file that is written comes back in time. Nothing here acts.

All of it is done in a thread of the disk's own. While that hangs (a file server that is away) no other is begun for the
same resource, whoever asks, and the look is failed by its time-out.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping

from probe.controllers.looking import doubt_of, fault_of, read
from probe.environment import Environment
from probe.environment.machine import Disk
from probe.resources.parameters import DiskParameters, read_disk
from probe.resources.reading import ParametersError
from probe.values import Reason, ResourceId, Verdict, evidence_of

_TOLD = {  # as people say it
    errno.ENOSPC: "there is no space left",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "it is mounted read-only",
}


class DiskObserver:
    """Looks at mounted file systems."""

    overdue = Reason.DISK_FAILED
    calls_off = False

    def __init__(self, environment: Environment) -> None:
        self._threads = environment.threads
        self._disks = environment.disks

    async def look(self, id: ResourceId, parameters: Mapping[str, object]) -> Verdict:
        """Try the disk out."""
        try:
            wanted = read(parameters, read_disk)
            key = ("disk", id, wanted.mount_point)
            name = f"{id.group}-{id.name}"
            disk = await self._threads.run(key, lambda: self._disks.look(wanted.mount_point, name))
        except ParametersError as error:
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))
        except OSError as error:
            return doubt_of(error, "cannot find out what is mounted")
        return judge_disk(wanted, disk)


def judge_disk(wanted: DiskParameters, disk: Disk) -> Verdict:
    """Judge what was found; that we may not write there says nothing about the disk."""
    at = wanted.mount_point
    if not disk.source:
        return _failed(f"nothing is mounted at {at}")
    if disk.read_only:
        return _failed(f"{at} is mounted read-only ({disk.source}, {disk.kind})")
    if disk.error is not None:
        what = f"{disk.step} on {at}"
        if disk.error.errno in _TOLD:
            return _failed(f"{what}: {_TOLD[disk.error.errno]}")
        return fault_of(disk.error, what, Reason.DISK_FAILED)
    if disk.free_bytes < wanted.free_bytes_min:
        return _failed(f"{at} has {disk.free_bytes} bytes free, {wanted.free_bytes_min} are wanted")
    return Verdict(Reason.MATCHED, evidence_of(f"{disk.source} ({disk.kind}), {disk.free_bytes} bytes free"))


def _failed(text: str) -> Verdict:
    return Verdict(Reason.DISK_FAILED, evidence_of(text))
