"""The table of misbehaving servers, row by row, over real sockets; and the page that is made of it."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.values import EVIDENCE_CHARS_MAX, Reason
from tests.truth.ask import ask, standing
from tests.truth.ground import obstacle
from tests.truth.kit import Kit
from tests.truth.rows import TIMEOUT_S, Row
from tests.truth.table import ROWS

ROWS_MIN = 80
GOODBYE_S = 0.25  # what a polite end may take on top
MARGIN_S = 1.0  # of a busy machine


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
    if row.reason is not Reason.MATCHED and served is not None and not row.name.startswith("ours:"):
        assert served, "nobody came to be misbehaved at"
