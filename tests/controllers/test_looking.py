"""What the looks share: whose fault an error is, and changes that are made one after the other."""

from __future__ import annotations

import asyncio
import errno
import threading

import pytest

from probe.controllers.looking import doubt_of, fault_of, run_alone
from probe.environment.threads import DaemonThreads
from probe.values import Outcome, Reason
from tests.sim.sockets import fail


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EACCES, errno.EPERM, errno.EAGAIN, errno.ENOMEM, errno.ENOSYS])
def test_our_own_faults_are_unknown(number: int) -> None:
    """What we lack or may not do never becomes a failure of what is looked at."""
    assert fault_of(fail(number), "x", Reason.DISK_FAILED).outcome is Outcome.UNKNOWN
    assert doubt_of(fail(number), "x").outcome is Outcome.UNKNOWN


def test_other_errors_are_as_told() -> None:
    """An input/output error is the disk's own, where a disk is looked at; where nothing could be, it is unknown."""
    assert fault_of(fail(errno.EIO), "x", Reason.DISK_FAILED).reason is Reason.DISK_FAILED
    assert doubt_of(fail(errno.EIO), "x").reason is Reason.PROBE_INTERNAL


def test_a_file_is_named_once() -> None:
    """The sentence has the file that it is about, and has it once."""
    error = FileNotFoundError(errno.ENOENT, "No such file or directory", "/x/y")
    assert doubt_of(error, "cannot run /x/y").evidence == "cannot run /x/y: No such file or directory"
    assert doubt_of(error, "cannot look").evidence == "cannot look: No such file or directory (/x/y)"


async def test_changes_of_one_thing_are_made_one_after_the_other() -> None:
    """S55: a change whose worker was cancelled ends before the next is made; none is lost, none made twice."""
    threads, may, done = DaemonThreads(), threading.Event(), []

    def first() -> None:
        may.wait()
        done.append("first")

    begun = asyncio.ensure_future(run_alone(threads, "hosts", first))
    await asyncio.sleep(0)
    begun.cancel()
    second = asyncio.ensure_future(run_alone(threads, "hosts", lambda: done.append("second")))
    await asyncio.sleep(0)
    assert done == []
    may.set()
    await second
    assert done == ["first", "second"]


async def test_a_change_that_fails_tells_its_own_maker() -> None:
    """An error is raised to who made the call, not to who waited for it."""
    threads, may = DaemonThreads(), threading.Event()

    def broken() -> None:
        may.wait()
        raise FileNotFoundError

    first = asyncio.ensure_future(run_alone(threads, "hosts", broken))
    await asyncio.sleep(0)
    second = asyncio.ensure_future(run_alone(threads, "hosts", lambda: None))
    may.set()
    with pytest.raises(FileNotFoundError):
        await first
    await second
