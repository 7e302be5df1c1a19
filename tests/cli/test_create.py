"""`looksalive create` and `set`: words and flags, what is shown, and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE

GROUP = ["create", "system-attendant", "evs1", "--without", "search"]


@pytest.fixture
def store(tmp_path: Path, variables: pytest.MonkeyPatch) -> Path:
    """An empty store, named by its variable, and a state folder beside it."""
    folder = tmp_path / "store"
    folder.mkdir()
    variables.setenv("LOOKSALIVE_STORE", str(folder))
    variables.setenv("LOOKSALIVE_STATE_DIR", str(tmp_path / "state"))
    return folder


def document(store: Path, name: str) -> Any:
    """Read a file of the store."""
    return json.loads((store / f"{name}.json").read_text())


def resources(store: Path, group: str = "evs1") -> Any:
    """Read a group's resources."""
    return document(store, "cluster")["groups"][group]["resources"]


def test_a_whole_group_by_flags_and_words(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S17: flags for what most need, words for everything else; each ends where it belongs."""
    words = ["--smtp", "127.0.0.1:25", "--smtp", "[::1]:25", "--ip", "192.0.2.7/24", "smtp.tls.verify=false"]
    words += ["--store-controller", "systemd:dovecot.service", "store.restart_threshold=4", "smtp.expect=220"]
    words += ["--http-controller", "process:/usr/sbin/nginx -g 'daemon off;'", "--owner", "node1"]
    words += ["--routing-controller", '{"kind": "supervisord", "program": "routing", "socket": "/run/s.sock"}']
    assert main([*GROUP, *words]) == EXIT_OK
    assert "written: evs1/sa (system-attendant)" in capsys.readouterr().out
    found = resources(store)
    assert found["ip"]["parameters"] == {"address": "192.0.2.7/24"}
    assert found["store"]["controller"] == {"kind": "systemd", "unit": "dovecot.service"}
    assert found["store"]["restart_threshold"] == 4
    assert found["http"]["controller"] == {"kind": "process", "command": ["/usr/sbin/nginx", "-g", "daemon off;"]}
    assert found["routing"]["controller"]["socket"] == "/run/s.sock"
    server = {"bindings": ["127.0.0.1:25", "[::1]:25"], "tls": {"verify": False}, "expect": "220"}
    assert document(store, "metabase")["keys"]["/smtp/evs1"] == server
    assert document(store, "cluster")["groups"]["evs1"]["possible_owners"] == ["node1"]


def test_a_dry_run_shows_and_writes_nothing(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--dry-run prints the difference of both files, and leaves no file behind."""
    assert main([*GROUP, "--dry-run"]) == EXIT_OK
    out = capsys.readouterr().out
    assert "+++ metabase.json (then)" in out
    assert '+    "/smtp/evs1": {"bindings":["*:25"]},' in out
    assert '+        "sa": {' in out
    assert list(store.iterdir()) == []


def test_json(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json prints one object: what is so now, by id and key; a refusal is an error object."""
    assert main(["create", "tcp", "g/db", "--binding", "127.0.0.1:5432", "--json"]) == EXIT_OK
    told = json.loads(capsys.readouterr().out)
    assert (told["changed"], told["dry_run"], told["directory_pending"]) == (True, False, [])
    assert told["revisions"] == {"metabase": 1, "cluster": 1}
    assert told["metabase"] == {"/tcp/g-db": {"bindings": ["127.0.0.1:5432"]}}
    assert told["resources"]["g/db"]["type"] == "tcp"
    assert main(["create", "mta", "g/mta", "--json"]) == EXIT_FAILED
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "no_provider"
    assert "looksalive create system-attendant g" in error["message"]


def test_mistakes_are_all_told_and_nothing_is_written(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S18: exit 78 with every mistake of every member, and what may be left out; the folder stays empty."""
    words = ["create", "system-attendant", "evs1", "http.body_match=(", "smtp.restart_period_s=1"]
    assert main(words) == EXIT_STORE
    err = capsys.readouterr().err
    assert "evs1/search: parameters.health: is missing" in err
    assert "/http/evs1: body_match" in err
    assert "--without search" in err
    assert list(store.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["smpt", "g/x"], "there is no type 'smpt'; did you mean smtp?"),
        (["smtp", "g"], "say how the smtp is called: g/NAME"),
        (["smtp", "g/x", "--smtp", ":25"], "flags of a whole group do not go with smtp"),
        (["system-attendant", "g", "--binding", ":25"], "of a group say whose"),
        (["system-attendant", "g", "stor.health=x"], "a group has no member 'stor'; did you mean store?"),
        (["system-attendant", "g", "health=x"], "a group has no member 'health'"),
        (["system-attendant", "g", "store=x"], "of which member?"),
        (["smtp", "g/x", "restart_treshold=1"], 'did you mean "restart_threshold"?'),
        (["smtp", "g/x", "restart_threshold"], "is not KEY=VALUE"),
        (["smtp", "g/x", "restart_threshold=many"], "restart_threshold: must be a whole number"),
        (["smtp", "g/x", "--binding", ":99999"], "port 99999 is above 65535"),
        (["smtp", "g/x", "--controller", "sytemd"], "there is no kind 'sytemd'"),
        (["smtp", "g/x", "--controller", "systemd"], "controller systemd: unit: is missing"),
        (["smtp", "g/x", "--controller", "none:x"], "nothing to be told after the colon"),
        (["smtp", "g/x", "--controller", "{"], "not JSON"),
        (["ip-address", "g/x", "address=nowhere"], "address: "),
        (["exec", "g/x", "argv='"], "argv: No closing quotation"),
        (["system-attendant", "g", "--without", "store"], ""),
    ],
)
def test_bad_usage_is_told(store: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be meant is exit 2 (a group without its store 1), named and with the nearest that could be."""
    assert main(["create", *words]) == (EXIT_USAGE if told else EXIT_FAILED)
    assert told in capsys.readouterr().err
    assert list(store.iterdir()) == []


def test_bad_words_are_all_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S10: one creation names every word that cannot be meant, and of which member it is."""
    words = ["create", "system-attendant", "evs1", "--ip", "nowhere", "--smtp", ":99999", "store.helth=grpc://h:1"]
    assert main(words) == EXIT_USAGE
    err = capsys.readouterr().err
    assert 'ip: address: "nowhere" is no address with a prefix length' in err
    assert "smtp: bindings: " in err
    assert "99999" in err
    assert "store: 'helth' is nothing of information-store; did you mean \"health\"?" in err
    assert main(["create", "smtp", "g/x", "rise=none", "fall=none"]) == EXIT_USAGE
    err = capsys.readouterr().err
    assert "rise: " in err
    assert "fall: " in err
    assert list(store.iterdir()) == []


def test_a_folder_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A store that does not exist is never made by a typo."""
    assert main([*GROUP, "--store", str(tmp_path / "nowhere")]) == EXIT_USAGE
    assert "there is no folder" in capsys.readouterr().err
    assert main([*GROUP]) == EXIT_USAGE
    assert "--store DIR is missing" in capsys.readouterr().err


def test_a_directory_that_cannot_be_told(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S72: the resources exist, the pending ones are named, and the next command tells the directory."""
    (store / "directory.json").write_text("{")
    assert main(["create", "service", "g/one"]) == EXIT_OK
    assert "directory_pending: g/one will be told to the directory later" in capsys.readouterr().err
    (store / "directory.json").unlink()
    assert main(["create", "service", "g/two"]) == EXIT_OK
    assert set(document(store, "directory")["objects"]) == {"g/one", "g/two"}


def test_new_properties(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S74: `set` stores them, and says whether they count now or at the next online."""
    assert main(GROUP) == EXIT_OK
    assert main(["set", "evs1/smtp", "restart_threshold=5"]) == EXIT_OK
    assert "note: takes effect at once" in capsys.readouterr().out
    assert main(["set", "evs1/store", "health=http://127.0.0.1:8080/", "controller=systemd:dovecot.service"]) == EXIT_OK
    assert "note: takes effect at next online" in capsys.readouterr().out
    assert resources(store)["store"]["parameters"] == {"name": "evs1", "health": "http://127.0.0.1:8080/"}
    assert main(["set", "evs1/store", "health=null", "restart_threshold=null"]) == EXIT_OK
    assert resources(store)["store"]["parameters"] == {"name": "evs1"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["evs1/smtp", "bindings=:26"], EXIT_USAGE, "looksalive metabase set /smtp/evs1 KEY=VALUE"),
        (["evs1", "rise=1"], EXIT_USAGE, "set takes one resource"),
        (["evs1/mta", "group=evs2"], EXIT_FAILED, "--rehome-mta"),
        (["evs1/none", "rise=1"], EXIT_FAILED, "there is no evs1/none"),
        (["evs1/smtp", "depends_on=nobody"], EXIT_STORE, 'there is no resource "nobody"'),
    ],
)
def test_what_cannot_be_set(
    store: Path, words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """S26: refused in one sentence with what to do instead; the file is as before."""
    assert main(GROUP) == EXIT_OK
    before = (store / "cluster.json").read_text()
    assert main(["set", *words]) == code
    assert told in capsys.readouterr().err
    assert (store / "cluster.json").read_text() == before
