"""Where we stand when we ask: here, short of descriptors, in a sandbox, or in a network namespace of our own.

A namespace is entered by threads: sockets and threads made inside belong to it. It needs root (CAP_SYS_ADMIN).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import resource
import shlex
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from probe.environment.network import RealNetwork
from tests.truth.rows import Row

CLONE_NEWNET = 0x40000000
SETUP_S = 10.0

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ERRNO, SECCOMP_RET_ALLOW = 0x00050000, 0x7FFF0000
BPF_LOAD_WORD, BPF_JUMP_EQUAL, BPF_RETURN = 0x20, 0x15, 0x06
CONNECT_CALLS = {"x86_64": 42, "aarch64": 203}
EPERM = 1

Answer = TypeVar("Answer")


class Ground:
    """The place of a question. `call` runs something there, `prefix` starts a command there."""

    def __init__(self, prefix: Sequence[str] = (), pass_fds: Sequence[int] = ()) -> None:
        self.prefix = tuple(prefix)
        self.pass_fds = tuple(pass_fds)

    def call(self, action: Callable[[], Answer]) -> Answer:
        """Run it and return what it returns."""
        return action()

    def prepare(self, commands: Sequence[str]) -> None:
        """Run commands that change the place: nowhere but in a namespace of our own."""
        assert not commands, "this would change the machine"

    def close(self) -> None:
        """Let it go."""


class Sandbox(Ground):
    """A thread or a program that may not `connect`."""

    def __init__(self) -> None:
        super().__init__((sys.executable, "-m", "tests.truth.sandbox"))

    def call(self, action: Callable[[], Answer]) -> Answer:
        """Run it in a thread of its own, since a filter is for good."""

        def inside() -> Answer:
            forbid_connect()
            return action()

        return in_thread(inside)


class Namespace(Ground):
    """A network namespace, empty but for its own loopback, until it is closed."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = -1
        self._fd = in_thread(self._make)
        super().__init__(("nsenter", f"--net=/proc/self/fd/{self._fd}", "--"), (self._fd,))

    def close(self) -> None:
        """Let it go."""
        os.close(self._fd)

    def call(self, action: Callable[[], Answer]) -> Answer:
        """Run it in a thread inside."""

        def inside() -> Answer:
            self._checked(self._libc.setns(self._fd, CLONE_NEWNET))
            return action()

        return in_thread(inside)

    def prepare(self, commands: Sequence[str]) -> None:
        """Run commands inside."""
        for command in commands:
            argv = [*self.prefix, *shlex.split(command)]
            subprocess.run(argv, pass_fds=self.pass_fds, check=True, timeout=SETUP_S, capture_output=True)

    def _make(self) -> int:
        self._checked(self._libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    def _checked(self, answer: int) -> None:
        if answer:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def in_thread(action: Callable[[], Answer]) -> Answer:
    """Run it in a thread of its own and return, or raise, what it does."""
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            answers.append(action())
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return answers[0]


class Starved(RealNetwork):
    """The real network of a process that has reached its limit of open files: the kernel itself says EMFILE."""

    def socket(self, family: int) -> Any:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            return super().socket(family)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def obstacle(row: Row) -> str:
    """Say why a row's ground cannot be made here, or nothing."""
    if row.ground == "forbidden" and platform.machine() not in CONNECT_CALLS:
        return f"the number of connect on {platform.machine()} is not known here"
    if row.ground == "namespace":
        try:
            Namespace().close()
        except OSError as error:
            return f"a network namespace needs root: {error}"
        missing = sorted({program for program, *_ in map(str.split, row.setup) if shutil.which(program) is None})
        if missing:
            return f"not installed: {', '.join(missing)}"
    return ""


@contextlib.contextmanager
def ground_of(row: Row) -> Iterator[Ground]:
    """Make the ground of a row."""
    made = {"forbidden": Sandbox, "namespace": Namespace}.get(row.ground, Ground)()
    try:
        yield made
    finally:
        made.close()


def forbid_connect() -> None:
    """Let every `connect` of this process and of its children fail with EPERM, for good (a seccomp filter)."""

    def instruction(code: int, if_true: int, if_false: int, value: int) -> bytes:
        return struct.pack("HBBI", code, if_true, if_false, value)

    program = (
        instruction(BPF_LOAD_WORD, 0, 0, 0)  # the number of the call
        + instruction(BPF_JUMP_EQUAL, 0, 1, CONNECT_CALLS[platform.machine()])
        + instruction(BPF_RETURN, 0, 0, SECCOMP_RET_ERRNO | EPERM)
        + instruction(BPF_RETURN, 0, 0, SECCOMP_RET_ALLOW)
    )
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, filter_, 0, 0)):
        if libc.prctl(*call):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
