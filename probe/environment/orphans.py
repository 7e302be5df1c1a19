"""Reaping what others left us: to PID 1 of a container every orphan becomes a child, a zombie until it is waited for.

Rules:
1. What we started ourselves is reaped by who started it, for its exit status is waited for: such a child comes from
   `start_child` and stays ours until it is `buried`. Everything else that is our child is an orphan.
2. While a child is being started nobody is reaped: in that moment it is there and its pid is not yet known.
3. Once a second the kernel is asked whether any child has ended, and only then who. uvloop keeps SIGCHLD for itself,
   and a zombie costs nothing but its number meanwhile.
4. Who adopts no orphans (not PID 1, no subreaper) has no reaper.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from probe.environment.stat import children_of

REAP_EVERY_S = 1.0
PR_GET_CHILD_SUBREAPER = 37  # linux/prctl.h

log = logging.getLogger(__name__)


class _Family:
    """The children of this process that somebody of ours waits for; one for the process, as the kernel's table is."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.births = 0  # under way
        self.ours: set[int] = set()  # pids


_family = _Family()


@contextmanager
def birth() -> Iterator[None]:
    """Keep everybody from being reaped within this block."""
    with _family.lock:
        _family.births += 1
    try:
        yield
    finally:
        with _family.lock:
            _family.births -= 1


def start_child(
    argv: Sequence[str],
    *,
    stdout: int | None,
    stderr: int | None,
    environment: Mapping[str, str] | None = None,
    directory: str | None = None,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `argv` (no shell) in a session of its own, stdin at /dev/null; `environment` is added to ours.

    Whoever calls reaps it, and then says so by `buried`. Raises OSError.
    """
    with birth():
        popen = subprocess.Popen(  # noqa: S603 - argv comes from the store's owner and no shell reads it
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=directory,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,
            close_fds=True,
            pass_fds=descriptors,
        )
        _family.ours.add(popen.pid)
        return popen


def buried(pid: int) -> None:
    """Give up a child: it was reaped, or nobody of ours will."""
    _family.ours.discard(pid)


def adopts_orphans() -> bool:
    """Whether orphans become our children: we are PID 1, or a subreaper (prctl(2)), which survives an exec."""
    if os.getpid() == 1:
        return True
    flag = ctypes.c_int(0)
    if ctypes.CDLL(None).prctl(PR_GET_CHILD_SUBREAPER, ctypes.byref(flag), 0, 0, 0):
        return False
    return bool(flag.value)


def reap_orphans() -> None:
    """Reap every ended child that is not ours; nobody while a child is just being started."""
    with _family.lock:
        if _family.births or not _any_ended():
            return
        for child in children_of(os.getpid()):
            pid = child.pid
            if pid in _family.ours:
                continue
            with suppress(ChildProcessError):
                if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG) is not None:
                    log.debug("reaped process %d, which others left behind", pid)


def _any_ended() -> bool:
    """Whether there is any ended child, ours included, without reaping it: one call, whatever runs."""
    try:
        return os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False


class Reaper:
    """Reaps orphans from `start` to `close`. Needs the running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin, with what has ended already; nothing where no orphan ever comes."""
        if adopts_orphans():
            self._reap()

    def close(self) -> None:
        """Reap for the last time. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            _try_to_reap()

    def _reap(self) -> None:
        _try_to_reap()
        self._timer = self._loop.call_later(REAP_EVERY_S, self._reap)


def _try_to_reap() -> None:
    try:
        reap_orphans()
    except OSError as error:  # out of descriptors: a zombie can wait
        log.warning("cannot reap orphans now: %s", error.strerror or error)
