"""The real processes: spawned by argv in a session of their own, watched by pidfd, signalled only while provably ours.

Identity is (pid, start time): a pid alone is given away again. How each question is answered without a race:

1. A child's pid is ours until we reap it, so its group may be signalled by number until then.
2. An adopted process is held by a pidfd whose start time was compared; it is signalled only while that pidfd is silent.
3. A group can outlive its leader. Its number is not given away while one member is left (the kernel frees a pid only
   when no process, group or session carries it), so a member that started before we last knew the group to be ours
   proves that it still is. Without such a member nothing is signalled.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from probe.environment.orphans import buried, start_child
from probe.environment.stat import ProcessStat, members_of, read_stat

KILL_ROUNDS_MAX = 5  # a member can fork while the group is walked; a round finds what the one before missed
OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
OUTPUT_MODE = 0o640
OUTPUT_DIRECTORY_MODE = 0o750

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def _ticks_now() -> int:
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * _TICKS_PER_S)


def _ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _exit_text(status: os.waitid_result) -> str:
    if status.si_code == os.CLD_EXITED:
        return f"exit status {status.si_status}"
    try:
        name = signal.Signals(status.si_status).name
    except ValueError:
        name = f"signal {status.si_status}"  # a real-time signal has no name
    return f"killed by {name}" + (" (core dumped)" if status.si_code == os.CLD_DUMPED else "")


class RealProcess:
    """One process that leads its own session; made by `RealProcesses` only."""

    def __init__(self, pid: int, start_time: int, pidfd: int, *, child: bool) -> None:
        self._pid = pid
        self._start_time = start_time
        self._pidfd: int | None = pidfd
        self._child = child
        self._exit_text = ""
        self._exit_status: int | None = None
        self._calls: list[Callable[[], None]] = []
        self._ours_until = 0  # ticks: the group was certainly ours then; 0 while the leader itself is the proof
        self._group_gone = False
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pidfd, self._conclude)

    def __repr__(self) -> str:
        return f"<process {self._pid} {self._exit_text or 'running'}>"

    @property
    def pid(self) -> int:
        """The process id, which is also the number of its session and its group."""
        return self._pid

    @property
    def start_time(self) -> int:
        """Clock ticks after boot."""
        return self._start_time

    @property
    def running(self) -> bool:
        """Whether its end has not been seen yet."""
        return not self._exit_text

    @property
    def exit_text(self) -> str:
        """How it ended; empty while it runs."""
        return self._exit_text

    @property
    def exit_status(self) -> int | None:
        """The status it ended with, a signal's number negated; None while it runs and when it was not our child."""
        return self._exit_status

    @property
    def group_running(self) -> bool:
        """Whether the leader or anything of its session is left; walks /proc once the leader has ended."""
        if self.running:
            return True
        survivors = self._survivors()
        if any(member.alive for member in survivors):
            return True
        if survivors:
            self._reap_strays()
        return False

    def on_exit(self, call: Callable[[], None]) -> None:
        """Call once when it has ended, at once if it already has."""
        if self.running:
            self._calls.append(call)
        else:
            call()

    def signal_group(self, number: int) -> None:
        """Signal the whole group, or what its leader left of it; nothing that is not provably ours (S56).

        Raises PermissionError when the living leader may not be signalled.
        """
        if self._pidfd is not None and (self._child or not _ended(self._pidfd)):
            with suppress(ProcessLookupError):
                os.killpg(self._pid, number)
        else:
            self._signal_survivors(number)

    def release(self) -> None:
        """Forget it: no call will come, nobody will reap it but our own end."""
        self._detach()

    def _conclude(self) -> None:
        """The pidfd is readable: it has ended. Reap it if it is our child."""
        if self._pidfd is None:
            return
        ours_until = _ticks_now()
        try:
            status = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            self._exit_text = "gone"  # adopted: its parent got the status
        else:
            if status is None:
                return
            self._exit_text = _exit_text(status)
            self._exit_status = status.si_status if status.si_code == os.CLD_EXITED else -status.si_status
        self._ours_until = ours_until
        self._detach()
        calls, self._calls = self._calls, []
        for call in calls:
            call()

    def _detach(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
            buried(self._pid)

    def _survivors(self) -> list[ProcessStat]:
        """List what the ended leader left of its session, dead members too; empty for good once it cannot be proved."""
        if self._group_gone:
            return []
        now = _ticks_now()
        ours_until = self._ours_until or now
        members = list(members_of(self._pid))
        if not any(member.start_time <= ours_until for member in members):
            self._group_gone = not self.running
            return []
        self._ours_until = now
        return [member for member in members if member.pid != self._pid]

    def _signal_survivors(self, number: int) -> None:
        """Signal each survivor by a pidfd of its own; a kill goes round again for what was forked meanwhile."""
        signalled: set[tuple[int, int]] = set()
        for _ in range(KILL_ROUNDS_MAX if number == signal.SIGKILL else 1):
            found = [one for one in self._survivors() if one.alive and (one.pid, one.start_time) not in signalled]
            if not found:
                return
            for member in found:
                signalled.add((member.pid, member.start_time))
                _signal_one(member, number)

    def _reap_strays(self) -> None:
        """Reap orphans of the group that fell to us (we are PID 1 of a container), the leader having been reaped."""
        with suppress(ChildProcessError):
            while not self.running and os.waitid(os.P_PGID, self._pid, os.WEXITED | os.WNOHANG) is not None:
                pass


def _signal_one(member: ProcessStat, number: int) -> None:
    """Signal one process if it is still the one that was read; silently not when it is gone or not ours to signal."""
    try:
        pidfd = os.pidfd_open(member.pid)
    except ProcessLookupError:
        return
    try:
        stat = read_stat(member.pid)
        if stat is not None and (stat.start_time, stat.session) == (member.start_time, member.session):
            with suppress(ProcessLookupError, PermissionError):
                signal.pidfd_send_signal(pidfd, number)
    finally:
        os.close(pidfd)


class RealProcesses:
    """Starting and adopting programs; needs the running event loop for their pidfds. Linux 5.4 or later."""

    def __init__(self) -> None:
        self._boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()

    @property
    def boot_id(self) -> str:
        """The random id of this boot: a start time means nothing in another."""
        return self._boot_id

    def spawn(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None, directory: str | None, output: str | None
    ) -> RealProcess:
        """Start `argv` (no shell) in a session of its own; `environment` is added to ours. Raises OSError.

        The output file is opened for appending and belongs to the child alone, so it outlives us.
        """
        sink = None if output is None else open_output(output)
        try:
            return self.spawn_into(sink, argv, environment=environment, directory=directory)
        finally:
            if sink is not None:
                os.close(sink)

    def spawn_into(
        self,
        sink: int | None,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        directory: str | None = None,
        descriptors: Sequence[int] = (),
    ) -> RealProcess:
        """Start `argv` as `spawn` does, its stdout and stderr being the descriptor `sink`, inherited when None.

        It inherits `descriptors` under their numbers.
        """
        popen = start_child(
            argv, stdout=sink, stderr=sink, environment=environment, directory=directory, descriptors=descriptors
        )
        try:
            pidfd = os.pidfd_open(popen.pid)
            stat = read_stat(popen.pid)
        except OSError:  # out of descriptors: what cannot be watched is not kept
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
            buried(popen.pid)
            raise
        popen.returncode = 0  # we reap by pidfd: Popen shall neither wait for it nor warn about it
        if stat is None:  # nobody but us reaps it, so it is there, if only as a zombie
            os.close(pidfd)
            buried(popen.pid)
            raise ProcessLookupError(f"process {popen.pid} vanished: is SIGCHLD ignored?")
        return RealProcess(popen.pid, stat.start_time, pidfd, child=True)

    def adopt(self, pid: int, start_time: int) -> RealProcess | None:
        """Take over the process of that pid and start time, or None when it is gone or another one (S56).

        Raises OSError when we are out of descriptors: that says nothing about the process.
        """
        try:
            pidfd = os.pidfd_open(pid)
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                raise
            return None  # gone (ESRCH), or the number now belongs to a thread of another process (EINVAL, ENOENT)
        stat = read_stat(pid)
        # Alive after the reading, so the reading was of the process that the pidfd holds.
        if stat is None or stat.start_time != start_time or stat.session != pid or _ended(pidfd):
            os.close(pidfd)
            return None
        return RealProcess(pid, start_time, pidfd, child=False)

    def bound_output(self, path: str, bytes_max: int) -> None:
        """Once `path` is larger, keep its newest `bytes_max` bytes in `path` + ".1" and empty it. Raises OSError.

        The writer appends (O_APPEND), so after the emptying it goes on at the start; renaming would take the file with
        it. What is written between the copy and the emptying, some microseconds, is lost.
        """
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(fd).st_size
            if size <= bytes_max:
                return
            newest = os.pread(fd, bytes_max, size - bytes_max)
            kept = Path(path + ".1")
            fresh = Path(path + ".1.new")
            fresh.write_bytes(newest)
            fresh.replace(kept)
            os.ftruncate(fd, 0)
        finally:
            os.close(fd)


def open_output(path: str) -> int:
    """Open a file that programs append to, and make its folder. Raises OSError."""
    Path(path).parent.mkdir(mode=OUTPUT_DIRECTORY_MODE, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, OUTPUT_MODE)
