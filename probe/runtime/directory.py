"""The directory beside the running service: told what it still lacks (S72), and compared with the store once a minute
(S73). What differs is shown and counted; nothing is done about it here."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from bindings.errors import StoreError
from bindings.model import Store
from probe.directory.contract import Directory, DirectoryError
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.mending import Looks
from probe.directory.pending import Pending
from probe.directory.report import DirectoryReport
from probe.environment import Environment
from probe.metrics import Metrics

LOOK_INTERVAL_S = 60.0
RESOURCES_COUNTED_MAX = 1000  # with a series each; the directory's ids are another tool's text

_log = logging.getLogger(__name__)


class DirectoryWatch:
    """Looks once a minute, in a thread. There is no report while there is no directory: nobody has to have one."""

    def __init__(
        self,
        environment: Environment,
        metrics: Metrics,
        directory: Directory,
        state_path: str,
        *,
        in_force: Callable[[], Store],  # the store as we go by it
        load: Callable[[], Store],  # as it is written now, for what was noted while it was; called in the thread
        on_change: Callable[[], None],
    ) -> None:
        self.report: DirectoryReport | None = None
        self._environment = environment
        self._metrics = metrics
        self._directory = directory
        self._pending = Pending(environment.files, state_path)
        self._looks = Looks(environment.files, state_path)
        self._in_force = in_force
        self._load = load
        self._on_change = on_change

    async def follow(self) -> None:
        """Look for ever."""
        while True:
            await self.look()
            await self._environment.clock.sleep(LOOK_INTERVAL_S)

    async def look(self) -> None:
        """Look once. A look that has not returned is waited for: there are never two."""
        store, before = self._in_force(), self.report
        try:
            report = await self._environment.threads.run("directory", lambda: self._look(store, before))
        except Exception:  # noqa: BLE001 - whatever goes wrong with a directory, the service goes on
            _log.exception("the directory could not be looked at")
            return
        if report == before:
            return
        self.report = report
        self._count(report)
        self._tell(before, report)
        self._on_change()

    def _look(self, store: Store, before: DirectoryReport | None) -> DirectoryReport | None:
        """Bring up to date what is noted, then compare; in a thread."""
        directory = self._directory
        report = replace(before or DirectoryReport(""), place=directory.place, error="")
        try:
            if isinstance(directory, EmbeddedDirectory) and not directory.exists and not self._pending.ids():
                return None
            report = replace(report, pending=True)
            self._pending.settle(directory, self._load)
            report = replace(report, pending=False)
            now = self._environment.clock.wall()
            return replace(report, differences=self._looks.look(directory, store, now))
        except DirectoryError as error:
            return replace(report, error=str(error))
        except StoreError:
            why = "the store has mistakes (`looksalive validate` lists them): what is pending has to wait"
            return replace(report, error=why)

    def _count(self, report: DirectoryReport | None) -> None:
        differing = Counter(one.id for one in report.differences) if report else Counter()
        counted = dict(list(differing.items())[:RESOURCES_COUNTED_MAX])
        self._metrics.directory_looked(counted, bool(report and report.pending), bool(report and report.error))

    def _tell(self, before: DirectoryReport | None, report: DirectoryReport | None) -> None:
        """Log what has begun and what has ended, once each."""
        was, now = before or DirectoryReport(""), report or DirectoryReport("")
        if now.error and now.error != was.error:
            _log.warning("the directory is not as it should be: %s", now.error)
        elif was.error and not now.error:
            _log.info("the directory %s can be asked again", now.place)
        if now.differences and not was.differences:
            count = len(now.differences)
            _log.warning("the directory differs from the store in %d places; `looksalive drift` shows them", count)
        elif was.differences and not now.differences:
            _log.info("the directory no longer differs from the store")
