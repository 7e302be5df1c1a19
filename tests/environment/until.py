"""The one place where these tests wait for the world outside: a condition, a deadline, words for what was missing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

POLL_S = 0.01
WITHIN_S = 10.0

Found = TypeVar("Found")


async def until(look: Callable[[], Found | None], what: str, within_s: float = WITHIN_S) -> Found:
    """Return the first truthy answer of `look`; the loop goes on meanwhile. Raises AssertionError naming `what`."""
    try:
        async with asyncio.timeout(within_s):
            while not (found := look()):  # noqa: ASYNC110 - another process sets no event of ours
                await asyncio.sleep(POLL_S)
    except TimeoutError:
        raise AssertionError(f"not within {within_s} s: {what}") from None
    return found
