"""`looksalive drift` on a store and the embedded directory, and on a real slapd."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_STORE, EXIT_USAGE
from probe.directory.embedded import DIRECTORY_FILE
from tests.cli.test_validate import CLUSTER, METABASE, write

TWO_SERVERS = {"schema_version": 1, "keys": METABASE["keys"] | {"/smtp/2": {"bindings": ["127.0.0.1:26"]}}}  # type: ignore[operator] # a dict


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with a group, whose directory has been pushed once."""
    folder = tmp_path / "store"
    folder.mkdir()
    write(folder, TWO_SERVERS, CLUSTER)
    assert drift(folder, "--policy", "push") == EXIT_OK
    return folder


def drift(folder: Path, *words: str) -> int:
    """Run the command on a store."""
    return main(["drift", "--store", str(folder), "--state-dir", str(folder.parent / "state"), *words])


def edit(folder: Path, name: str, **properties: object) -> None:
    """Change an object's properties as another tool does; None removes one."""
    path = folder / DIRECTORY_FILE
    document = json.loads(path.read_text())
    kept = document["objects"][name]["properties"] | properties
    document["objects"][name]["properties"] = {key: value for key, value in kept.items() if value is not None}
    path.write_text(json.dumps(document))


def parameters(folder: Path, name: str) -> Any:
    """Read a resource's parameters from cluster.json."""
    return json.loads((folder / "cluster.json").read_text())["groups"]["evs1"]["resources"][name].get("parameters")


