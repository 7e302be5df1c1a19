"""The file of open alerts."""

from __future__ import annotations

import pytest

from probe.notify.alerts import Alert
from probe.notify.told import FILE, ToldFile
from probe.values import ResourceId
from tests.sim.files import MemoryFiles

ALERTS = [Alert(ResourceId("evs1", name), "smtp", "eof", "what was seen", 1.5) for name in ("a", "b")]


def test_what_is_kept_comes_back() -> None:
    """Alerts are the same after a restart, and are durable as soon as they are kept."""
    files = MemoryFiles()
    assert ToldFile(files, "/state").load() == []
    ToldFile(files, "/state").save(ALERTS)
    assert ToldFile(files, "/state").load() == ALERTS
    assert any(step.startswith("sync") for step in files.steps)
    ToldFile(files, "/state").save([])
    assert ToldFile(files, "/state").load() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"schema_version": 1, "alerts": [{"id": "x"}]}',
        b'{"schema_version": 1, "alerts": [{"id": "x", "type": "", "reason": "", "evidence": "", "since": 1}]}',
    ],
)
def test_a_file_that_makes_no_sense_is_set_aside(content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """It keeps nobody from starting; it is kept under another name, and said."""
    files = MemoryFiles.holding({f"/state/{FILE}": content})
    assert ToldFile(files, "/state").load() == []
    assert files.names("/state") == [f"{FILE}.unreadable"]
    assert "set aside" in caplog.text
