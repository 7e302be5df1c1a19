"""The minutes in the journal's file: a row a minute, its table of numbers compressed; the names beside it, once.

A row outlives its numbers: that there is one says that we ran then, which is what availability is counted over.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator

import msgspec

from probe.history.minutes import MINUTES_MAX, ROW, Minute, Roster

ROSTERS_MAX = 1000  # how often somebody may have come or gone
DATA_BYTES_MAX = 32 * 1024 * 1024  # of numbers
DATA_SHARE = 8  # ... and at most so large a part of what the whole file may be
ROSTER_BYTES_MAX = 16 * 1024 * 1024  # of names, when read
ROWS_BYTES_MAX = 4 * 1024 * 1024

# beside the journal's own tables; a file without them is good
ROSTERS = "CREATE TABLE IF NOT EXISTS rosters (roster INTEGER PRIMARY KEY, ids BLOB NOT NULL)"
MINUTES = (
    "CREATE TABLE IF NOT EXISTS minutes (start INTEGER NOT NULL, run INTEGER NOT NULL, roster INTEGER NOT NULL,"
    " data BLOB NOT NULL, PRIMARY KEY (start, run))"
)


class Shelf:
    """Writes minutes into an open file, within a transaction of its owner's."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._roster: Roster | None = None
        self._number = 0
        database.execute(ROSTERS)
        database.execute(MINUTES)

    def write(self, run: int, minute: Minute) -> None:
        """Write one minute, and its roster when that is a new one."""
        execute = self._database.execute
        if minute.roster is not self._roster:
            ids = zlib.compress(msgspec.json.encode(minute.roster.ids), 1)
            self._number = execute("INSERT INTO rosters (ids) VALUES (?)", (ids,)).lastrowid or 0
            self._roster = minute.roster
        data = zlib.compress(minute.rows, 1)
        execute("INSERT OR REPLACE INTO minutes VALUES (?, ?, ?, ?)", (minute.start, run, self._number, data))

    def forget_roster(self) -> None:
        """Write the roster anew the next time: its transaction was taken back."""
        self._roster = None

    def prune(self, bytes_max: int, time: float, oldest: float) -> None:
        """Drop numbers that are too old or too much, and rows of before `oldest`."""
        execute = self._database.execute
        execute("DELETE FROM minutes WHERE start < ?", (oldest,))
        execute("UPDATE minutes SET data = x'' WHERE start < ? AND data <> x''", (time - MINUTES_MAX * 60,))
        room = min(DATA_BYTES_MAX, bytes_max // DATA_SHARE)
        for start, size in execute("SELECT start, length(data) FROM minutes WHERE data <> x'' ORDER BY start DESC"):
            room -= size
            if room < 0:
                execute("UPDATE minutes SET data = x'' WHERE start <= ? AND data <> x''", (start,))
                break
        newest = execute("SELECT coalesce(max(roster), 0) FROM rosters").fetchone()[0]
        execute("DELETE FROM minutes WHERE roster <= ?", (newest - ROSTERS_MAX,))
        execute("DELETE FROM rosters WHERE roster <> ? AND roster NOT IN (SELECT roster FROM minutes)", (self._number,))


def has_minutes(database: sqlite3.Connection) -> bool:
    """Whether the file has the tables of minutes. Raises sqlite3.Error."""
    found = database.execute("SELECT count(*) FROM sqlite_master WHERE name IN ('minutes', 'rosters')").fetchone()
    return bool(found[0] == 2)


def read_minutes(database: sqlite3.Connection, since: float) -> Iterator[Minute]:
    """Read the minutes whose numbers are still there, oldest first. Raises sqlite3.Error, ValueError (damaged)."""
    rosters: dict[int, Roster] = {}
    rows = database.execute(
        "SELECT start, roster, data FROM minutes WHERE start >= ? AND data <> x'' ORDER BY start LIMIT ?",
        (since, MINUTES_MAX),
    )
    for start, number, data in rows:
        roster = rosters.get(number)
        if roster is None:
            roster = rosters[number] = Roster.of(read_roster(database, number))
        packed = _unpacked(data, ROWS_BYTES_MAX)
        if isinstance(start, int) and len(packed) == ROW.size * len(roster.ids):
            yield Minute(start, roster, packed)


def read_roster(database: sqlite3.Connection, number: int) -> tuple[str, ...]:
    """Read who was there. Raises sqlite3.Error, ValueError."""
    found = database.execute("SELECT ids FROM rosters WHERE roster = ?", (number,)).fetchone()
    if found is None:
        return ()
    ids: tuple[str, ...] = msgspec.json.decode(_unpacked(found[0], ROSTER_BYTES_MAX), type=tuple[str, ...])
    return ids


def _unpacked(value: object, bytes_max: int) -> bytes:
    if not isinstance(value, bytes):
        raise ValueError("the history holds something else where numbers belong")  # noqa: TRY004 - of a file, not a call
    loosen = zlib.decompressobj()
    try:
        raw = loosen.decompress(value, bytes_max)
    except zlib.error as error:
        raise ValueError(f"the history is damaged: {error}") from None
    if not loosen.eof:
        raise ValueError(f"the history is cut off, or holds more than {bytes_max} bytes in a place")
    return raw
