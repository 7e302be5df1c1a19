"""Changes of the store that came over the network: planned and written in a thread, then read again at once.

What goes must be offline (S19), which only we know: it is looked up between the plan and the write. Nothing can come
online in between but by a verb, and a resource that is gone from the store is taken offline like any that is removed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from bindings.errors import RevisionConflict, StoreBusy, StoreError, StoreWriteFailed, WriteRefused
from probe.directory.changes import Changes, Done
from probe.directory.contract import DirectoryError
from probe.lifecycle.report import Refusal
from probe.resources.changes import Change, Present, Refused
from probe.resources.deletion import offline_needed
from probe.values import ResourceId, State

Plan = Callable[[Present], Change]
_NOT_FOUND = ("no_such_resource", "no_such_group", "no_such_key", "no_such_type")
_log = logging.getLogger(__name__)


class StoreChanges:
    """One change at a time; other programs are kept apart by the store's own lock and revisions."""

    def __init__(
        self, changes: Changes, state_of: Callable[[ResourceId], State | None], reload: Callable[[], None]
    ) -> None:
        self._changes = changes
        self._state_of = state_of
        self._reload = reload
        self._one = asyncio.Lock()

    async def carry_out(self, plan: Plan, by: str) -> tuple[Change, Done]:
        """Plan, look whether what goes is offline, and write. Raises Refusal."""
        async with self._one:
            try:
                change = await asyncio.to_thread(self._plan, plan)
                self._refuse_running(change)
                done = await asyncio.to_thread(self._changes.carry_out, change)
            except Refused as refused:
                raise Refusal(_status_of(refused), refused.code, refused.message) from None
            except StoreError as error:
                raise Refusal(422, "bad_store", f"nothing was written: {'; '.join(map(str, error.problems))}") from None
            except WriteRefused as error:
                unable = isinstance(error, StoreBusy | StoreWriteFailed)
                status = 412 if isinstance(error, RevisionConflict) else 503 if unable else 409
                raise Refusal(status, error.code, str(error)) from None
            except DirectoryError as error:
                raise Refusal(503, "directory", f"nothing was written: {error}") from None
        if done.changed:
            _log.info("the store was changed (by %s): %s", by or "nobody", ", ".join(map(str, change.ids)) or "a key")
            self._reload()
        return change, done

    def _plan(self, plan: Plan) -> Change:
        self._changes.finish()
        return plan(self._changes.read())

    def _refuse_running(self, change: Change) -> None:
        states = {id: self._state_of(id) for id in offline_needed(change)}
        running = [f"{id} is {state}" for id, state in states.items() if state not in (None, State.OFFLINE)]
        if running:
            raise Refused(
                "not_offline", f"{', '.join(running)}; take it offline first (POST .../offline), then delete it"
            )


def _status_of(refused: Refused) -> int:
    if refused.code in _NOT_FOUND:
        return 404
    return 403 if refused.code == "only_on_the_store" else 409
