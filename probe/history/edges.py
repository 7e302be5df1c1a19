"""The recorded edges, for readers: pages of what happened before memory begins, and one resource's course.

Seqs begin anew with each run of ours. What names an edge for good is its seq together with its time; a reader that goes
back is given that as a cursor, which means the same to memory, to the file, and to a later run.
"""

from __future__ import annotations

import re
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, Self

from probe.history.reckoning import Gap, Run, RunsReading
from probe.history.recording import Unusable, open_read_only
from probe.history.timeline import INTERVALS_MAX, Timeline, Turn, fold, turn_of, unknown_from
from probe.lifecycle.report import EventReport
from probe.values import OpId

TEXT_CHARS_MAX = 10_000  # of one value in a file, which anybody may have written
_CURSOR = re.compile(r"(\d{1,18})@(\d{1,12}(?:\.\d{1,9})?)", re.ASCII)
_COLUMNS = 'seq, time, id, kind, "from", "to", reason, evidence, root_cause, trigger, operation'
_BEFORE = "(edges.run, edges.seq) < (?, ?)"


class Cursor(NamedTuple):
    """The place right before one edge."""

    seq: int
    time: float

    def __str__(self) -> str:
        return f"{self.seq}@{self.time!r}"

    @classmethod
    def before(cls, edge: EventReport) -> Self:
        """Name the place before an edge."""
        return cls(edge.seq, edge.time)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cursor. Raises ValueError with the mend."""
        found = _CURSOR.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r:.60} is no place in the past; write the `previous` of a page")
        return cls(int(found[1]), float(found[2]))


class Wanted(NamedTuple):
    """Which edges are asked for; empty: all."""

    target: str = ""  # a resource, with its group's own edges, or a whole group
    kind: str = ""
    since: float = 0.0

    def takes(self, edge: EventReport) -> bool:
        """Whether an edge is one of them."""
        if edge.time < self.since or (self.kind and edge.kind != self.kind):
            return False
        if not self.target or edge.id == self.target:
            return True
        whole = "/" not in self.target
        return edge.id.partition("/")[0] == self.target if whole else edge.id == self.target.partition("/")[0]

    def as_sql(self) -> tuple[list[str], list[object]]:
        """Say the same to a database."""
        terms: list[str] = []
        values: list[object] = []
        group, _, name = self.target.partition("/")
        if name:
            terms.append("id IN (?, ?)")
            values += [self.target, group]
        elif group:
            terms.append("(id = ? OR (id > ? AND id < ?))")
            values += [group, f"{group}/", f"{group}0"]  # "0" follows "/"
        if self.kind:
            terms.append("kind = ?")
            values.append(self.kind)
        if self.since:
            terms.append("time >= ?")
            values.append(self.since)
        return terms, values


def read_before(path: str, cursor: Cursor | None, wanted: Wanted, limit: int) -> list[EventReport]:
    """Read the last edges before `cursor` (None: of all), the newest first, at most `limit`. Blocks.

    Raises Unusable, FileNotFoundError.
    """
    terms, values = wanted.as_sql()
    with _opened(path) as database:
        if cursor is not None:
            term, place = _place(database, cursor)
            terms.append(term)
            values += place
        where = " AND ".join(terms) or "1"
        rows = database.execute(
            f"SELECT {_COLUMNS} FROM edges WHERE {where} ORDER BY run DESC, seq DESC LIMIT ?",  # noqa: S608 - our own words
            (*values, limit),
        )
        return [_edge(row) for row in rows]


def _place(database: sqlite3.Connection, cursor: Cursor) -> tuple[str, tuple[object, ...]]:
    """Find where a cursor points; when its edge is not in the file (any more, or yet), its time says it."""
    found = database.execute(
        "SELECT edges.run FROM runs JOIN edges ON edges.run = runs.run AND edges.seq = ? WHERE edges.time = ?"
        " ORDER BY edges.run DESC LIMIT 1",
        (cursor.seq, cursor.time),
    ).fetchone()
    return ("time < ?", (cursor.time,)) if found is None else (_BEFORE, (found[0], cursor.seq))


class Course(NamedTuple):
    """What memory knows of a resource's course: when this run of ours began, its edges, and the state now."""

    id: str
    begun: float
    edges: Sequence[EventReport]
    now: Turn


