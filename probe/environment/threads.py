"""Real threads for calls that may block for ever: a look at a dead network file system, above all.

Each call has a thread of its own, a daemon: a pool's threads are waited for when the interpreter ends, and one that
hangs in the kernel would keep us from ending.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

THREADS_MAX = 1024  # of calls that have not returned; what is beyond is refused

T = TypeVar("T")
_Answer = tuple[object, BaseException | None]


class DaemonThreads:
    """`Threads` over the operating system. For one event loop."""

    def __init__(self, threads_max: int = THREADS_MAX) -> None:
        self._threads_max = threads_max
        self._running: dict[object, _Call] = {}

    def __repr__(self) -> str:
        return f"<DaemonThreads {len(self._running)} of {self._threads_max} under way>"

    @property
    def count(self) -> int:
        """How many calls have not returned."""
        return len(self._running)

    async def run(self, key: object, call: Callable[[], T]) -> T:
        """Make the call, or wait for the one of the same key that has not returned. Raises OSError(EAGAIN)."""
        running = self._running.get(key)
        if running is None:
            if len(self._running) >= self._threads_max:
                raise OSError(errno.EAGAIN, f"{self._threads_max} calls have not returned")
            running = _Call(call, lambda: self._running.pop(key, None))
            running.start()
            self._running[key] = running
        answer: T = await running.answer()  # type: ignore[assignment] # one key is always of one kind of call
        return answer


class _Call:
    """One call under way and who waits for it."""

    def __init__(self, call: Callable[[], object], on_returned: Callable[[], object]) -> None:
        self._call = call
        self._on_returned = on_returned
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[object]] = set()

    def start(self) -> None:
        """Begin. Raises OSError(EAGAIN) when there is no thread to be had."""
        try:
            threading.Thread(target=self._run, name="looksalive-look", daemon=True).start()
        except RuntimeError as error:  # what Python says of pthread_create's EAGAIN
            raise OSError(errno.EAGAIN, str(error)) from error

    async def answer(self) -> object:
        """Wait for what it returns or raises."""
        future: asyncio.Future[object] = self._loop.create_future()
        self._waiting.add(future)
        try:
            return await future
        finally:
            self._waiting.discard(future)

    def _run(self) -> None:
        answer: _Answer
        try:
            answer = (self._call(), None)
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits
            answer = (None, error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._returned, answer)

    def _returned(self, answer: _Answer) -> None:
        self._on_returned()
        value, error = answer
        for future in self._waiting:
            if not future.done():
                if error is None:
                    future.set_result(value)
                else:
                    future.set_exception(error)
