"""The one place where a test waits for another process: a condition, a deadline, and words for what was missing."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.02

Found = TypeVar("Found")


class TooLateError(AssertionError):
    """The condition did not come true before the deadline."""


def wait_until(look: Callable[[], Found | None], what: str, timeout_s: float) -> Found:
    """Return the first truthy answer of `look`. Raises TooLateError naming `what`.

    Another process tells us nothing when it is ready, so this looks every `POLL_S`; nothing else here sleeps.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        if found := look():
            return found
        if time.monotonic() >= deadline:
            raise TooLateError(f"not within {timeout_s} s: {what}")
        time.sleep(POLL_S)
