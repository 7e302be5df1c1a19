"""Whole process families, as `/proc` shows them: every test server is a session of its own, ended as one."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.waiting import wait_until

GONE_WITHIN_S = 5.0


@dataclass(frozen=True)
class Stat:
    """What `/proc/PID/stat` says that matters here; a zombie counts as gone."""

    pid: int
    parent: int
    session: int
    state: str
    start_time: int


def stat_of(pid: int) -> Stat | None:
    """Read one process, or None when it is gone or only waits to be reaped."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name in parentheses may hold anything
    if fields[0] in "ZX":
        return None
    return Stat(pid, int(fields[1]), int(fields[3]), fields[0], int(fields[19]))


def running() -> Iterator[Stat]:
    """List every process that is not a zombie."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := stat_of(int(entry.name))) is not None:
            yield stat


def session_members(session: int) -> list[int]:
    """List the pids of a session, whatever their process group and parent are."""
    return [stat.pid for stat in running() if stat.session == session]


def descendants(pid: int) -> list[int]:
    """List the children of a process and theirs."""
    children: dict[int, list[int]] = {}
    for stat in running():
        children.setdefault(stat.parent, []).append(stat.pid)
    found: list[int] = []
    left = [pid]
    while left:
        born = children.get(left.pop(), [])
        found += born
        left += born
    return found


def sessions_mentioning(folder: Path) -> set[int]:
    """List the sessions in which some command line names `folder`: whatever was started on its behalf."""
    needle = os.fsencode(folder)
    found = set()
    for stat in running():
        with contextlib.suppress(OSError):
            if needle in Path(f"/proc/{stat.pid}/cmdline").read_bytes() and stat.session != os.getsid(0):
                found.add(stat.session)
    return found


def signal_all(pids: list[int], number: int) -> None:
    """Signal each of the processes that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def kill_session(session: int) -> None:
    """SIGKILL a session until nobody is left in it. Raises TooLateError."""

    def emptied() -> bool:
        members = session_members(session)
        signal_all(members, signal.SIGKILL)
        return not members

    wait_until(emptied, f"session {session} to be gone", GONE_WITHIN_S)
