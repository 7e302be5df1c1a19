"""`looksalive validate` on stores in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_OK, EXIT_STORE, EXIT_USAGE

METABASE = {
    "schema_version": 1,
    "keys": {"/smtp/1": {"bindings": ["127.0.0.1:25"]}, "/imap/1": {"bindings": ["[::1]:143"]}},
}
CLUSTER = {
    "schema_version": 1,
    "groups": {
        "evs1": {
            "resources": {
                "sa": {"type": "system-attendant"},
                "smtp": {"type": "smtp", "depends_on": ["sa"], "parameters": {"virtual_server": "/smtp/1"}},
            }
        }
    },
}


def write(folder: Path, metabase: object, cluster: object = None) -> str:
    """Write a store and return its folder."""
    (folder / "metabase.json").write_text(json.dumps(metabase))
    if cluster is not None:
        (folder / "cluster.json").write_text(json.dumps(cluster))
    return str(folder)


def test_a_good_store_is_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 0 and how much there is; a virtual server that nobody names is a resource of its own."""
    assert main(["validate", "--store", write(tmp_path, METABASE, CLUSTER)]) == EXIT_OK
    captured = capsys.readouterr()
    assert captured.out == "ok: 2 virtual servers, 3 resources in 2 groups\n"
    assert captured.err == ""


def test_every_mistake_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78 and a line for each mistake: file, place, message, hint, pointer."""
    keys = {"/smtp/1": {"bindings": ["127.0.0.1:99999"]}, "/pop3/1": {"bindingz": []}}
    assert main(["validate", "--store", write(tmp_path, {"schema_version": 1, "keys": keys})]) == EXIT_STORE
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    first = "metabase.json: /smtp/1: bindings[0]: port 99999 is above 65535 (at /keys/~1smtp~11/bindings/0)"
    assert lines[0] == first
    assert any('did you mean "bindings"?' in line for line in lines)
    assert captured.out == ""


def test_types_and_controllers_are_checked_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What only the resources know: a type and a controller that do not exist."""
    cluster = {
        "schema_version": 1,
        "groups": {"g": {"resources": {"a": {"type": "smpt", "controller": {"kind": "nun"}}}}},
    }
    assert main(["validate", "--store", write(tmp_path, METABASE, cluster)]) == EXIT_STORE
    err = capsys.readouterr().err
    assert "there is no type 'smpt'" in err
    assert "there is no controller 'nun'" in err


@pytest.mark.parametrize(
    ("metabase", "ok", "code"),
    [(METABASE, True, EXIT_OK), ({"schema_version": 1, "keys": {"/x/1": {}}}, False, EXIT_STORE)],
)
def test_json(metabase: Any, ok: bool, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json is one object: whether it is good, what is wrong, how much there is."""
    assert main(["validate", "--json", "--store", write(tmp_path, metabase)]) == code
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"] is ok
    if ok:
        assert answer == {"ok": True, "problems": [], "virtual_servers": 2, "groups": 1, "resources": 2}
    else:
        assert set(answer["problems"][0]) == {"file", "pointer", "place", "message", "hint"}


@pytest.mark.parametrize(
    ("make", "words"), [(False, "there is no such folder"), (True, "metabase.json: there is no such file")]
)
def test_a_store_that_is_not_there(make: bool, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder, or a metabase in it, that does not exist is a bad store with its mend."""
    folder = tmp_path / "store"
    if make:
        folder.mkdir()
    assert main(["validate", "--store", str(folder)]) == EXIT_STORE
    assert words in capsys.readouterr().err


def test_the_store_from_the_variable(tmp_path: Path, variables: pytest.MonkeyPatch) -> None:
    """LOOKSALIVE_STORE names the store here too."""
    variables.setenv("LOOKSALIVE_STORE", write(tmp_path, METABASE))
    assert main(["validate"]) == EXIT_OK


def test_without_a_store_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    """No store named is bad usage, not a bad store."""
    assert main(["validate"]) == EXIT_USAGE
    assert "LOOKSALIVE_STORE" in capsys.readouterr().err


def test_a_mistake_cannot_forge_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Names out of the file are escaped on the terminal."""
    store = write(tmp_path, {"schema_version": 1, "keys": {"/smtp/\x1b[2J\nok: fine": {}}})
    assert main(["validate", "--store", store]) == EXIT_STORE
    assert main(["validate", "--store", "/nonexistent/\x1b[2J"]) == EXIT_STORE
    assert all(line.isprintable() for line in capsys.readouterr().err.splitlines())
