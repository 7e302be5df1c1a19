"""Where the output of our services goes: a file each, kept small while we live, left alone when we die."""

from __future__ import annotations

from contextlib import suppress

from probe.environment import Clock, Processes, Timer

OUTPUT_BYTES_MAX = 1 << 20  # of the file and again of the older part beside it
OUTPUT_CHECK_S = 1.0


class Outputs:
    """The output files being written to. No pipe runs through us, so a service survives our death unharmed.

    The bound is looked after once a second: a file may exceed it by what its service writes in that time.
    """

    def __init__(self, processes: Processes, clock: Clock) -> None:
        self._processes = processes
        self._clock = clock
        self._paths: set[str] = set()
        self._timer: Timer | None = None

    def watch(self, path: str) -> None:
        """Begin to keep this file small."""
        self._paths.add(path)
        if self._timer is None:
            self._timer = self._clock.call_at(self._clock.now() + OUTPUT_CHECK_S, self._check)

    def unwatch(self, path: str) -> None:
        """Stop: its writer has ended. It is made small one last time."""
        if path in self._paths:
            self._paths.remove(path)
            self._bound(path)

    def close(self) -> None:
        """Stop looking after any of them."""
        self._paths.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if not self._paths:
            return
        for path in sorted(self._paths):
            self._bound(path)
        self._timer = self._clock.call_at(self._clock.now() + OUTPUT_CHECK_S, self._check)

    def _bound(self, path: str) -> None:
        with suppress(OSError):  # a full disk or a deleted file: the next round tries again
            self._processes.bound_output(path, OUTPUT_BYTES_MAX)
