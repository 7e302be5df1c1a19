"""The journal's file: its tables, writing them in batches, and keeping it within its age and size. SQLite, in WAL mode.

What a table holds:
- `runs`: one row each time we started, with the version whose core decided.
- `decisions`: what happened, when, and what was decided on it; a long value is compressed (a BLOB instead of text).
- `gaps`: behind decision `seq` some are missing, and why; no replay crosses one.
- `checkpoints`: the whole world behind decision `seq`, in parts; where a replay begins, and can be compared.
- `edges`: the changes of state as they were told to readers; `audit`: who asked for what, and what was answered.
- `minutes`, `rosters`: what the probes of each minute said (`shelf.py`).
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from probe.history.attempt import Attempt
from probe.history.minutes import Minute
from probe.history.shelf import Shelf
from probe.lifecycle.encoding import (
    action_pieces,
    digest,
    encode_answer,
    event_pieces,
    snapshot,
    transition_pieces,
    world_pieces,
)
from probe.lifecycle.events import Drained, Event, Planned
from probe.lifecycle.report import EventReport
from probe.lifecycle.world import Decision, Refused, World

SCHEMA_VERSION = 1
APPLICATION_ID = 0x6C6F6F6B  # "look"; tells our files from other people's
LOCK_WAIT_S = 1.0  # for somebody else's lock, before the batch is tried again later
PLAIN_BYTES_MAX = 1024  # longer values are compressed
WAL_BYTES_MAX = 16 * 1024 * 1024
VACUUM_PAGES = 2000  # given back to the file system at once
AUDIT_ROWS_MAX = 100_000

SCHEMA = """
CREATE TABLE runs (run INTEGER PRIMARY KEY, time REAL NOT NULL, version TEXT NOT NULL);
CREATE TABLE decisions (seq INTEGER PRIMARY KEY, run INTEGER NOT NULL, time REAL NOT NULL, now REAL NOT NULL,
    event NOT NULL, actions NOT NULL, transitions NOT NULL, answer TEXT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE gaps (id INTEGER PRIMARY KEY, seq INTEGER NOT NULL, run INTEGER NOT NULL, time REAL NOT NULL,
    missed INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TABLE checkpoints (seq INTEGER NOT NULL, run INTEGER NOT NULL, part INTEGER NOT NULL, time REAL NOT NULL,
    data BLOB NOT NULL, PRIMARY KEY (seq, run, part));
CREATE TABLE edges (run INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL, id TEXT NOT NULL,
    kind TEXT NOT NULL, "from" TEXT NOT NULL, "to" TEXT NOT NULL, reason TEXT NOT NULL, evidence TEXT NOT NULL,
    root_cause TEXT, trigger TEXT NOT NULL, operation INTEGER, PRIMARY KEY (run, seq));
CREATE INDEX edges_by_id ON edges (id, time);
CREATE TABLE audit (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL, time REAL NOT NULL,
    who TEXT NOT NULL, verb TEXT NOT NULL, target TEXT NOT NULL, granted INTEGER NOT NULL, answer TEXT NOT NULL);
"""


_NEWEST = (  # after a pruning, any of them may have the last number
    "SELECT coalesce(max(seq), 0) FROM decisions",
    "SELECT coalesce(max(seq), 0) FROM checkpoints",
    "SELECT coalesce(max(seq), 0) FROM gaps",
)


@dataclass(frozen=True, slots=True)
class Decided:
    """One decision, to be written."""

    time: float  # wall clock
    now: float
    event: Event
    decision: Decision


@dataclass(frozen=True, slots=True)
class Missed:
    """So many decisions are not in the journal."""

    time: float
    count: int
    why: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The world behind the decision that was written last."""

    time: float
    taken: Decision


@dataclass(frozen=True, slots=True)
class Retention:
    """How much is kept; the newest checkpoint and what follows it always is."""

    bytes_max: int
    age_max_s: float


Entry = Decided | Missed | Checkpoint | EventReport | Minute | Attempt


class Storage:
    """An open journal file. Every method blocks, and raises sqlite3.Error; only one thread may use it."""

    def __init__(self, path: str, version: str, time: float, *, first: bool) -> None:
        """Open or make the file and begin a run. `first`: what comes is the run from its beginning, an empty world."""
        self._database = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            self._prepare()
            with self._transaction():
                self._shelf = Shelf(self._database)
                self._seq = max(map(self._one, _NEWEST))
                run = self._database.execute(
                    "INSERT INTO runs (time, version) VALUES (?, ?)", (time, version)
                ).lastrowid
                self._run: int = run or 0
                begun = Checkpoint(time, snapshot(World())) if first else Missed(time, 0, "the file was opened anew")
                self._write_one(begun)
        except BaseException:
            self._database.close()
            raise

    def __repr__(self) -> str:
        return f"<Storage run={self._run} seq={self._seq}>"

    def write(self, entries: Iterable[Entry]) -> int:
        """Write a batch whole or not at all. Returns how many rows that made."""
        before, seq = self._database.total_changes, self._seq
        try:
            with self._transaction():
                for entry in entries:
                    self._write_one(entry)
        except BaseException:
            self._seq = seq
            self._shelf.forget_roster()
            raise
        return self._database.total_changes - before

    def prune(self, retention: Retention, time: float) -> None:
        """Drop the oldest decisions, from checkpoint to checkpoint, until what is left fits."""
        while (cut := self._cut(retention, time)) is not None:
            seq, run, until = cut
            with self._transaction():
                execute = self._database.execute
                execute("DELETE FROM decisions WHERE seq <= ?", (seq,))
                execute("DELETE FROM gaps WHERE seq < ?", (seq,))
                execute("DELETE FROM checkpoints WHERE (seq, run) < (?, ?)", (seq, run))
                self._drop_edges(until)
                execute("DELETE FROM runs WHERE run < ? AND run NOT IN (SELECT run FROM edges)", (run,))
            self._database.execute(f"PRAGMA incremental_vacuum({VACUUM_PAGES})").fetchall()
        with self._transaction():
            newest = self._one("SELECT coalesce(max(id), 0) FROM audit")
            oldest = time - retention.age_max_s
            self._database.execute("DELETE FROM audit WHERE time < ? OR id <= ?", (oldest, newest - AUDIT_ROWS_MAX))
            self._drop_edges(oldest)
            self._shelf.prune(retention.bytes_max, time, oldest)

    def _drop_edges(self, until: float) -> None:
        """Drop the edges of before; of a run that goes on behind it, the last of each resource says how it stood."""
        self._database.execute(
            "DELETE FROM edges WHERE time < ?1 AND (run < (SELECT coalesce(max(run), 0) FROM runs WHERE time < ?1)"
            " OR (run, seq) NOT IN (SELECT run, max(seq) FROM edges WHERE time < ?1 GROUP BY run, id, kind))",
            (until,),
        )

    @property
    def bytes_used(self) -> int:
        """Return how large what is kept is; pages that were freed are used again."""
        pages = self._one("PRAGMA page_count") - self._one("PRAGMA freelist_count")
        return pages * self._one("PRAGMA page_size")

    def close(self) -> None:
        """Close the file; the log is folded into it."""
        self._database.close()

    def _prepare(self) -> None:
        execute = self._database.execute
        version, application = self._one("PRAGMA user_version"), self._one("PRAGMA application_id")
        if not version and not self._one("SELECT count(*) FROM sqlite_master"):
            execute("PRAGMA auto_vacuum = INCREMENTAL")
            self._database.executescript(
                f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA application_id = {APPLICATION_ID};"
                f" PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
            )
        elif (version, application) != (SCHEMA_VERSION, APPLICATION_ID):
            raise sqlite3.DatabaseError("this is not a journal of this version of looksalive")
        execute("PRAGMA journal_mode = WAL").fetchall()
        execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last moments, never the file
        execute(f"PRAGMA journal_size_limit = {WAL_BYTES_MAX}").fetchall()

    def _transaction(self) -> _Transaction:
        return _Transaction(self._database)

    def _one(self, query: str) -> int:
        value: int = self._database.execute(query).fetchone()[0]
        return value

    def _write_one(self, entry: Entry) -> None:
        if isinstance(entry, Decided):
            self._write_decision(entry)
        elif isinstance(entry, Checkpoint):
            self._write_checkpoint(entry)
        elif isinstance(entry, Missed):
            self._database.execute(
                "INSERT INTO gaps (seq, run, time, missed, why) VALUES (?, ?, ?, ?, ?)",
                (self._seq, self._run, entry.time, entry.count, entry.why),
            )
        elif isinstance(entry, Minute):
            self._shelf.write(self._run, entry)
        elif isinstance(entry, Attempt):
            told = (entry.who, entry.verb, entry.target, entry.granted, entry.answer)
            self._write_audit(entry.time, told)
        else:
            self._write_edge(entry)

    def _write_decision(self, entry: Decided) -> None:
        decision = entry.decision
        self._seq += 1
        self._database.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._seq,
                self._run,
                entry.time,
                entry.now,
                _packed(event_pieces(entry.event)),
                _packed(action_pieces(decision.actions)),
                _packed(transition_pieces(decision.transitions)),
                encode_answer(decision).decode(),
                digest(decision),
            ),
        )
        asked = _asked(entry.event)
        if asked is not None:
            refused = decision.answer if isinstance(decision.answer, Refused) else None
            answer = "" if decision.answer is None else str(decision.answer)
            answer = answer if refused is None else f"{refused.code}: {refused.message}"
            self._write_audit(entry.time, (*asked, refused is None, answer))

    def _write_audit(self, time: float, told: tuple[str | bool, ...]) -> None:
        self._database.execute(
            "INSERT INTO audit (run, seq, time, who, verb, target, granted, answer) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self._run, self._seq, time, *told),
        )

    def _write_checkpoint(self, entry: Checkpoint) -> None:
        """Write the world part by part; the pieces are small, so that the interpreter is never held for long."""
        for part, piece in enumerate(world_pieces(entry.taken)):
            self._database.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?)",
                (self._seq, self._run, part, entry.time, zlib.compress(piece, 1)),
            )

    def _write_edge(self, edge: EventReport) -> None:
        self._database.execute(
            "INSERT INTO edges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self._run,
                edge.seq,
                edge.time,
                edge.id,
                edge.kind,
                str(edge.from_),
                str(edge.to),
                str(edge.reason),
                edge.evidence,
                edge.root_cause,
                str(edge.trigger),
                edge.operation,
            ),
        )

    def _cut(self, retention: Retention, time: float) -> tuple[int, int, float] | None:
        """Find the second oldest checkpoint where what is older is too old, or too much."""
        found = self._database.execute(
            "SELECT seq, run, min(time) FROM checkpoints GROUP BY seq, run ORDER BY seq, run LIMIT 2"
        ).fetchall()
        if len(found) < 2:
            return None
        seq, run, until = found[1]
        too_old = until < time - retention.age_max_s
        return (seq, run, until) if too_old or self.bytes_used > retention.bytes_max else None


class _Transaction:
    """All or nothing; what cannot be taken back (the disk is gone) is raised as it is."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._database.execute("COMMIT")
        elif self._database.in_transaction:
            self._database.execute("ROLLBACK")


def _asked(event: Event) -> tuple[str, str, str] | None:
    """Say who asked for what, and of whom, where an event is an operator's: those that say by whom, and two more."""
    who = next((getattr(event, name) for name in ("by", "owner") if hasattr(event, name)), None)
    if who is None and not isinstance(event, Planned | Drained):
        return None
    verb = str(getattr(event, "verb", type(event).__name__.lower()))
    if hasattr(event, "on"):
        verb += " on" if event.on else " off"
    return who or "", verb, str(getattr(event, "target", getattr(event, "group", "")))


def _packed(pieces: Iterator[bytes]) -> str | bytes:
    """Join what is short as text, compress what is long, holding little of it at once."""
    begun = b""
    for piece in pieces:
        begun += piece
        if len(begun) > PLAIN_BYTES_MAX:
            squeeze = zlib.compressobj(1)
            parts = [squeeze.compress(begun), *(squeeze.compress(rest) for rest in pieces)]
            return b"".join([*parts, squeeze.flush()])
    return begun.decode()
