"""`looksalive metabase get | set` on the store itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE

KEYS = {"/smtp": {"rise": 2}, "/smtp/1": {"bindings": ["127.0.0.1:25"], "comment": "first\u202e"}}


@pytest.fixture
def store(tmp_path: Path, variables: pytest.MonkeyPatch) -> Path:
    """A store with one virtual server, named by the variable."""
    (tmp_path / "metabase.json").write_text(json.dumps({"schema_version": 1, "revision": 7, "keys": KEYS}))
    variables.setenv("LOOKSALIVE_STORE", str(tmp_path))
    return tmp_path


def test_a_key_is_shown_with_command_and_state(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S58: the volatile half stands in its place among the others; what would disturb a terminal is escaped."""
    (store / "runtime.json").write_text('{"keys": {"/smtp/1": {"command": "start", "state": "starting"}}}')
    assert main(["metabase", "get", "/smtp/1"]) == EXIT_OK
    shown = 'bindings=["127.0.0.1:25"]\ncomment=first\\u202e\ncommand=start\nstate=starting\n'
    assert capsys.readouterr().out == shown
    assert main(["metabase", "get", "/smtp/1", "--json"]) == EXIT_OK
    told = json.loads(capsys.readouterr().out)
    assert (told["revision"], told["key"], told["properties"]["state"]) == (7, "/smtp/1", "starting")
    assert main(["metabase", "get", "/smtp/2"]) == EXIT_FAILED
    assert "metabase.json has no key /smtp/2" in capsys.readouterr().err


def test_a_key_is_changed(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Words and a merged object; null takes a property away; lists may be written with commas."""
    words = ["bindings=:25,:26", "rise=null", "tls.verify=false", "starttls=required", "comment=null"]
    assert main(["metabase", "set", "/smtp/1", *words, "--merge", '{"fall": 4}']) == EXIT_OK
    written = json.loads((store / "metabase.json").read_text())
    assert written["revision"] == 8
    wanted = {"bindings": [":25", ":26"], "tls": {"verify": False}, "starttls": "required", "fall": 4}
    assert written["keys"]["/smtp/1"] == wanted
    assert "starttls=required" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["get", "/smtp/1", "rise=2"], EXIT_USAGE, "to change it write set"),
        (["set", "/smtp/1"], EXIT_USAGE, "set what?"),
        (["set", "/smtp/1", "rise"], EXIT_USAGE, "is not KEY=VALUE"),
        (["set", "/smtp/1", "rise=0"], EXIT_USAGE, "rise: "),
        (["set", "/smtp/1", "--merge", "{"], EXIT_USAGE, "--merge: not JSON"),
        (["set", "/smtp/1", "--merge", "[]"], EXIT_USAGE, "--merge takes an object"),
        (["set", "/smtp/1", "bindngs=:1"], EXIT_STORE, 'did you mean "bindings"?'),
        (["set", "/smtp/1", "command=start"], EXIT_STORE, "it is kept in runtime.json"),
        (["set", "/smpt/1", "bindings=:1"], EXIT_STORE, "unknown protocol"),
        (["set", "/http/1", "--merge", '{"bindings": [":1"], "body_match": "("}'], EXIT_STORE, "body_match"),
        (["set", "/smtp/1", "rise=3", "--if-revision", "6"], EXIT_FAILED, "based on revision 6"),
        (["get", "/smtp/1", "--store", "/nonexistent"], EXIT_USAGE, "there is no folder"),
    ],
)
def test_refusals(store: Path, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every refusal names what is wrong; the file stays byte by byte."""
    before = (store / "metabase.json").read_bytes()
    assert main(["metabase", *words]) == code
    assert told in capsys.readouterr().err
    assert (store / "metabase.json").read_bytes() == before
