"""Read a journal's edges into a report on availability, with every gap of ours as one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

from probe.history.availability import AvailabilityReport, Ledger
from probe.history.minutes import MINUTE_S
from probe.history.recording import Unusable, open_read_only
from probe.history.shelf import has_minutes, read_roster
from probe.values import Reason

GAP_S = 3.5 * MINUTE_S  # so long without a minute, and nothing was recorded
ROSTERS_READ_MAX = 50  # looked through for who left when, in each run

_ANEW = "EXISTS (SELECT 1 FROM gaps WHERE gaps.run = runs.run AND missed = 0)"  # opened anew within a run of ours
_LAST_SIGNS = (  # of a run: when it is known to have been there last
    "SELECT max(time) FROM edges WHERE run = ?",
    "SELECT max(time) FROM decisions WHERE run = ?",
    "SELECT max(time) FROM checkpoints WHERE run = ?",
)


class Run(NamedTuple):
    """A run of ours, or a part of one: from when the file was opened on."""

    number: int
    begin: float
    goes_on: bool  # the file was opened anew, within a run of ours


class Gap(NamedTuple):
    """A time within a run in which nothing was recorded."""

    begin: float
    end: float


def read_availability(path: str, since: float, until: float, *, running: bool) -> AvailabilityReport:
    """Report on [since, until) from the journal at `path`; blocks. `running`: its last run has not ended.

    Raises Unusable, FileNotFoundError, ValueError (no such time).
    """
    ledger = Ledger(since, until)
    with closing(open_read_only(path)) as database:
        try:
            database.execute("BEGIN")  # one picture, while the service writes on
            reading = RunsReading(database)
            runs = reading.runs(since)
            for at, run in enumerate(runs):
                last = at == len(runs) - 1
                reading.replay(ledger, run, until if last and running else None)
        except (sqlite3.Error, OverflowError, TypeError, ValueError) as error:
            raise Unusable(f"it cannot be read: {error}") from None
    return ledger.report()


class RunsReading:
    """What an open file says of our runs. Methods raise sqlite3.Error, OverflowError, TypeError, ValueError."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._with_minutes = has_minutes(database)

    def runs(self, since: float) -> list[Run]:
        """List the runs, from the one on in which `since` lies; a file opened anew is one of its own.

        How things stood when a file was opened anew is told by what was before, so that is listed, too.
        """
        rows = self._database.execute(
            f"SELECT run, time, {_ANEW} FROM runs"  # noqa: S608 - our own words
            f" WHERE run >= (SELECT coalesce(max(run), 0) FROM runs WHERE time <= ? AND NOT {_ANEW}) ORDER BY run",
            (since,),
        )
        return [Run(run, float(begin), bool(anew)) for run, begin, anew in rows]

    def replay(self, ledger: Ledger, run: Run, end: float | None) -> None:
        """Tell the ledger one run; `end` None: it ended with its last sign."""
        if run.goes_on:
            ledger.resume(run.begin)
        else:
            ledger.begin()
        gaps = self.gaps(run, end)
        gap = next(gaps, None)
        edges = self._database.execute(
            'SELECT time, id, kind, "to", trigger, reason, root_cause FROM edges'
            " WHERE run = ? AND kind IN ('state', 'maintenance') ORDER BY seq",
            (run.number,),
        )
        for time, id, kind, to, trigger, reason, root_cause in edges:
            while gap is not None and gap.end <= time:
                ledger.pause(gap.begin)
                ledger.resume(gap.end)
                gap = next(gaps, None)
            if kind == "state":
                caused = root_cause is not None or reason == Reason.DEPENDENCY_DOWN
                ledger.edge(float(time), str(id), to, trigger, caused=caused)
            else:
                ledger.maintain(float(time), str(id), to == "on")
        while gap is not None:
            ledger.pause(gap.begin)
            ledger.resume(gap.end)
            gap = next(gaps, None)
        for id, left in self._left(run).items():
            ledger.leave(left, id)
        if end is None:
            ledger.pause(self.last_sign(run))

    def gaps(self, run: Run, end: float | None) -> Iterator[Gap]:
        """List the times within a run in which nothing was recorded, as its minutes tell."""
        if not self._with_minutes:
            return
        before: float | None = None
        for (start,) in self._database.execute("SELECT start FROM minutes WHERE run = ? ORDER BY start", (run.number,)):
            if before is not None and start - before > GAP_S:
                yield Gap(before + MINUTE_S, float(start))
            before = float(start)
        if before is not None and end is not None and end - before > GAP_S + MINUTE_S:
            yield Gap(before + MINUTE_S, end)

    def last_sign(self, run: Run) -> float:
        """Say when a run is known to have been there last."""
        signs = [self._database.execute(query, (run.number,)).fetchone()[0] for query in _LAST_SIGNS]
        if self._with_minutes:
            last = self._database.execute("SELECT max(start) FROM minutes WHERE run = ?", (run.number,)).fetchone()[0]
            signs.append(None if last is None else last + MINUTE_S)
        return max(run.begin, *(float(sign) for sign in signs if sign is not None))

    def _left(self, run: Run) -> dict[str, float]:
        """Say who was watched no more before the run's end, and since when."""
        if not self._with_minutes:
            return {}
        rosters = self._database.execute(
            "SELECT roster, max(start) AS last FROM minutes WHERE run = ? GROUP BY roster ORDER BY last DESC LIMIT ?",
            (run.number, ROSTERS_READ_MAX),
        ).fetchall()
        left: dict[str, float] = {}
        try:
            there = set(read_roster(self._database, rosters[0][0])) if rosters else set()
            for number, last in rosters[1:]:
                for id in read_roster(self._database, number):
                    if id not in there:
                        left.setdefault(id, float(last) + MINUTE_S)
        except ValueError as error:
            raise Unusable(f"it cannot be read: {error}") from None
        return left
