"""The table of misbehaving servers, row by row, over real sockets; and the page that is made of it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.values import EVIDENCE_CHARS_MAX, Outcome, Reason, Stage
from tests.truth.ask import ask, standing
from tests.truth.ground import obstacle
from tests.truth.kit import Kit
from tests.truth.others.checker import Said
from tests.truth.page import PAGE, rows_on, said_cell, verdict_cell
from tests.truth.rows import TIMEOUT_S, Row
from tests.truth.sections import CHOICES, ROWS

ROWS_MIN = 80
MARGIN_S = 1.0  # of a busy machine

# What no single dialogue can end with: names are looked up before it, the rest is of the lifecycle or of our own time.
ELSEWHERE = frozenset(
    {
        Reason.DNS_NXDOMAIN,
        Reason.DNS_TIMEOUT,
        Reason.DNS_SERVFAIL,
        Reason.SERVICE_STOPPED,
        Reason.EXTERNAL_STOP,
        Reason.NOT_SERVING,
        Reason.INDEX_INVALID,
        Reason.NAME_MISMATCH,
        Reason.DISK_FAILED,
        Reason.COLLATERAL,
        Reason.DEPENDENCY_DOWN,
        Reason.LISTENER_GONE,
        Reason.PROCESS_GONE,
        Reason.PENDING_TIMEOUT,
        Reason.CAPACITY,
        Reason.PROBER_STALLED,
        Reason.STALE,
        Reason.NOT_YET,
    }
)


@pytest.fixture(scope="module")
def kit() -> Iterator[Kit]:
    with tempfile.TemporaryDirectory() as folder:
        yield Kit(Path(folder))


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_verdict_is_right(row: Row, kit: Kit, caplog: pytest.LogCaptureFixture) -> None:
    """S32: every server of the table gets its verdict, reason and stage, in its time, without an error of ours."""
    if missing := obstacle(row):
        pytest.skip(missing)
    with caplog.at_level(logging.WARNING), standing(row, kit) as stood:
        answer = ask(stood)
        served = None if stood.peer is None else stood.peer.served
    assert (answer.reason, answer.stage) == (row.reason, row.stage), answer
    assert not caplog.records
    assert answer.evidence
    assert answer.evidence.isprintable()
    assert len(answer.evidence) <= EVIDENCE_CHARS_MAX
    if row.waits:
        assert TIMEOUT_S * 0.99 <= answer.took_s <= TIMEOUT_S + MARGIN_S
    else:
        assert answer.took_s < TIMEOUT_S * 0.99, "what is definite is said before the deadline"
    if row.stage not in (None, Stage.CONNECT) and served is not None:
        assert served, "nobody came to be misbehaved at"


def test_the_table_is_whole() -> None:
    """Every reason that a dialogue can end with has a row, and there are enough rows; choices name rows."""
    assert len(ROWS) >= ROWS_MIN
    assert {row.reason for row in ROWS.values()} == set(Reason) - ELSEWHERE
    assert set(ROWS) >= CHOICES


def test_the_page_lists_the_rows_as_they_are() -> None:
    """deploy/TRUTH.md has exactly the rows of the table, in their order, with our verdicts: a stale page fails."""
    told = rows_on(PAGE.read_text(encoding="utf-8"))
    assert list(told.items()) == [(name, verdict_cell(row)) for name, row in ROWS.items()], (
        "write it again: python -m tests.truth --write"
    )


def test_another_checker_is_judged_fairly() -> None:
    """Wrong is marked where it is: not for being unsure, nor where the answer is our choice; late is not wrong."""
    dead, living, choice = ROWS["smtp: 554"], ROWS["smtp: healthy"], ROWS["smtp: LF only"]
    assert said_cell(dead, None) == "-"
    assert said_cell(dead, Said(Outcome.ALIVE, 0.0)) == "**alive** ✗"
    assert said_cell(dead, Said(Outcome.FAILED, 0.1)) == "failed"
    assert said_cell(dead, Said(Outcome.FAILED, 1.0)) == "failed, late"
    assert said_cell(dead, Said(Outcome.UNKNOWN, 0.1)) == "unknown"
    assert said_cell(dead, Said(Outcome.UNKNOWN, 10.0, hung=True)) == "**no end** ✗"
    assert said_cell(living, Said(Outcome.FAILED, 0.1)) == "**failed** ✗"
    assert said_cell(choice, Said(Outcome.FAILED, 0.1)) == "failed"
    assert said_cell(ROWS["net: silent"], Said(Outcome.FAILED, 1.0)) == "failed"
    assert said_cell(ROWS["ours: not permitted"], Said(Outcome.FAILED, 0.1)) == "**failed** ✗"
