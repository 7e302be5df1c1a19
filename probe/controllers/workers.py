"""The workers of online and offline (S50, S51, S55): one task a resource at most, supervised by the core's due times.

An operation returns at once; its worker posts the answer. A worker that was cancelled answers too, as failed, so that
the core always learns when it has returned. The next operation on a resource waits for the previous worker's end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from probe.controllers.contract import ControllerError
from probe.lifecycle.events import OperationFailed, Started, Stopped
from probe.values import OpId, Reason, ResourceId, Verdict, evidence_of

Work = Coroutine[object, object, Verdict | None]
Spawn = Callable[[Work], asyncio.Task[Verdict | None]]
Answer = Started | Stopped | OperationFailed

_log = logging.getLogger(__name__)


class Workers:
    """Runs the controllers' operations and posts how each ended."""

    def __init__(self, spawn: Spawn, post: Callable[[Answer], None]) -> None:
        self._spawn = spawn
        self._post = post
        self._running: dict[ResourceId, tuple[OpId, asyncio.Task[Verdict | None]]] = {}

    def begin(self, success: Started | Stopped, operation: Callable[[], Coroutine[object, object, None]]) -> None:
        """Run `operation` once the resource's previous worker has ended, then post `success` or OperationFailed."""
        previous = self._running.get(success.id)
        task = self._spawn(self._work(success.id, operation, previous[1] if previous else None))
        self._running[success.id] = (success.op, task)
        task.add_done_callback(lambda done: self._ended(success, done))

    def cancel(self, id: ResourceId, op: OpId) -> None:
        """Ask the worker of `op` to give up; nothing if it has returned or another one has taken its place."""
        running = self._running.get(id)
        if running is not None and running[0] == op:
            running[1].cancel()

    def cancel_all(self) -> None:
        """Ask every worker to give up: we end."""
        for _, task in self._running.values():
            task.cancel()

    @property
    def count(self) -> int:
        """How many workers have not returned."""
        return len(self._running)

    async def _work(
        self,
        id: ResourceId,
        operation: Callable[[], Coroutine[object, object, None]],
        previous: asyncio.Task[Verdict | None] | None,
    ) -> Verdict | None:
        try:
            if previous is not None and not previous.done():
                await asyncio.wait([previous])
            await operation()
        except ControllerError as error:
            return error.verdict
        except Exception as error:  # noqa: BLE001 - a controller's bug must not take the service down
            _log.exception("the controller of %s failed in a way it should not", id)
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(f"{type(error).__name__}: {error}"))
        return None

    def _ended(self, success: Started | Stopped, task: asyncio.Task[Verdict | None]) -> None:
        if self._running.get(success.id, (None, None))[0] == success.op:
            del self._running[success.id]
        # A task cancelled before its first step never entered its coroutine: only this callback sees that one.
        verdict = Verdict(Reason.PROBE_INTERNAL, "cancelled") if task.cancelled() else task.result()
        self._post(success if verdict is None else OperationFailed(success.id, success.op, verdict))
