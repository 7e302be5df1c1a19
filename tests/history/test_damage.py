"""A history that is damaged in any place: whatever is written after that is in a whole file, under the same name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from probe.history.edges import Wanted, read_before
from probe.history.recording import Unusable
from probe.lifecycle.events import Tick
from tests.environment.until import until
from tests.history.kit import WALL, record, some_events, sql
from tests.history.test_journal import running, set_aside

PAGE_BYTES = 4096
TICKS = 3
EARLIER = WALL + 86_400.0  # before that the damaged file was written
NEW = "SELECT count(*) FROM decisions WHERE time > ?"

Damage = Callable[[bytes], bytes]


def cut(share: float) -> Damage:
    """Cut a file off at that part of its length."""
    return lambda whole: whole[: int(len(whole) * share)]


def flip(at: int) -> Damage:
    """Turn one bit over; a negative place is counted from the end."""
    return lambda whole: bytes(byte ^ 0x10 if index == at % len(whole) else byte for index, byte in enumerate(whole))


def smear(page: int) -> Damage:
    """Overwrite a page."""
    begin = page * PAGE_BYTES
    return lambda whole: whole[:begin] + b"\xa5" * len(whole[begin : begin + PAGE_BYTES]) + whole[begin + PAGE_BYTES :]


DAMAGES = {
    **{f"cut at {share}": cut(share) for share in (0.0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.999)},
    **{f"bit at {at}": flip(at) for at in (0, 16, 18, 21, 24, 28, 44, 52, 56, 60, 68, 100, 101, 103, 105)},
    **{f"bit in page {page}": flip(page * PAGE_BYTES + 3) for page in range(1, 8)},
    **{f"page {page}": smear(page) for page in range(8)},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A sound journal of an earlier run, with some pages in it."""
    path = record(tmp_path_factory.mktemp("whole") / "h", some_events(20, 3), checkpoint_every=20)
    assert path.stat().st_size > 10 * PAGE_BYTES
    return path.read_bytes()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_what_comes_after_damage_is_written(tmp_path: Path, whole: bytes, damage: Damage) -> None:
    """Cut off, a bit turned, a page overwritten: the run's decisions are all in the file, and what was is kept."""
    path = tmp_path / "h"
    broken = damage(whole)
    path.write_bytes(broken)
    async with running(path) as run:
        for _ in range(TICKS):
            run.happen(Tick())
        await until(lambda: _count(path) >= TICKS, "the decisions of this run")
    assert sql(path, NEW, EARLIER) == [(TICKS,)]
    aside = set_aside(path)
    if aside:
        assert sql(path, "PRAGMA integrity_check") == [("ok",)]
        assert aside[0].stat().st_size >= len(broken)
    elif broken:
        assert sql(path, "SELECT count(*) > 1 FROM runs") == [(1,)], "neither kept aside nor gone on in"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_readers_of_damage_are_told_so(tmp_path: Path, whole: bytes, damage: Damage) -> None:
    """Whatever is broken, a reader gets what is there or `Unusable`, and nothing else."""
    path = tmp_path / "h"
    path.write_bytes(damage(whole))
    with suppress(Unusable):
        read_before(str(path), None, Wanted(), 100)


def _count(path: Path) -> int:
    """Count without writing: a connection that may write would tidy up by name what is another file by then."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute(NEW, (EARLIER,)).fetchone()[0])
    except sqlite3.Error:
        return 0
