"""A real server program: its own session under a folder of its own, ready when its ports answer, ended as a whole."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.e2e.processes import kill_session, session_members, signal_all, stat_of
from tests.e2e.waiting import TooLateError, wait_until

READY_WITHIN_S = 15.0
STOPPED_WITHIN_S = 5.0
FROZEN_WITHIN_S = 2.0
LOG_CHARS_SHOWN = 4000


class RealServer:
    """Started by `with`, or by `looksalive` itself from `command`; the subclass has written its configuration.

    `folder` must be open to other users: servers drop to their own.
    """

    def __init__(self, folder: Path, command: list[str], ports: tuple[int, ...]) -> None:
        self.folder = folder
        self.command = command
        self.ports = ports
        self.log_file = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The main process; also the id of the session that holds all of them."""
        if self._process is None:
            raise RuntimeError(f"{type(self).__name__} is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and return when every port accepts. Raises TooLateError with the server's log."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=self.folder
            )
        try:
            wait_until(self._accepts, f"{type(self).__name__} to accept on {self.ports}", READY_WITHIN_S)
        except TooLateError as late:
            self.kill()
            raise TooLateError(f"{late}\n{self.log}") from None

    def stop(self) -> None:
        """End it politely, and whatever does not go by force; nothing of its session is left."""
        if self._process is None:
            return
        pid = self.pid
        self.thaw()
        signal_all([pid], signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOPPED_WITHIN_S)
        self.kill()

    def kill(self) -> None:
        """SIGKILL every process of it, as the kernel's OOM killer or a crash would."""
        if self._process is None:
            return
        kill_session(self.pid)
        self._process.wait(STOPPED_WITHIN_S)
        self._process = None

    def restart(self) -> None:
        """Stop and start it on the same ports."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """SIGSTOP every process of it: the kernel goes on accepting, nobody speaks."""

        def stopped() -> bool:
            members = session_members(self.pid)
            signal_all(members, signal.SIGSTOP)  # again and again: one of them may just have forked
            return {stat.state for pid in members if (stat := stat_of(pid)) is not None} == {"T"}

        wait_until(stopped, "all of it to be stopped", FROZEN_WITHIN_S)

    def thaw(self) -> None:
        """SIGCONT every process of it."""
        signal_all(session_members(self.pid), signal.SIGCONT)

    @property
    def log(self) -> str:
        """The end of what it wrote."""
        return self.log_file.read_text(errors="replace")[-LOG_CHARS_SHOWN:] if self.log_file.exists() else ""

    def _accepts(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise TooLateError(f"{type(self).__name__} ended with {self._process.returncode}:\n{self.log}")
        return all(accepts(port) for port in self.ports)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def accepts(port: int) -> bool:
    """Tell whether somebody listens on a loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0):
            return True
    except OSError:
        return False
