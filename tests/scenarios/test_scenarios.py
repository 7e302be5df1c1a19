"""Every golden scenario: the core answers exactly what the case file says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.scenarios.language import play

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_scenario_is_answered_as_written(path: Path) -> None:
    """The core's transitions and actions are those of the case file, in that order."""
    text = path.read_text()
    played = play(text)
    if os.environ.get("LOOKSALIVE_REWRITE_SCENARIOS") == "1":
        path.write_text(played)
    assert played == text


def test_there_are_cases() -> None:
    """The cases are there, so that a lost folder cannot look like success."""
    assert len(CASES) >= 120
