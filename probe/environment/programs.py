"""Real programs of one task: hooks, agents. Bounded in what we keep of them, killed with their group when cancelled."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Protocol

from probe.environment import Finished
from probe.environment.orphans import buried, start_child
from probe.environment.processes import RealProcess, RealProcesses, open_output

OUTPUT_KEPT_BYTES = 4096  # the newest; a complaint stands at the end
PIPE_READ_BYTES = 65_536


class _Sink(Protocol):
    """Where a program writes, and what we keep of it."""

    @property
    def descriptor(self) -> int: ...
    def newest(self) -> bytes: ...
    def close(self) -> None: ...


class RealPrograms:
    """`probe.environment.Programs` over the real processes."""

    def __init__(self, processes: RealProcesses) -> None:
        self._processes = processes

    async def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, output: str | None = None
    ) -> Finished:
        """Run `argv` (no shell) until its first process has ended. Raises OSError.

        Its end is what counts, not that of its output: a daemon that it leaves behind keeps that open for ever.
        """
        sink: _Sink = _Pipe() if output is None else _File(output)
        try:
            process = self._processes.spawn_into(sink.descriptor, argv, environment=environment)
            await _end_of(process)
            status = process.exit_status
            return Finished(-1 if status is None else status, process.exit_text, sink.newest())
        finally:
            sink.close()


async def _end_of(process: RealProcess) -> None:
    ended = asyncio.Event()
    process.on_exit(ended.set)
    try:
        await ended.wait()
    except asyncio.CancelledError:
        with suppress(PermissionError):  # it changed its user to one whom we may not signal
            process.signal_group(signal.SIGKILL)
        raise


class _Pipe:
    """A pipe that is emptied as it fills, so that its writer never waits."""

    def __init__(self) -> None:
        self._read_end, self.descriptor = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.set_blocking(self.descriptor, True)  # the writers' side: few programs know what to do with EAGAIN
        self._kept = bytearray()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self._read)

    def newest(self) -> bytes:
        """Return the newest that was written, once the writer has ended."""
        self._read()
        return bytes(self._kept)

    def close(self) -> None:
        """Take no more: who writes still gets SIGPIPE."""
        self._loop.remove_reader(self._read_end)
        os.close(self._read_end)
        os.close(self.descriptor)

    def _read(self) -> None:
        """Read what is there; one piece is all that fits into a pipe."""
        with suppress(BlockingIOError):
            self._kept += os.read(self._read_end, PIPE_READ_BYTES)
            del self._kept[:-OUTPUT_KEPT_BYTES]


class _File:
    """A file that is appended to, and stays with what goes on writing to it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.descriptor = open_output(path)
        self._begin = os.fstat(self.descriptor).st_size

    def newest(self) -> bytes:
        """Return the newest that was written since the beginning."""
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return b""  # somebody removed it
        try:
            size = os.fstat(fd).st_size
            begin = self._begin if self._begin <= size else 0  # it was emptied meanwhile: it had grown too large
            return os.pread(fd, OUTPUT_KEPT_BYTES, max(begin, size - OUTPUT_KEPT_BYTES))
        finally:
            os.close(fd)

    def close(self) -> None:
        """Close our descriptor; the programs have their own."""
        os.close(self.descriptor)


def read_output(argv: Sequence[str], *, environment: Mapping[str, str], timeout_s: float, bytes_max: int) -> bytes:
    """Run a program that describes something and return its stdout. Blocks, so it is not for the loop.

    Raises OSError: what the start raises, TimeoutError, or a sentence on what was wrong with it.
    """
    popen = start_child(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, environment=environment)
    assert popen.stdout is not None
    deadline = time.monotonic() + timeout_s
    try:
        content = _read_within(popen.stdout.fileno(), deadline, bytes_max)
        status = popen.wait(max(0.0, deadline - time.monotonic()))
    except (TimeoutError, subprocess.TimeoutExpired):
        raise TimeoutError(f"{argv[0]} did not end within {timeout_s:g} s") from None
    finally:
        if popen.returncode is None:  # nobody has reaped it, so its number is still its group's
            os.killpg(popen.pid, signal.SIGKILL)
            popen.wait()
        buried(popen.pid)
        popen.stdout.close()
    if status != 0:
        raise OSError(f"{argv[0]} ended with {status}")
    return content


def _read_within(fd: int, deadline: float, bytes_max: int) -> bytes:
    content = bytearray()
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        piece = os.read(fd, PIPE_READ_BYTES)
        if not piece:
            return bytes(content)
        content += piece
        if len(content) > bytes_max:
            raise OSError(f"it writes more than {bytes_max} bytes")
    raise TimeoutError