def test_nothing_differs_after_a_push(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: exit 0 and the place that was compared; resources that no cluster.json has need no object."""
    capsys.readouterr()
    assert drift(store) == EXIT_OK
    assert capsys.readouterr().out == f"no difference between the store and {store / DIRECTORY_FILE}\n"
    assert list(json.loads((store / DIRECTORY_FILE).read_text())["objects"]) == ["evs1/sa", "evs1/smtp"]


def test_a_difference_is_shown(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: a row with the property, both values and since when, which a later look does not forget; exit 1."""
    edit(store, "evs1/smtp", virtual_server="/smtp/2", colour="red\u202e\x1b[2J")
    capsys.readouterr()
    assert drift(store) == EXIT_FAILED
    first = capsys.readouterr().out
    head, colour, server = first.splitlines()
    assert head.split() == ["RESOURCE", "PROPERTY", "STORE", "DIRECTORY", "SINCE"]
    assert colour.split()[:4] == ["evs1/smtp", "colour", "-", '"red\\u202e\\u001b[2J"']
    assert server.split()[:4] == ["evs1/smtp", "virtual_server", '"/smtp/1"', '"/smtp/2"']
    assert drift(store) == EXIT_FAILED
    assert capsys.readouterr().out == first


def test_json(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: --json says the same for programs; a value that is not there is left out."""
    edit(store, "evs1/smtp", virtual_server=None)
    capsys.readouterr()
    assert drift(store, "--json") == EXIT_FAILED
    document = json.loads(capsys.readouterr().out)
    (one,) = document["drift"]
    assert one.pop("since") > 1_000_000_000
    assert one == {"id": "evs1/smtp", "kind": "property", "property": "virtual_server", "store": "/smtp/1"}
    assert (document["directory"], document["policy"], document["mended"]) == (str(store / DIRECTORY_FILE), "report", 0)


def test_push_undoes_the_edit(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: push makes the directory what the store says, and the store stays as it is."""
    before = (store / "cluster.json").read_text()
    edit(store, "evs1/smtp", virtual_server="/smtp/2")
    capsys.readouterr()
    assert drift(store, "--policy", "push") == EXIT_OK
    assert capsys.readouterr().out.startswith("1 difference pushed\n")
    assert drift(store) == EXIT_OK
    assert (store / "cluster.json").read_text() == before


def test_pull_takes_the_edit_over(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: pull writes the directory's value into the parameters and nothing else of cluster.json."""
    edit(store, "evs1/smtp", virtual_server="/smtp/2")
    capsys.readouterr()
    assert drift(store, "--policy", "pull") == EXIT_OK
    assert capsys.readouterr().out.startswith("1 difference pulled\n")
    assert parameters(store, "smtp") == {"virtual_server": "/smtp/2"}
    assert json.loads((store / "cluster.json").read_text())["groups"]["evs1"]["resources"]["smtp"]["depends_on"] == [
        "sa"
    ]
    assert drift(store) == EXIT_OK


def test_pull_refuses_what_the_store_would(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: values that are mistakes are refused with the store's own list of all of them, and change nothing."""
    before = (store / "cluster.json").read_text()
    edit(store, "evs1/smtp", virtual_server="/smtp/9")
    capsys.readouterr()
    assert drift(store, "--policy", "pull") == EXIT_STORE
    assert "there is no virtual server '/smtp/9' in metabase.json" in capsys.readouterr().err.replace('"', "'")
    edit(store, "evs1/smtp", virtual_server="/smtp/2")
    edit(store, "evs1/sa", colour="red")
    assert drift(store, "--policy", "pull", "--json") == EXIT_STORE
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert problem["file"] == "cluster.json"
    assert problem["pointer"] == "/groups/evs1/resources/sa/parameters/colour"
    assert (store / "cluster.json").read_text() == before


def test_pull_leaves_objects_alone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: an object that is gone is not pulled, since that would delete its resource; it stays shown, exit 1."""
    path = store / DIRECTORY_FILE
    document = json.loads(path.read_text())
    del document["objects"]["evs1/smtp"]
    document["objects"]["evs9/old"] = {"type": "smtp"}
    path.write_text(json.dumps(document))
    capsys.readouterr()
    assert drift(store, "--policy", "pull") == EXIT_FAILED
    out = capsys.readouterr().out
    assert "(missing-object)" in out
    assert "(extra-object)" in out
    assert "--policy push" in out
    assert parameters(store, "smtp") == {"virtual_server": "/smtp/1"}
    assert drift(store, "--policy", "push") == EXIT_OK


def test_a_bad_directory_file(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 3 with the file's name and the mend for a directory that cannot be read; the store is not judged by it."""
    (store / DIRECTORY_FILE).write_text('{"schema_version": 1, "objects": {"evs1/smtp": 5}}')
    capsys.readouterr()
    assert drift(store) == EXIT_CANNOT_ASK
    err = capsys.readouterr().err
    assert str(store / DIRECTORY_FILE) in err
    assert "mend it" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--directory", "http://x/dc=a"), "http names no directory"),
        (("--directory", "ldap://h/nonsense"), "no distinguished name"),
        (("--directory", "ldap://h/dc=a?x"), "nothing behind the base"),
        (("--directory", "ldap://u:p@h/dc=a"), "takes no user or password"),
        (("--directory", "ldap://h:99999/dc=a"), "write ldap://127.0.0.1:389"),
        (("--directory", "ldap://h/dc=a", "--directory-bind-dn", "cn=a"), "belong together"),
        (("--directory", "ldap://h/dc=a", "--directory-ca-file", "/x"), "without TLS"),
        (("--directory", "ldaps://h/dc=a", "--directory-starttls", "required"), "leave out --directory-starttls"),
        (("--policy", "mend"), "invalid choice"),
    ],
)
def test_bad_usage(store: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    """Exit 2 with a sentence that says what to write instead."""
    capsys.readouterr()
    assert drift(store, *words) == EXIT_USAGE
    assert message in capsys.readouterr().err


def test_a_password_goes_nowhere_in_clear(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A password for another machine needs TLS; an empty one, which a server takes for nobody, is refused."""
    secret = tmp_path / "secret"
    secret.write_text("s3same\n")
    words = ("--directory-bind-dn", "cn=a", "--directory-password-file", str(secret))
    capsys.readouterr()
    assert drift(store, "--directory", "ldap://ldap.example.org/dc=a", *words) == EXIT_USAGE
    assert "in clear" in capsys.readouterr().err
    secret.write_text("\ns3same")
    assert drift(store, "--directory", "ldaps://ldap.example.org/dc=a", *words) == EXIT_USAGE
    assert "is empty" in capsys.readouterr().err
