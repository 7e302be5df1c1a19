"""The workers of online and offline (S50, S51, S55): one task a resource at most, supervised by the core's due times.

An operation returns at once; its worker posts the answer. A worker that was cancelled answers too, as failed, so that
the core always learns when it has returned. The next operation on a resource waits for the previous worker's end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from probe.controllers.contract import ControllerError
from probe.lifecycle.events import OperationFailed, Started, Stopped, Upgraded
from probe.values import OpId, Reason, ResourceId, Verdict, evidence_of

Work = Coroutine[object, object, Verdict | None]
Spawn = Callable[[Work], asyncio.Task[Verdict | None]]
Answer = Started | Stopped | Upgraded | OperationFailed

_log = logging.getLogger(__name__)


class Workers:
    """Runs the controllers' operations and posts how each ended."""

    def __init__(self, spawn: Spawn, post: Callable[[Answer], None]) -> None:
        self._spawn = spawn
        self._post = post
        self._running: dict[ResourceId, dict[OpId, asyncio.Task[Verdict | None]]] = {}

    def begin(
        self, success: Started | Stopped | Upgraded, operation: Callable[[], Coroutine[object, object, None]]
    ) -> None:
        """Run `operation` once every earlier worker of the resource has ended, then post `success` or the failure."""
        running = self._running.setdefault(success.id, {})
        task = self._spawn(self._work(success.id, operation, tuple(running.values())))
        running[success.op] = task
        task.add_done_callback(lambda done: self._ended(success, done))

    def cancel(self, id: ResourceId, op: OpId) -> None:
        """Ask the worker of `op` to give up; nothing if it has returned."""
        task = self._running.get(id, {}).get(op)
        if task is not None:
            task.cancel()

    def cancel_all(self) -> None:
        """Ask every worker to give up: we end."""
        for running in self._running.values():
            for task in running.values():
                task.cancel()

    @property
    def count(self) -> int:
        """How many workers have not returned."""
        return sum(len(running) for running in self._running.values())

    async def _work(
        self,
        id: ResourceId,
        operation: Callable[[], Coroutine[object, object, None]],
        earlier: tuple[asyncio.Task[Verdict | None], ...],
    ) -> Verdict | None:
        try:
            if earlier:  # also one before the last: that one may have been called off while it waited itself
                await asyncio.wait(earlier)
            await operation()
        except ControllerError as error:
            return error.verdict
        except Exception as error:  # noqa: BLE001 - a controller's bug must not take the service down
            _log.exception("the controller of %s failed in a way it should not", id)
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(f"{type(error).__name__}: {error}"))
        return None

    def _ended(self, success: Started | Stopped | Upgraded, task: asyncio.Task[Verdict | None]) -> None:
        running = self._running[success.id]
        del running[success.op]
        if not running:
            del self._running[success.id]
        # A task cancelled before its first step never entered its coroutine: only this callback sees that one.
        verdict = Verdict(Reason.PROBE_INTERNAL, "cancelled") if task.cancelled() else task.result()
        self._post(success if verdict is None else OperationFailed(success.id, success.op, verdict))
