"""Take the processor away from a process: busy neighbours at a better priority, a quota, or being stopped in turns."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

NICEST = 19
HOGS = 6
SHARE = 0.02  # of one processor
PERIOD_S = 0.1
CGROUP = Path("/sys/fs/cgroup")

Starve = Callable[[int], AbstractContextManager[str]]  # pid -> how it was done, for people


@contextlib.contextmanager
def by_neighbours(pid: int) -> Iterator[str]:
    """Leave it at nice 19 beside six busy processes."""
    _be_nice(pid, NICEST)
    hogs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], stdin=subprocess.DEVNULL, start_new_session=True)
        for _ in range(HOGS)
    ]
    try:
        yield f"nice {NICEST} beside {HOGS} busy processes"
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()
        with contextlib.suppress(OSError):  # only root may take it back
            _be_nice(pid, 0)


def _be_nice(pid: int, priority: int) -> None:
    os.setpriority(os.PRIO_PROCESS, pid, priority)
    group = Path(f"/proc/{pid}/autogroup")
    if group.exists():  # else its session would have a share of its own, whatever its priority
        group.write_text(str(priority))


@contextlib.contextmanager
def by_quota(pid: int) -> Iterator[str]:
    """Leave it 2 % of a processor: by a control group where one can be made, else by stopping it 98 % of the time."""
    with contextlib.ExitStack() as made:
        try:
            folder = made.enter_context(_control_group(pid))
        except OSError:
            folder = None
        if folder is None:
            made.enter_context(_stopped_in_turns(pid))
        yield f"{SHARE:.0%} of a processor ({'control group' if folder else 'stopped in turns'})"


@contextlib.contextmanager
def _control_group(pid: int) -> Iterator[Path]:
    first = (CGROUP / "cgroup.controllers").exists()
    folder = (CGROUP if first else CGROUP / "cpu") / f"looksalive-test-{pid}"
    period_us = round(PERIOD_S * 1e6)
    quota_us = round(period_us * SHARE)
    folder.mkdir()
    try:
        if first:
            (folder / "cpu.max").write_text(f"{quota_us} {period_us}")
        else:
            (folder / "cpu.cfs_period_us").write_text(str(period_us))
            (folder / "cpu.cfs_quota_us").write_text(str(quota_us))
        (folder / "cgroup.procs").write_text(str(pid))
        yield folder
    finally:
        with contextlib.suppress(OSError):
            (folder.parent / "cgroup.procs").write_text(str(pid))
        folder.rmdir()


@contextlib.contextmanager
def _stopped_in_turns(pid: int) -> Iterator[None]:
    enough = threading.Event()

    def turn() -> None:
        while not enough.is_set():
            os.kill(pid, signal.SIGSTOP)
            enough.wait(PERIOD_S * (1 - SHARE))
            os.kill(pid, signal.SIGCONT)
            enough.wait(PERIOD_S * SHARE)

    turning = threading.Thread(target=turn)
    turning.start()
    try:
        yield
    finally:
        enough.set()
        turning.join()
        os.kill(pid, signal.SIGCONT)
