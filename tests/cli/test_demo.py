"""`looksalive demo`: the store it writes, and the whole of it as a program."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE

RUN_TIMEOUT_S = 40.0  # a demo that says less than expected fails the test instead of holding it
END_TIMEOUT_S = 15.0
LINES_MAX = 40


@contextmanager
def demo(*words: str) -> Iterator[subprocess.Popen[str]]:
    """Run the demo as a program; whatever happens, it is told to end."""
    command = [sys.executable, "-m", "probe.cli", "demo", "--listen", "127.0.0.1:0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        limit = threading.Timer(RUN_TIMEOUT_S, program.terminate)
        limit.start()
        try:
            yield program
        finally:
            limit.cancel()
            program.send_signal(signal.SIGTERM)
            try:
                program.communicate(timeout=END_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                program.kill()


def read_until(program: subprocess.Popen[str], mark: str) -> list[str]:
    """Read the program's lines up to the one that holds the mark."""
    assert program.stdout is not None
    lines: list[str] = []
    for line in program.stdout:
        lines.append(line.rstrip("\n"))
        if mark in line or len(lines) >= LINES_MAX:
            break
    return lines


def test_the_demo_comes_up_and_says_what_to_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The ready line first, then what to try; everything comes online; SIGTERM ends it with exit 0."""
    with demo("--state-dir", str(tmp_path / "state")) as program:
        lines = read_until(program, "Ctrl-C")
        assert lines[0].startswith("looksalive ready http://127.0.0.1:"), lines
        url = lines[0].split()[-1]
        assert any(url.rstrip("/") in line for line in lines[1:])
        assert any("kill" in line for line in lines[1:])
        assert main(["wait", "--for", "alive", "evs1", "--timeout", "10", "--url", url]) == EXIT_OK, (
            capsys.readouterr().err
        )
        assert main(["status", "--url", url]) == EXIT_OK
        assert main(["status", "evs1/smtp", "--json", "--url", url]) == EXIT_OK
    assert program.returncode == EXIT_OK
    smtp = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert not Path(f"/proc/{smtp['pid']}").exists()
    assert (tmp_path / "state/store/metabase.json").exists()


def test_a_folder_that_holds_another_store_is_left_alone(
    tmp_path: Path, variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LOOKSALIVE_STORE naming a real store: the demo says so, exits 78 and changes nothing in it."""
    (tmp_path / "metabase.json").write_text('{"schema_version": 1, "keys": {}}')
    (tmp_path / "cluster.json").write_text("{}")
    variables.setenv("LOOKSALIVE_STORE", str(tmp_path))
    assert main(["demo"]) == EXIT_STORE
    assert "is not the demo's" in capsys.readouterr().err
    assert (tmp_path / "metabase.json").read_text() == '{"schema_version": 1, "keys": {}}'
    assert (tmp_path / "cluster.json").read_text() == "{}"


def test_a_metabase_alone_is_left_alone_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store of one file is a real store as well."""
    (tmp_path / "metabase.json").write_text('{"schema_version": 1, "keys": {}}')
    assert main(["demo", "--store", str(tmp_path)]) == EXIT_STORE
    assert "is not the demo's" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [tmp_path / "metabase.json"]


def test_a_state_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nowhere to write is exit 1 with the place and the mend."""
    (tmp_path / "file").write_text("")
    assert main(["demo", "--state-dir", str(tmp_path / "file/state")]) == EXIT_FAILED
    err = capsys.readouterr().err
    assert "looksalive demo: cannot write the demo's store: Not a directory" in err
    assert "--state-dir DIR" in err


def test_the_demo_obeys_the_variables_of_run(variables: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad variable of `run` is a bad variable of the demo."""
    variables.setenv("LOOKSALIVE_LISTEN", "nowhere")
    assert main(["demo"]) == EXIT_USAGE
    assert "looksalive demo: LOOKSALIVE_LISTEN: " in capsys.readouterr().err
