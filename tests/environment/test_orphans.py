"""Orphans that fall to us are reaped, and nobody's own child with them."""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.environment.orphans import Reaper, adopts_orphans, birth, reap_orphans
from probe.environment.processes import RealProcesses
from probe.environment.programs import RealPrograms, read_output
from probe.environment.stat import read_stat
from tests.environment.until import until

PR_SET_CHILD_SUBREAPER = 36
# A grandchild in a session of its own, whose parent ends first: nothing but its parent's number ties it to us.
ESCAPE = "setsid /bin/sh -c 'echo $$ > {0}.new; mv {0}.new {0}; read line < {1}; exit 3' &"


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Orphans of this process's family fall to it, as to PID 1 of a container."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    yield
    assert prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) == 0


class Orphan:
    """A process that escaped its parent and lives until it is told to end."""

    def __init__(self, folder: Path, name: str = "orphan") -> None:
        self._pid_file, self._fifo = folder / name, folder / f"{name}.fifo"
        self.pid = 0

    async def begin(self) -> None:
        """Start it, by a program that has ended when this returns."""
        os.mkfifo(self._fifo)
        done = await RealPrograms(RealProcesses()).run(["/bin/sh", "-c", ESCAPE.format(self._pid_file, self._fifo)])
        assert done.status == 0
        self.pid = int(await until(lambda: self._pid_file.exists() and self._pid_file.read_text(), "its pid"))

    async def end(self) -> None:
        """Let it end by itself."""
        await asyncio.to_thread(self._fifo.write_text, "end\n")


def is_zombie(pid: int) -> bool:
    """Whether it has ended and nobody has reaped it."""
    stat = read_stat(pid)
    return stat is not None and stat.state == "Z"


async def test_an_orphan_is_reaped_when_it_ends(subreaper: None, tmp_path: Path) -> None:
    """Who escaped its parent and ends later is no zombie for long; without a reaper it stays one."""
    orphan, other = Orphan(tmp_path), Orphan(tmp_path, "other")
    await orphan.begin()
    await other.begin()
    await other.end()
    await until(lambda: is_zombie(other.pid), "a zombie while there is no reaper")
    reaper = Reaper()
    reaper.start()
    await until(lambda: read_stat(other.pid) is None, "the zombie from before to be reaped")
    assert read_stat(orphan.pid) is not None
    await orphan.end()
    await until(lambda: read_stat(orphan.pid) is None, "the orphan to be reaped")
    reaper.close()
    reaper.close()


async def test_no_exit_status_is_stolen(subreaper: None) -> None:
    """A child of ours that has ended stays for who waits for it, in the loop or in a thread, whatever is reaped."""
    process = RealProcesses().spawn(["/bin/sh", "-c", "exit 5"], environment=None, directory=None, output=None)
    while not is_zombie(process.pid):  # the loop does not run, so nobody of ours has seen the end
        pass
    reap_orphans()
    await until(lambda: not process.running, "its end")
    assert process.exit_text == "exit status 5"

    # The program has ended, but a child of it keeps its output open: the thread reads on before it asks for the status.
    argv = ["/bin/sh", "-c", "echo $$; sleep 1 & exit 7"]
    describing = asyncio.ensure_future(
        asyncio.to_thread(read_output, argv, environment={}, timeout_s=20, bytes_max=100)
    )
    while not describing.done():
        reap_orphans()
        await asyncio.sleep(0)
    with pytest.raises(OSError, match="ended with 7"):
        await describing


async def test_nobody_is_reaped_while_a_child_is_started(subreaper: None, tmp_path: Path) -> None:
    """A child that ends before its starter knows its pid looks like an orphan: no orphan is reaped in that moment."""
    orphan = Orphan(tmp_path)
    await orphan.begin()
    await orphan.end()
    await until(lambda: is_zombie(orphan.pid), "its end")
    with birth():
        reap_orphans()
        assert is_zombie(orphan.pid)
    reap_orphans()
    assert read_stat(orphan.pid) is None


async def test_a_child_that_was_let_go_is_reaped(subreaper: None) -> None:
    """A process that its holder released is nobody's any more: its end leaves no zombie."""
    process = RealProcesses().spawn(["/bin/sh", "-c", "sleep 0.1"], environment=None, directory=None, output=None)
    process.release()
    reaper = Reaper()
    reaper.start()
    await until(lambda: read_stat(process.pid) is None, "it to be reaped")
    reaper.close()


async def test_who_adopts_no_orphans_reaps_none() -> None:
    """Beside an init of somebody else's we wait for nobody, not even for what a library of ours started."""
    assert not adopts_orphans()
    popen = await asyncio.to_thread(subprocess.Popen, ["/bin/sh", "-c", "exit 3"])
    await until(lambda: is_zombie(popen.pid), "it to end")
    reaper = Reaper()
    reaper.start()
    reaper.close()
    assert popen.wait() == 3
