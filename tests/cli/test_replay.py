"""`looksalive replay` on files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_UNUSABLE
from probe.version import __version__
from tests.history.kit import VERSION, record, some_events, sql

COUNT = len(some_events())


def test_the_same_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0, how many decisions there were, and that another version recorded them."""
    path = record(tmp_path / "history.sqlite3", some_events())
    assert main(["replay", str(path)]) == EXIT_OK
    assert capsys.readouterr().out.splitlines() == [
        f"recorded by looksalive {VERSION}, replayed by {__version__}",
        f"{COUNT} decisions replayed (1 to {COUNT}), the same",
    ]
    assert main(["replay", str(path), "--from", "3", "--to", "4"]) == EXIT_OK
    assert "2 decisions replayed (3 to 4), the same" in capsys.readouterr().out


def test_a_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1 and the first difference: the event, the state before, what was done then and what would be now."""
    path = record(tmp_path / "h", some_events())
    sql(path, "UPDATE decisions SET actions = '[]' WHERE seq = 3")
    assert main(["replay", str(path)]) == EXIT_FAILED
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2 decisions replayed (1 to 2) the same, then a difference"
    assert lines[2].startswith("decision 3 of 2023-11-14T22:13:20")
    assert [line.split()[0] for line in lines[3:]] == ["event", "before", "before", "recorded", "now"]
    assert main(["replay", str(path), "--json"]) == EXIT_FAILED
    told = json.loads(capsys.readouterr().out)
    assert (told["same"], told["replayed"], told["difference"]["seq"]) == (False, 2, 3)
    assert told["difference"]["what"] == "actions"


def test_a_gap(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 2: what could be replayed is the same, but not all could; each gap is named on stderr."""
    path = record(tmp_path / "h", some_events())
    sql(path, "DELETE FROM decisions WHERE seq = 5")
    assert main(["replay", str(path)]) == EXIT_UNUSABLE
    told = capsys.readouterr()
    assert "4 decisions replayed (1 to 4), the same" in told.out
    assert "behind decision 4 decisions 5 to 5 are not there" in told.err
    assert f"{COUNT - 5} decisions behind a gap could not be replayed" in told.err
    assert main(["replay", str(path), "--json"]) == EXIT_UNUSABLE
    assert json.loads(capsys.readouterr().out)["gaps"][0]["seq"] == 4


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_an_unusable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None) -> None:
    """Exit 2 and why, for a file that is not there, is empty, or is something else."""
    path = tmp_path / "h"
    if content is not None:
        path.write_bytes(content)
    assert main(["replay", str(path), "--json"]) == EXIT_UNUSABLE
    told = capsys.readouterr()
    assert told.err.startswith(f"looksalive replay: {path}: ")
    assert json.loads(told.out)["error"]["code"] == "unusable"


def test_what_a_file_says_moves_no_cursor(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file's text is data: escapes in it do not reach the terminal."""
    path = record(tmp_path / "h", some_events())
    sql(path, "UPDATE decisions SET answer = ? WHERE seq = 3", '"\x1b[2J"')
    assert main(["replay", str(path)]) == EXIT_FAILED
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--from", "x"], ["--to", "-1"], []])
def test_bad_usage(tmp_path: Path, words: list[str]) -> None:
    """A number that is none, and no file."""
    file = [str(tmp_path / "h")] if words else []
    assert main(["replay", *file, *words]) == EXIT_UNUSABLE
