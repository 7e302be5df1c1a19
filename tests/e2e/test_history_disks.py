"""The history's disk in real trouble: full, held by another program, broken, its writer killed. Probing goes on.

A full disk is a small tmpfs filled to its last byte (ENOSPC of the kernel). A slow disk is a second process that holds
the file's write lock: every write waits and fails, as on a disk that does not come back.
"""

from __future__ import annotations

import errno
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.command import looksalive
from tests.e2e.listeners import Listeners
from tests.e2e.mounts import tmpfs
from tests.e2e.service import Service
from tests.e2e.stores import write_metabase
from tests.e2e.test_history import chain_store
from tests.e2e.waiting import wait_until

WITHIN_S = 30.0
PROBES = 20  # that must go on meanwhile, of each resource
LONG_STALL_S = "1.0"  # a bucket of the lag; a write that is waited for on the loop would take LOCK_WAIT_S and more
KILLS = 12

HOLDER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
database.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def store_of(folder: Path, listeners: Listeners) -> Path:
    """Write a store that asks each listener ten times a second."""
    write_metabase(folder / "store", listeners.keys, poll_interval_s=0.1, probe_timeout_s=5)
    return folder / "store"


def attempts(service: Service) -> float:
    """Count the probes of the resource that was asked least."""
    return min(value for (name, _), value in service.metrics().items() if name == "looksalive_probe_attempts_total")


def long_stalls(service: Service) -> float:
    """Count how often the loop was late by a second and more."""
    samples = service.metrics()  # once: between two scrapes the ticker goes on
    lag = "looksalive_event_loop_lag_seconds"
    return samples[f"{lag}_count", frozenset()] - samples[f"{lag}_bucket", frozenset({("le", LONG_STALL_S)})]


@contextmanager
def probing_goes_on(service: Service) -> Iterator[None]:
    """Hold that within this, and until so many probes more, every resource is asked on and the loop is not held up."""
    before, stalls = attempts(service), long_stalls(service)
    yield
    wait_until(lambda: attempts(service) >= before + PROBES, f"{PROBES} more probes of each", WITHIN_S)
    assert long_stalls(service) == stalls


