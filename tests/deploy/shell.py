"""A shell in which somebody follows a document: fresh sources, `looksalive` on the PATH, a network of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.e2e.command import PROJECT
from tests.e2e.waiting import TooLateError, wait_until

ENDS_WITHIN_S = 90.0
ALONE = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
NOT_IN_A_CHECKOUT = shutil.ignore_patterns("__pycache__", ".*")


class Shell:
    """At the top of sources that may be written to; `home` is the folder above them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.top = home / "sources"
        self.top.mkdir()
        program = home / "bin" / "looksalive"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT} exec {sys.executable} -m probe.cli "$@"\n')
        program.chmod(0o755)

    def link_sources(self) -> None:
        """Have what commands read of the sources, without copying it."""
        for name in ("deploy", "probe", "pyproject.toml"):
            (self.top / name).symlink_to(PROJECT / name)

    def copy_sources(self) -> None:
        """Have the sources as a checkout has them, to be installed from."""
        for name in ("deploy", "probe", "bindings"):
            shutil.copytree(PROJECT / name, self.top / name, ignore=NOT_IN_A_CHECKOUT)
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(PROJECT / name, self.top)

    def run(self, text: str, *, until: str = "", alone: bool = True, **variables: str) -> tuple[int, str]:
        """Run a block, each command once the one before it has succeeded; return its status and what it wrote.

        A block that serves ends by SIGTERM once it has written `until`. What it leaves in the background is ended.
        `alone`: in a network of its own, where we may make one.
        """
        script = self.home / "block.sh"
        script.write_text(("trap : TERM\n" if until else "") + text)  # else the shell ends before what it waits for
        command = ["sh", "-eu", str(script)]
        if alone and os.geteuid() == 0 and shutil.which("unshare") and shutil.which("ip"):
            command = [*ALONE, *command]
        output = self.home / "output"
        with output.open("w") as written:
            process = subprocess.Popen(
                command, cwd=self.top, env=self._environment() | variables, stdin=subprocess.DEVNULL, stdout=written,
                stderr=written, start_new_session=True,
            )  # fmt: skip
            try:
                if until:
                    wait_until(
                        lambda: until in output.read_text() or process.poll() is not None, f"{until!r}", ENDS_WITHIN_S
                    )
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGTERM)
                status = process.wait(ENDS_WITHIN_S)
            except (TooLateError, subprocess.TimeoutExpired) as error:
                raise AssertionError(f"{error}:\n{output.read_text()}") from error
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return status, output.read_text()

    def _environment(self) -> dict[str, str]:
        path = f"{self.home}/bin:{Path(sys.executable).parent}:{os.environ['PATH']}"
        theirs = {name: value for name, value in os.environ.items() if not name.startswith("LOOKSALIVE_")}
        return theirs | {"PATH": path, "HOME": str(self.home)}
