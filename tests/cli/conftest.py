"""A surrounding for the command line that no variable of the machine reaches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.service import TOKEN


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No LOOKSALIVE_ variable, a home of the test's own, and no proxy."""
    for name in list(os.environ):
        if name.startswith("LOOKSALIVE_") or name in ("STATE_DIRECTORY", "XDG_STATE_HOME", "NO_COLOR"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "100")
    return monkeypatch


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    """A client's token file."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return str(path)
