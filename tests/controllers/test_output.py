"""The bound on the output files, once a second in virtual time."""

from __future__ import annotations

import errno
from collections.abc import Callable

from probe.controllers.output import OUTPUT_BYTES_MAX, OUTPUT_CHECK_S, Outputs
from tests.sim.environment import SimClock, start_run
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.processes import SimProcesses


class _Looked(SimProcesses):
    """Processes that note when which file was looked at."""

    def __init__(self, machine: Machine) -> None:
        super().__init__(machine, current_loop())
        self.looks: list[tuple[float, str]] = []

    def bound_output(self, path: str, bytes_max: int) -> None:
        """Note it; a file named `full` is on a full disk."""
        assert bytes_max == OUTPUT_BYTES_MAX
        self.looks.append((self.loop.time(), path))
        if path == "full":
            raise OSError(errno.ENOSPC, "No space left on device", path)


def _run(script: Callable[[Outputs], list[tuple[float, Callable[[], None]]]]) -> list[tuple[float, str]]:
    """Do things at times, then wait a little; return the looks."""

    async def main() -> list[tuple[float, str]]:
        run = start_run(Machine(1, current_loop().timeline))
        processes = _Looked(run.machine)
        clock = SimClock(current_loop())
        for when, call in script(Outputs(processes, clock)):
            await clock.sleep(when - clock.now())
            call()
        await clock.sleep(2.5 * OUTPUT_CHECK_S)
        return processes.looks

    return run_virtual(main())


def test_every_file_is_looked_at_once_a_second() -> None:
    """A watched file is bounded each second, and a disk that is full for one is not felt by the others."""
    assert _run(lambda outputs: [(0, lambda: outputs.watch("full")), (0, lambda: outputs.watch("other"))]) == [
        (1.0, "full"),
        (1.0, "other"),
        (2.0, "full"),
        (2.0, "other"),
    ]


def test_an_ended_writer_s_file_is_looked_at_once_more() -> None:
    """At its writer's end a file is bounded a last time; after that nothing wakes."""
    assert _run(lambda outputs: [(0, lambda: outputs.watch("a")), (0.5, lambda: outputs.unwatch("a"))]) == [(0.5, "a")]
    assert _run(lambda outputs: [(0, lambda: outputs.unwatch("never watched"))]) == []


def test_after_closing_nothing_is_touched() -> None:
    """Files of services that are left running stay as they are."""
    assert _run(lambda outputs: [(0, lambda: outputs.watch("a")), (0.5, outputs.close), (0.6, outputs.close)]) == []


def test_watching_starts_again_after_a_pause() -> None:
    """A file watched after all others had ended is looked at, too."""
    looks = _run(
        lambda outputs: [
            (0, lambda: outputs.watch("a")),
            (0.5, lambda: outputs.unwatch("a")),
            (5, lambda: outputs.watch("b")),
        ]
    )
    assert looks == [(0.5, "a"), (6.0, "b"), (7.0, "b")]
