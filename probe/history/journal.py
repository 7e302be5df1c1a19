"""The journal as the event loop sees it: a note of every decision costs an append; one thread does the writing.

1. Nothing here ever waits for the disk on the loop. What cannot be taken is dropped and counted, and the journal says
   that there is a gap; behind one comes a new checkpoint.
2. A batch that cannot be written is kept and tried again; meanwhile the queue fills, and then rule 1 holds.
3. A file that is no journal, or a broken one, is set aside under a name with its date, and a new one begun.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime

from bindings.store import Files
from probe.environment import Clock
from probe.history.attempt import Attempt
from probe.history.minutes import Minute
from probe.history.storage import Checkpoint, Decided, Entry, Missed, Retention, Storage
from probe.lifecycle.encoding import snapshot
from probe.lifecycle.events import Event
from probe.lifecycle.report import EventReport
from probe.lifecycle.world import Decision, World
from probe.metrics import Metrics

ENTRIES_MAX = 10_000  # waiting to be written
BATCH_ENTRIES_MAX = 500
BATCH_S = 0.05  # how long a batch is gathered
RETRY_S = 2.0
PRUNE_S = 600.0  # how often what is too old is looked for; what is too much is, at every checkpoint
CLOSE_S = 1.0  # how long the end waits for what is still to be written
DECISIONS_PER_CHECKPOINT = 1000  # at least; and as many as there are resources, so that it costs a row each at most

_log = logging.getLogger("looksalive.history")


class Journal:
    """Takes what was decided, in order; `note` and `offer` are for the loop, the rest happens in a thread."""

    def __init__(
        self,
        path: str,
        files: Files,
        clock: Clock,
        metrics: Metrics,
        retention: Retention,
        *,
        version: str,
        retry_s: float = RETRY_S,
    ) -> None:
        self.path = path
        self._files = files
        self._clock = clock
        self._metrics = metrics
        self._retention = retention
        self._version = version
        self._retry_s = retry_s
        self.waiting: deque[Entry] = deque()  # to be written
        self._missed = 0
        self._since_checkpoint = 0
        self._checkpoint_wanted = False  # set by the thread too: it began a file that has none
        self._checkpoint_waits = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._storage: Storage | None = None
        self._failing = ""
        self._stuck = ""  # why a broken file stays where it is
        self._first = True  # the file has nothing of this run yet
        self._pruned_at = 0.0
        self._bytes_kept = 0
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)

    def __repr__(self) -> str:
        return (
            f"<Journal {self.path} {len(self.waiting)} entries wait{' (' + self._failing + ')' * bool(self._failing)}>"
        )

    # --- on the loop ---

    def start(self) -> None:
        """Begin to write. What was noted before is not lost."""
        self._thread.start()

    def note(self, world: World, event: Event, now: float, decision: Decision) -> None:
        """Take a decision that `world` has taken over already."""
        if not self._put(Decided(self._clock.wall(), now, event, decision), decisions=1):
            return
        self._since_checkpoint += 1
        enough = self._since_checkpoint >= max(DECISIONS_PER_CHECKPOINT, len(world.records))
        if (enough or self._checkpoint_wanted) and not self._checkpoint_waits:
            self._checkpoint_waits, self._checkpoint_wanted, self._since_checkpoint = True, False, 0
            self.waiting.append(Checkpoint(self._clock.wall(), snapshot(world)))

    def offer(self, edge: EventReport) -> None:
        """Take an edge as readers are told it."""
        self._put(edge)

    def audit(self, attempt: Attempt) -> None:
        """Take what was asked of us and is no decision."""
        self._put(replace(attempt, time=self._clock.wall()))

    def keep(self, minute: Minute) -> None:
        """Take what the probes of a minute said."""
        self._put(minute)

    async def close(self) -> None:
        """Write what waits, within `CLOSE_S`, and end."""
        self._closing.set()
        self._wake.set()
        until = self._clock.now() + CLOSE_S
        while self._thread.is_alive() and self._clock.now() < until:
            await self._clock.sleep(BATCH_S / 5)
        if self._thread.is_alive():
            _log.warning("the history could not be written to its end within %g s", CLOSE_S)

    def _put(self, entry: Entry, decisions: int = 0) -> bool:
        if len(self.waiting) >= ENTRIES_MAX:
            self._missed += decisions
            self._metrics.history_dropped_total += 1
            return False
        if self._missed and decisions:
            self.waiting.append(Missed(self._clock.wall(), self._missed, "the disk was too slow"))
            self._missed, self._checkpoint_wanted = 0, True
        self.waiting.append(entry)
        if not self._wake.is_set():
            self._wake.set()
        return True

    # --- in the thread ---

    def _run(self) -> None:
        while True:
            self._wake.wait(PRUNE_S)
            self._wake.clear()
            last = self._closing.wait(BATCH_S)  # more may come; then nothing more will
            while batch := self._take():
                while not self._write(batch):
                    if last or self._closing.wait(self._retry_s):
                        self._end()
                        return
                self._keep_small(any(isinstance(entry, Checkpoint) for entry in batch))
            if last:
                self._end()
                return

    def _take(self) -> list[Entry]:
        count = min(len(self.waiting), BATCH_ENTRIES_MAX)
        return [self.waiting.popleft() for _ in range(count)]

    def _write(self, batch: list[Entry]) -> bool:
        """Write a batch, opening the file if need be. Returns whether that is done."""
        try:
            if self._storage is None:
                self._storage = Storage(self.path, self._version, self._clock.wall(), first=self._first)
                self._checkpoint_wanted |= not self._first
                self._first = False
            self._metrics.history_written_total += self._storage.write(batch)
        except sqlite3.Error as error:
            self._give_up(error)
            if _is_broken(error):
                self._set_aside(error)
            return False
        except Exception as error:  # noqa: BLE001 - an entry that cannot be written costs its batch, never the service
            _log.exception("a mistake in looksalive: %d entries of the history are lost", len(batch))
            batch[:] = [Missed(self._clock.wall(), len(batch), f"a mistake in looksalive: {type(error).__name__}")]
            self._checkpoint_waits, self._checkpoint_wanted = False, True
            return False
        if self._failing:
            self._failing = ""
            self._metrics.history_failing = False
            _log.warning("the history is written again")
        return True

    def _give_up(self, error: sqlite3.Error) -> None:
        """Tell a failure once, count it always, and open the file anew the next time."""
        text = str(error)
        self._metrics.history_errors_total += 1
        self._metrics.history_failing = True
        if not self._failing:
            _log.error("the history cannot be written to %s: %s; services are watched as ever", self.path, text)
        self._failing = text
        if self._storage is not None and not _is_passing(error):
            self._end()

    def _set_aside(self, error: sqlite3.Error) -> None:
        """Keep a file that is no journal under another name; the next try makes a new one."""
        at = datetime.fromtimestamp(self._clock.wall(), UTC).strftime("%Y%m%dT%H%M%S")
        kept = f"{self.path}.unreadable-{at}"
        for suffix in ("", "-wal", "-shm"):
            try:
                self._files.rename(self.path + suffix, kept + suffix)
            except FileNotFoundError:
                continue
            except OSError as problem:
                if str(problem) != self._stuck:  # it is tried again and again
                    _log.error("the history cannot be set aside: %s", problem)
                self._stuck = str(problem)
                return
        _log.error("the history could not be read (%s); it is kept as %s, and a new one is begun", error, kept)

    def _keep_small(self, checkpoint_written: bool) -> None:
        """Drop what is too old or too much; that goes from checkpoint to checkpoint, so one may have to be made."""
        if checkpoint_written:
            self._checkpoint_waits = False
        wall, storage = self._clock.wall(), self._storage
        if storage is None:
            return
        try:
            if checkpoint_written or wall - self._pruned_at > PRUNE_S:
                storage.prune(self._retention, wall)
                self._pruned_at, self._bytes_kept = wall, storage.bytes_used
            elif storage.bytes_used > max(self._retention.bytes_max, 2 * self._bytes_kept):
                self._checkpoint_wanted = True
        except sqlite3.Error as error:
            self._give_up(error)

    def _end(self) -> None:
        try:
            if self._storage is not None:
                self._storage.close()
        except sqlite3.Error as error:
            _log.warning("the history was not closed in order: %s", error)
        self._storage = None


def _is_broken(error: sqlite3.Error) -> bool:
    """Whether the file is no database, not ours, or damaged; anything else may pass."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return type(error) is sqlite3.DatabaseError  # our own word: a journal of another version
    if code == sqlite3.SQLITE_READONLY:  # its head says so: of a later format, or damaged; or we may not write it
        return True
    return code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _is_passing(error: sqlite3.Error) -> bool:
    """Whether the open file is as good as before: locked by another program, or the disk is full for now."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
