"""A look at the event loop from outside of it: a loop that is stuck answers nobody, and cannot say so itself.

Rules:
1. The loop beats once a second. A thread counts the time since the last beat that it lived through itself: being
   stopped or starved as a whole is no fault of the loop's, and ends without our help.
2. After `STUCK_S` every thread's stack is logged, once until the next beat: that names the call that blocks.
3. After `limit_s` (0: never) we end at once with `EXIT_STUCK`, for a supervisor to start us anew. The services that we
   started run on, and are adopted.
A call that holds the interpreter's lock throughout is not seen: nothing of Python runs then.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable

from probe.environment import Clock, Timer

BEAT_S = 1.0
TICK_S = 0.5
STUCK_S = 10.0
FRAMES_SHOWN = 12  # of a thread, the innermost ones: a log's entry has a bound
EXIT_STUCK = 70  # EX_SOFTWARE of sysexits.h

log = logging.getLogger(__name__)


class Watchdog:
    """Guard the loop of `clock` from `start` to `close`. `end` gets the exit status and does not return."""

    def __init__(self, clock: Clock, limit_s: float, end: Callable[[int], object] = os._exit) -> None:
        self._clock = clock
        self._limit_s = limit_s
        self._end = end
        self._beats = 0
        self._timer: Timer | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to beat and to watch."""
        self._beat()
        self._thread.start()

    def close(self) -> None:
        """Stop. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        self._timer = self._clock.call_at(self._clock.now() + BEAT_S, self._beat)

    def _watch(self) -> None:
        beats, silent_s, told, at = self._beats, 0.0, False, time.monotonic()
        while not self._closed.wait(TICK_S):
            before, at = at, time.monotonic()
            if beats != self._beats:
                beats, silent_s, told = self._beats, 0.0, False
                continue
            silent_s += min(at - before, 2 * TICK_S)  # rule 1
            over = 0 < self._limit_s <= silent_s
            if not told and (over or silent_s >= STUCK_S):
                told = True
                log.critical("the event loop has been stuck for %.0f s; every thread's stack:\n%s", silent_s, stacks())
            if over:
                log.critical("looksalive ends itself with status %d: its services run on", EXIT_STUCK)
                self._end(EXIT_STUCK)
                return


def stacks() -> str:
    """Write down where every thread is: the loop's own first, of each the innermost calls, which name what blocks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    frames = sys._current_frames()  # noqa: SLF001 - documented, and the only way
    first = threading.main_thread().ident
    return "\n".join(
        f"{names.get(ident, ident)}:\n{''.join(traceback.format_stack(frames[ident], limit=FRAMES_SHOWN))}"
        for ident in sorted(frames, key=lambda ident: (ident != first, ident))
    )
