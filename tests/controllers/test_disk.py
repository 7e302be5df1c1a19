"""The look at a physical-disk: what is judged how, and that a disk that hangs costs one thread."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import replace

import pytest

from probe.controllers.disk import DiskObserver, judge_disk
from probe.environment.machine import Disk
from probe.resources.parameters import DiskParameters
from probe.values import Outcome, Reason, ResourceId
from tests.controllers.surroundings import Surroundings, begin, in_virtual_time
from tests.sim.looks import SimDisks, SimThreads
from tests.sim.sockets import fail

ID = ResourceId("evs1", "disk")
OWN = {"mount_point": "/srv/mail", "free_bytes_min": 1000}
GOOD = Disk("/dev/sdb1", "ext4", free_bytes=5000)


@pytest.mark.parametrize(
    ("disk", "reason", "words"),
    [
        (GOOD, Reason.MATCHED, "/dev/sdb1 (ext4), 5000 bytes free"),
        (Disk(), Reason.DISK_FAILED, "nothing is mounted at /srv/mail"),
        (GOOD._replace(read_only=True), Reason.DISK_FAILED, "is mounted read-only"),
        (GOOD._replace(free_bytes=999), Reason.DISK_FAILED, "999 bytes free, 1000 are wanted"),
        (GOOD._replace(step="write", error=fail(errno.ENOSPC)), Reason.DISK_FAILED, "write on /srv/mail: there is no"),
        (GOOD._replace(step="fsync", error=fail(errno.EIO)), Reason.DISK_FAILED, "fsync on /srv/mail: Input/output"),
        (GOOD._replace(step="create", error=fail(errno.EROFS)), Reason.DISK_FAILED, "read-only"),
        (GOOD._replace(step="create", error=fail(errno.EACCES)), Reason.PROBER_FORBIDDEN, "Permission denied"),
        (GOOD._replace(step="create", error=fail(errno.EMFILE)), Reason.PROBER_DESCRIPTORS, "Too many open files"),
    ],
)
def test_what_is_found_is_judged(disk: Disk, reason: Reason, words: str) -> None:
    """S13: unmounted, read-only, full and broken are the disk's failures; that we may not write is ours."""
    verdict = judge_disk(DiskParameters("/srv/mail", 1000), disk)
    assert verdict.reason is reason
    assert words in verdict.evidence


def test_a_disk_that_hangs_costs_one_thread() -> None:
    """S51, S65: however often a disk that hangs is looked at, by whichever watch, one call is made of it."""

    async def body() -> None:
        surroundings, threads = Surroundings(), SimThreads()
        environment = replace(surroundings.environment, threads=threads, disks=SimDisks({"/srv/mail": GOOD}))
        observer = DiskObserver(environment)
        assert (await observer.look(ID, OWN)).reason is Reason.MATCHED
        threads.made.clear()
        threads.hang()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    await observer.look(ID, OWN)
        assert (len(threads.made), threads.count) == (1, 1)
        other = begin(_look(observer))
        threads.go_on()
        await other
        assert threads.count == 0

    async def _look(observer: DiskObserver) -> None:
        assert (await observer.look(ID, OWN)).outcome is Outcome.ALIVE

    in_virtual_time(body)


def test_mistakes_in_the_parameters_are_unknown() -> None:
    """What was not told what to look at knows nothing."""

    async def body() -> None:
        verdict = await DiskObserver(Surroundings().environment).look(ID, {})
        assert verdict.reason is Reason.PROBE_INTERNAL
        assert "mount_point" in verdict.evidence

    in_virtual_time(body)