def fill(place: Path) -> Path:
    """Write until the kernel says that there is no room."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 4096)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
    return filler


def edges(history: Path, reason: str = "") -> int:
    """Count the recorded failures."""
    try:
        with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as database:
            found = database.execute(
                "SELECT count(*) FROM edges WHERE \"to\" = 'failed' AND reason LIKE ?", (f"{reason}%",)
            )
            return int(found.fetchone()[0])
    except sqlite3.Error:
        return 0


def sound(history: Path) -> None:
    """Hold that the file is whole, to SQLite and to a replay."""
    with closing(sqlite3.connect(history)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    replayed = looksalive("replay", str(history), "--json")
    assert replayed.returncode == 0, replayed.stdout + replayed.stderr


def lose(service: Service, listeners: Listeners, number: int) -> None:
    """Kill a listener and wait until that is told."""
    listeners.kill(number)
    service.wait_for(f"default/smtp-{number}", WITHIN_S, state="failed")


def test_a_full_disk_is_written_again_once_there_is_room(folder: Path) -> None:
    """ENOSPC: told and counted, deaths found and told as ever; with room again all of it is in the file, none lost."""
    with tmpfs(folder / "state", "3m", "looksalive-history"), Listeners(4) as listeners:
        history = folder / "state" / "history.sqlite3"
        with Service(store_of(folder, listeners)) as service:
            service.wait_all_alive(WITHIN_S)
            lose(service, listeners, 0)
            wait_until(lambda: edges(history) == 1, "the first death in the file", WITHIN_S)
            filler = fill(folder / "state")
            with probing_goes_on(service):
                lose(service, listeners, 1)
                lose(service, listeners, 2)
                wait_until(lambda: service.metric("history_failing") == 1, "the full disk to be met", WITHIN_S)
                service.wait_for_log("the history cannot be written")
            assert len(service.get("/api/v1/events?before=&kind=state&limit=3").json["events"]) == 3
            filler.unlink()
            wait_until(lambda: edges(history) == 3, "what waited to be in the file", WITHIN_S)
            assert (service.metric("history_failing"), service.metric("history_dropped_total")) == (0, 0)
        sound(history)


def test_a_disk_that_does_not_answer_holds_nobody_up(folder: Path) -> None:
    """Another process holds the file: probes, verdicts and readers go on, and nothing of what waited is lost."""
    history = folder / "state" / "history.sqlite3"
    with Listeners(3) as listeners, Service(store_of(folder, listeners)) as service:
        service.wait_all_alive(WITHIN_S)
        wait_until(lambda: history.exists() and service.metric("history_rows_written_total") > 3, "a file", WITHIN_S)
        pipe = subprocess.PIPE
        with subprocess.Popen([sys.executable, "-c", HOLDER, str(history)], stdin=pipe, stdout=pipe) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with probing_goes_on(service):
                lose(service, listeners, 0)
                lose(service, listeners, 1)
                wait_until(lambda: service.metric("history_failing") == 1, "the lock to be met", WITHIN_S)
                timeline = service.get("/api/v1/resources/default/smtp-0/timeline")
                assert (timeline.status, timeline.json["intervals"][-1]["state"]) == (200, "failed")
                assert service.get("/api/v1/report").status == 200
            assert edges(history) == 0
            holder.communicate()
        wait_until(lambda: edges(history) == 2, "what waited to be in the file", WITHIN_S)
        assert service.metric("history_dropped_total") == 0
    sound(history)


def test_a_file_that_breaks_under_a_run_is_set_aside(folder: Path) -> None:
    """Every page overwritten under a run: kept by another name, told in the log, a new one begun; probing goes on."""
    history = folder / "state" / "history.sqlite3"
    with Listeners(3) as listeners, Service(store_of(folder, listeners)) as service:
        service.wait_all_alive(WITHIN_S)
        lose(service, listeners, 0)
        wait_until(lambda: edges(history) == 1, "the first death in the file", WITHIN_S)
        with closing(sqlite3.connect(history, isolation_level=None)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        with history.open("r+b") as file:
            file.write(b"\xff" * history.stat().st_size)
        with probing_goes_on(service):
            lose(service, listeners, 1)
            service.wait_for_log("it is kept as .*unreadable", WITHIN_S)
            lose(service, listeners, 2)
            wait_until(lambda: edges(history) >= 1, "a death in the new file", WITHIN_S)
        assert [*history.parent.glob("history.sqlite3.unreadable-*")]
        assert service.metric("history_failing") == 0


def test_many_kills_lose_nothing_that_was_committed(folder: Path) -> None:
    """kill -9 again and again, at other moments: what another process had read stays, and the file is whole."""
    history = folder / "state" / "history.sqlite3"
    service = Service(chain_store(folder, restart_threshold=1000))
    committed: set[tuple[int, int, float]] = set()
    try:
        for kill in range(KILLS):
            service.start()
            wait_until(partial(_has_run, history, kill + 1), "this run in the file", WITHIN_S)
            wait_until(partial(_has_more, history, len(committed) + kill % 4), "decisions", WITHIN_S)
            committed |= _decisions(history)
            service.kill()
            with closing(sqlite3.connect(history)) as database:
                assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert committed <= _decisions(history)
        service.start()
        service.wait_all_alive(WITHIN_S)
        assert service.stop() == 0
    finally:
        service.__exit__(None, None, None)
    assert len(_runs(history)) == KILLS + 1
    sound(history)


def _has_run(history: Path, count: int) -> bool:
    return len(_runs(history)) >= count


def _has_more(history: Path, count: int) -> bool:
    return len(_decisions(history)) > count


def _decisions(history: Path) -> set[tuple[int, int, float]]:
    return {(seq, run, time) for seq, run, time in _rows(history, "SELECT seq, run, time FROM decisions")}


def _runs(history: Path) -> list[tuple[Any, ...]]:
    return _rows(history, "SELECT run FROM runs")


def _rows(history: Path, query: str) -> list[tuple[Any, ...]]:
    try:
        with closing(sqlite3.connect(f"file:{history}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()
    except sqlite3.Error:
        return []  # it is just being made
