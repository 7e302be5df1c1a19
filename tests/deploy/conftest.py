"""A shell for whoever follows a document."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.shell import Shell
from tests.e2e.processes import sessions_mentioning


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A shell of this test's own; its folder has no sources yet."""
    yield Shell(tmp_path)
    for session in sessions_mentioning(tmp_path):
        os.killpg(session, signal.SIGKILL)
