"""Running what is a program of somebody else's."""

from __future__ import annotations

import os
import shutil
from typing import Protocol

from tests.bench.ground import GroundError, Window, let_pass, on_core, watch
from tests.bench.peers.contender import Course
from tests.e2e.programs import SYSTEM_PATH

SETTLES_S = 1.0  # at least; the first round is asked in another order than all later ones


class Checking(Protocol):
    """A program, or two that belong together, and whether it is at work."""

    def start(self) -> None:
        """Start it. Raises TooLateError."""

    def stop(self) -> None:
        """End it."""

    def pids(self) -> list[int]:
        """Name the processes whose cost counts, without their children."""

    def wait_all_alive(self, targets: int) -> None:
        """Return when every target was asked and found alive. Raises TooLateError."""


def program_of(name: str, package: str) -> str:
    """Return the path of a program. Raises GroundError with its Debian package."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":" + SYSTEM_PATH)
    if path is None:
        raise GroundError(f"{name} is not installed: apt-get install {package}, or leave it out by --only or --without")
    return path


def run_real(course: Course, program: Checking, seconds: float) -> Window:
    """Start it on the contenders' core, wait until it checks everything, measure, check again, end it."""
    targets = course.pace.targets
    with on_core(course.core):
        program.start()
    try:
        program.wait_all_alive(targets)
        let_pass(max(SETTLES_S, course.pace.period_s))
        window = watch(course.server, program.pids(), seconds)
        program.wait_all_alive(targets)  # still
        return window
    finally:
        program.stop()
