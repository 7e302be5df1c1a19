"""A connection that services share: made at the first use, closed with the last, made again when it was lost (S49).

One task keeps it while anybody holds it. An attempt that fails is repeated with a growing, bounded pause; whoever waits
for the connection hastens the next attempt and hears how it ended.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable, Coroutine, Hashable, Iterator
from contextlib import contextmanager

from probe.controllers.contract import Spawn
from probe.environment import Clock
from probe.values import Reason

UP_WITHIN_S = 5.0  # a peer that accepts and then says nothing is no peer
PAUSE_FIRST_S = 0.1
PAUSE_MAX_S = 10.0
STEADY_AFTER_S = 10.0  # a connection that lasted so long begins with the first pause again

_OURS = {
    errno.EMFILE: Reason.PROBER_DESCRIPTORS,
    errno.ENFILE: Reason.PROBER_DESCRIPTORS,
    errno.EACCES: Reason.PROBER_FORBIDDEN,
    errno.EPERM: Reason.PROBER_FORBIDDEN,
}

Follow = Callable[[Callable[[], None]], Coroutine[object, object, None]]

_log = logging.getLogger(__name__)


class LinkError(Exception):
    """The other side cannot be reached, or went away. That is never the fault of a service: the reason is ours."""

    def __init__(self, message: str, reason: Reason = Reason.PROBE_INTERNAL) -> None:
        super().__init__(message)
        self.reason = reason


def link_error(error: OSError, what: str) -> LinkError:
    """Say what could not be reached and why."""
    return LinkError(f"{what}: {error.strerror or error}", _OURS.get(error.errno or 0, Reason.PROBE_INTERNAL))


class Link:
    """One shared connection. `follow(up)` makes it, calls `up`, and returns or raises when it is lost; it is cancelled
    when nobody holds the connection any more.
    """

    def __init__(self, name: str, clock: Clock, spawn: Spawn, follow: Follow) -> None:
        self.name = name
        self._clock = clock
        self._spawn = spawn
        self._follow = follow
        self._holders: dict[Hashable, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._up_since: float | None = None
        self._again = asyncio.Event()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def is_up(self) -> bool:
        """Whether the connection stands."""
        return self._up_since is not None

    @property
    def held(self) -> bool:
        """Whether anybody holds it."""
        return bool(self._holders)

    def hold(self, holder: Hashable) -> None:
        """Keep the connection for `holder`, once more."""
        self._holders[holder] = self._holders.get(holder, 0) + 1
        if self._task is None:
            self._task = self._spawn(self._keep())

    def drop(self, holder: Hashable) -> None:
        """Keep it no longer for `holder`; the last one closes it."""
        count = self._holders.pop(holder, 0)
        if count > 1:
            self._holders[holder] = count - 1
        if not self._holders:
            self.close()

    @contextmanager
    def using(self) -> Iterator[None]:
        """Keep it for the length of an operation, which also gives it back when it fails half-way (S49)."""
        operation = object()
        self.hold(operation)
        try:
            yield
        finally:
            self.drop(operation)

    async def ready(self) -> None:
        """Return when the connection stands. Raises LinkError when the next attempt fails."""
        if self.is_up:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        self._again.set()
        try:
            await future
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """Close it whoever holds it. Idempotent."""
        self._holders.clear()
        self._went(LinkError(f"{self.name}: closed"))
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _keep(self) -> None:
        try:
            await self._try_for_ever()
        finally:  # cancelled: by us, or with everything that runs in the background
            if self._task is asyncio.current_task():
                self.close()

    async def _try_for_ever(self) -> None:
        pause_s = PAUSE_FIRST_S
        while True:
            error = await self._attempt()
            since = self._up_since
            self._went(error)
            self._again.clear()
            if since is not None:
                _log.warning("%s; trying again", error)
                if self._clock.now() - since >= STEADY_AFTER_S:
                    pause_s = PAUSE_FIRST_S
            timer = self._clock.call_at(self._clock.now() + pause_s, self._again.set)
            await self._again.wait()
            timer.cancel()
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _attempt(self) -> LinkError:
        try:
            async with asyncio.timeout(UP_WITHIN_S) as bound:

                def up() -> None:
                    bound.reschedule(None)
                    self._up_since = self._clock.now()
                    self._tell(None)

                await self._follow(up)
        except LinkError as error:
            return error
        except TimeoutError:
            return LinkError(f"{self.name}: no answer within {UP_WITHIN_S:g} s")
        except OSError as error:
            return link_error(error, self.name)
        except Exception as error:  # noqa: BLE001 - a bug of one controller must not take the service down
            _log.exception("%s failed in a way it should not", self.name)
            return LinkError(f"{self.name}: {type(error).__name__}: {error}")
        return LinkError(f"{self.name}: the connection was closed by the other side")

    def _went(self, error: LinkError) -> None:
        self._up_since = None
        self._tell(error)

    def _tell(self, error: LinkError | None) -> None:
        for future in self._waiting:
            if not future.done():
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)
        self._waiting.clear()
