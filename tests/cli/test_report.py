"""`looksalive report` from a service, and from a state folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_OK, EXIT_USAGE
from probe.environment.clock import LoopClock
from probe.history.storage import Storage
from probe.lifecycle.report import EventReport
from tests.cli.service import FakeService, serving, status_of

ROW = {
    "id": "evs1/smtp",
    "uptime": 0.99999999,
    "up_s": 86_000.0,
    "down_s": 90.0,
    "planned_s": 0.0,
    "unknown_s": 10.0,
    "incidents": 2,
    "mttr_s": 45.0,
    "longest_s": 60.0,
    "now": "up",
}
REPORT = {"since": 1_700_000_000.0, "until": 1_700_086_100.0, "resources": [ROW, {**ROW, "id": "evs2/smtp"}]}


def test_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """A row a resource; what is not quite a hundred per cent is never rounded up to it."""
    service = FakeService(status_of(1))
    service.report = REPORT
    with serving(service):
        assert main(["report", "evs1", "--since", "12h", "--url", service.url]) == EXIT_OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].split() == [
        "resource",
        "uptime",
        "incidents",
        "down",
        "mttr",
        "longest",
        "planned",
        "unknown",
        "now",
    ]
    assert " ".join(lines[2].split()) == "evs1/smtp 99.9999 % 2 2 min 45 s 1 min - 10 s up"
    assert service.asked[0].startswith("GET /api/v1/report?since=")


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--json has the numbers as the service told them."""
    service = FakeService(status_of(1))
    service.report = REPORT
    with serving(service):
        assert main(["report", "--json", "--url", service.url]) == EXIT_OK
    assert json.loads(capsys.readouterr().out) == REPORT


def test_from_a_state_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No service is asked: the journal says it; the time after its last sign is unknown."""
    now = LoopClock.wall()
    storage = Storage(str(tmp_path / "history.sqlite3"), "1", now - 3600, first=True)
    edges = [(1, now - 3000, "online"), (2, now - 2000, "failed"), (3, now - 1000, "online")]
    for seq, at, to in edges:
        storage.write([EventReport(seq, at, "evs1/smtp", "state", "", to, "eof", "", None, "probe", None)])
    storage.close()
    assert main(["report", "--since", "1h", "--state-dir", str(tmp_path), "--json"]) == EXIT_OK
    (one,) = json.loads(capsys.readouterr().out)["resources"]
    assert (one["up_s"], one["down_s"]) == (pytest.approx(1000, abs=1), pytest.approx(1000, abs=1))
    assert (one["uptime"], one["incidents"], one["mttr_s"], one["now"]) == (
        pytest.approx(0.5, abs=1e-3), 1, pytest.approx(1000, abs=1), "unknown",
    )  # fmt: skip


def test_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, a file that is none, a target nobody recorded, a service without a history: 3, with what to do."""
    assert main(["report", "--state-dir", str(tmp_path)]) == EXIT_CANNOT_ASK
    assert "pass the --state-dir" in capsys.readouterr().err
    (tmp_path / "history.sqlite3").write_text("nothing like it" * 100)
    assert main(["report", "--state-dir", str(tmp_path)]) == EXIT_CANNOT_ASK
    service = FakeService(status_of(1))
    with serving(service):
        assert main(["report", "--url", service.url]) == EXIT_CANNOT_ASK
        assert "start it without --history off" in capsys.readouterr().err
        service.report = REPORT
        assert main(["report", "evs3", "--url", service.url]) == EXIT_CANNOT_ASK
        assert "looksalive report lists what is" in capsys.readouterr().err
        service.report = {"since": "x"}
        assert main(["report", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "is that looksalive?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--since", "soon"], ["--state-dir", "x", "--url", "http://127.0.0.1:1"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A time that makes no sense, and two places at once."""
    assert main(["report", *arguments]) == EXIT_USAGE
    assert "looksalive report: " in capsys.readouterr().err