def read_timeline(path: str, course: Course, since: float, until: float) -> Timeline:
    """Make the timeline of [since, until) from the file and what it does not have yet. Blocks.

    Raises Unusable, FileNotFoundError.
    """
    with _opened(path) as database:
        reading = RunsReading(database)
        runs = reading.runs(since)
        rows = _rows_of(database, course.id, since, runs)
        full = len(rows) > INTERVALS_MAX
        rows = sorted(rows[:INTERVALS_MAX], key=lambda row: row[:2])
        own = [run.number for run in runs if run.begin >= course.begun]
        turns = _Turns(reading)
        for run in runs:
            last = own[-1:] == [run.number]
            edges = [turn for number, _, turn in rows if number == run.number]
            if last:
                edges += _not_written(course, max((seq for number, seq, _ in rows if number in own), default=0))
            turns.add(run, edges, until if last else None)
        if not own:
            turns.list += of_memory(course)
        elif not course.edges and not any(number in own for number, *_ in rows):
            turns.list.append(course.now)  # nothing has happened to it since we began
        told = fold(course.id, rows[0][2].time if full else since, until, turns.list)
        return replace(told, more=told.more or full)


def of_memory(course: Course) -> list[Turn]:
    """Tell the course of this run of ours from memory alone."""
    return [unknown_from(course.begun), *(map(turn_of, course.edges) if course.edges else (course.now,))]


def _not_written(course: Course, written: int) -> list[Turn]:
    return [turn_of(edge) for edge in course.edges if edge.seq > written]


def _rows_of(database: sqlite3.Connection, id: str, since: float, runs: list[Run]) -> list[tuple[int, int, Turn]]:
    """Read a resource's edges since, the newest first, and the one that says how it stood then: (run, seq, turn)."""
    query = (
        'SELECT run, seq, time, "to", reason, evidence, root_cause, trigger FROM edges'
        " WHERE id = ? AND kind = 'state' AND run >= ? AND time {} ? ORDER BY time DESC, run DESC, seq DESC LIMIT ?"
    )
    first = runs[0].number if runs else 0
    rows = database.execute(query.format(">="), (id, first, since, INTERVALS_MAX + 1)).fetchall()
    rows += database.execute(query.format("<"), (id, first, since, 1)).fetchall()
    return [(int(run), int(seq), _turn(rest)) for run, seq, *rest in rows]


class _Turns:
    """Puts runs behind each other, with their gaps as times in which nobody looked."""

    def __init__(self, reading: RunsReading) -> None:
        self.list: list[Turn] = []
        self._reading = reading
        self._last: Turn | None = None  # how it stands, as far as is known

    def add(self, run: Run, edges: list[Turn], end: float | None) -> None:
        """Put a run's edges behind what there is; `end` None: it ended with its last sign."""
        if run.goes_on:
            self._resume(run.begin)
        else:
            self._last = None
            self.list.append(unknown_from(run.begin))
        gaps = deque(self._reading.gaps(run, end))
        for edge in edges:
            while gaps and gaps[0].end <= edge.time:
                self._pass(gaps.popleft())
            self._last = edge
            self.list.append(edge)
        for gap in gaps:
            self._pass(gap)
        if end is None:
            self.list.append(unknown_from(self._reading.last_sign(run)))

    def _pass(self, gap: Gap) -> None:
        self.list.append(unknown_from(gap.begin))
        self._resume(gap.end)

    def _resume(self, time: float) -> None:
        if self._last is not None:
            self.list.append(self._last._replace(time=time))


@contextmanager
def _opened(path: str) -> Iterator[sqlite3.Connection]:
    with closing(open_read_only(path)) as database:
        try:
            database.execute("BEGIN")  # one picture, while the service writes on
            yield database
        except (sqlite3.Error, OverflowError, TypeError, ValueError) as error:
            raise Unusable(f"it cannot be read: {error}") from None


def _edge(row: tuple[Any, ...]) -> EventReport:
    seq, time, id, kind, from_, to, reason, evidence, root_cause, trigger, operation = row
    return EventReport(
        int(seq),
        float(time),
        _text(id),
        _text(kind),
        _text(from_),
        _text(to),
        _text(reason),
        _text(evidence),
        None if root_cause is None else _text(root_cause),
        _text(trigger),
        None if operation is None else OpId(int(operation)),
    )


def _turn(row: list[Any]) -> Turn:
    time, to, reason, evidence, root_cause, trigger = row
    cause = None if root_cause is None else _text(root_cause)
    return Turn(float(time), _text(to), _text(reason), _text(evidence), cause, _text(trigger))


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > TEXT_CHARS_MAX:
        raise ValueError("the history holds something else where a short text belongs")
    return value
