"""A journal file that is only read: of a running service, of one that was killed, or a copy of either.

What it says was written by anybody: every value is looked at before it is used, and what makes no sense is `Unusable`.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from probe.history.minutes import Minute
from probe.history.shelf import has_minutes, read_minutes
from probe.history.storage import APPLICATION_ID, LOCK_WAIT_S, SCHEMA_VERSION
from probe.lifecycle.actions import Action
from probe.lifecycle.encoding import (
    DOCUMENT_BYTES_MAX,
    Undecodable,
    decode_actions,
    decode_event,
    decode_transitions,
    decode_world,
)
from probe.lifecycle.events import Event
from probe.lifecycle.world import Transition, World

ROWS_PER_QUERY = 200  # between two queries the writer is not held up
ANSWER_CHARS_MAX = 10_000


class Unusable(Exception):
    """A file that cannot be replayed: no journal, of another version, or damaged; the text says where."""


@dataclass(frozen=True, slots=True)
class Row:
    """One recorded decision; what it wrote as bytes, for comparing."""

    seq: int
    run: int
    time: float
    now: float
    event: Event
    actions: bytes
    transitions: bytes
    answer: bytes
    digest: str

    def decode_actions(self) -> list[Action]:
        """Read the actions. Raises Unusable."""
        actions: list[Action] = _decoded(decode_actions, self.actions, f"decision {self.seq}")
        return actions

    def decode_transitions(self) -> list[Transition]:
        """Read the changes of state. Raises Unusable."""
        transitions: list[Transition] = _decoded(decode_transitions, self.transitions, f"decision {self.seq}")
        return transitions


@dataclass(frozen=True, slots=True)
class Mark:
    """Between two decisions, behind `seq`: a checkpoint, or a gap with what is known of it."""

    seq: int
    run: int
    time: float
    gap: str = ""  # empty: a checkpoint


class Recording:
    """An open journal. Methods raise Unusable."""

    def __init__(self, path: str) -> None:
        """Open a file. Raises Unusable, FileNotFoundError."""
        self.path = path
        self._database = open_read_only(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def versions(self) -> dict[int, str]:
        """Say which version of ours decided in each run."""
        return {
            _whole(run): _text(version) for run, version in self._rows("SELECT run, version FROM runs ORDER BY run")
        }

    def marks(self) -> list[Mark]:
        """List the checkpoints and gaps in their order; at one place, a checkpoint comes before a gap of its run."""
        checkpoints = self._rows("SELECT seq, run, min(time) FROM checkpoints GROUP BY seq, run")
        gaps = self._rows("SELECT seq, run, time, missed, why FROM gaps")
        found = [Mark(_whole(seq), _whole(run), _real(time)) for seq, run, time in checkpoints]
        for seq, run, time, missed, why in gaps:
            lost = f"{_whole(missed)} decisions are missing" if missed else "decisions may be missing"
            found.append(Mark(_whole(seq), _whole(run), _real(time), f"{lost}: {_text(why)}"))
        return sorted(found, key=lambda mark: (mark.seq, mark.run, bool(mark.gap)))

    def world(self, mark: Mark) -> World:
        """Read the world of a checkpoint."""
        parts = self._rows("SELECT data FROM checkpoints WHERE seq = ? AND run = ? ORDER BY part", (mark.seq, mark.run))
        try:
            return decode_world(_unpacked(data, f"the checkpoint at {mark.seq}") for (data,) in parts)
        except Undecodable as error:
            raise Unusable(f"the checkpoint at {mark.seq}: {error}") from None

    def decisions(self, after: int, to: int | None) -> Iterator[Row]:
        """Read the decisions behind number `after`, up to `to`."""
        last = 2**62 if to is None else to
        while rows := self._rows(
            "SELECT * FROM decisions WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, last, ROWS_PER_QUERY)
        ):
            for row in rows:
                yield _row(row)
            after = _whole(rows[-1][0])

    def minutes(self, since: float) -> list[Minute]:
        """Read the minutes of probes whose numbers are still there, oldest first; none from a file without any."""
        try:
            return list(read_minutes(self._database, since)) if has_minutes(self._database) else []
        except (sqlite3.Error, ValueError, OverflowError) as error:
            raise Unusable(f"it cannot be read: {error}") from None

    def _rows(self, query: str, values: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._database.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError) as error:
            raise Unusable(f"it cannot be read: {error}") from None


def open_read_only(path: str) -> sqlite3.Connection:
    """Open for reading alone; a copy in a folder where nothing can be written is read as it lies there.

    Raises Unusable, FileNotFoundError.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(path)
    name = "file:" + quote(str(Path(path).absolute()))
    problem = ""
    for how in ("mode=ro", "mode=ro&immutable=1"):
        if how != "mode=ro" and Path(path + "-wal").exists():
            break  # what is in the log beside it would be passed over
        database = sqlite3.connect(f"{name}?{how}", uri=True, timeout=LOCK_WAIT_S, isolation_level=None)
        try:
            version = database.execute("PRAGMA user_version").fetchone()[0]
            application = database.execute("PRAGMA application_id").fetchone()[0]
        except sqlite3.Error as error:
            database.close()
            problem = f"it cannot be read: {error}"
            continue
        if (version, application) == (SCHEMA_VERSION, APPLICATION_ID):
            return database
        database.close()
        raise Unusable("it is no history of this version of looksalive")
    raise Unusable(problem)


def _row(row: tuple[Any, ...]) -> Row:
    seq, run, time, now, event, actions, transitions, answer, digest = row
    place = f"decision {_whole(seq)}"
    return Row(
        _whole(seq),
        _whole(run),
        _real(time),
        _real(now),
        _decoded(decode_event, _unpacked(event, place), place),
        _unpacked(actions, place),
        _unpacked(transitions, place),
        _text(answer).encode(),
        _text(digest),
    )


def _decoded(decode: Any, raw: bytes, place: str) -> Any:
    try:
        return decode(raw)
    except Undecodable as error:
        raise Unusable(f"{place}: {error}") from None


def _unpacked(value: object, place: str) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="replace")
    if not isinstance(value, bytes):
        raise Unusable(f"{place}: holds {type(value).__name__} where text belongs")
    loosen = zlib.decompressobj()
    try:
        raw = loosen.decompress(value, DOCUMENT_BYTES_MAX)
    except zlib.error as error:
        raise Unusable(f"{place}: {error}") from None
    if not loosen.eof:
        raise Unusable(f"{place}: is cut off, or longer than {DOCUMENT_BYTES_MAX} bytes")
    return raw


def _whole(value: object) -> int:
    if not isinstance(value, int):
        raise Unusable(f"holds {type(value).__name__} where a number belongs")
    return value


def _real(value: object) -> float:
    if not isinstance(value, float | int):
        raise Unusable(f"holds {type(value).__name__} where a time belongs")
    return float(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > ANSWER_CHARS_MAX:
        raise Unusable("holds something else where a short text belongs")
    return value
