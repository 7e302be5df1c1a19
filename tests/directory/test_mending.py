"""Looking, pushing and pulling (S73), on random stores and on a real slapd by the command itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.model import Store, StoreProblem
from bindings.store import StoreFolder
from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK
from probe.directory.contract import DirectoryObject
from probe.directory.drift import ABSENT, Kind, compare
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.mending import SEEN_FILE, Looks, pull, push
from probe.directory.names import Several
from probe.directory.pending import objects_of
from probe.values import ResourceId
from tests.directory.slapd import ADMIN, BASE, Slapd
from tests.directory.worlds import PROPERTIES, Shelf, objects
from tests.sim.files import MemoryFiles

PRESENT = [ResourceId("a", "x"), ResourceId("a", "y"), ResourceId("b", "x")]


def folder_of(files: MemoryFiles, parameters: Sequence[dict[str, object]]) -> StoreFolder:
    """A store with three resources of these parameters."""
    groups: dict[str, Any] = {}
    for id, own in zip(PRESENT, parameters, strict=True):
        resource = {"type": "exec", "depends_on": [], "parameters": own}
        groups.setdefault(id.group, {"resources": {}})["resources"][id.name] = resource
    files.put("/store/cluster.json", json.dumps({"schema_version": 1, "groups": groups}))
    return StoreFolder(files, "/store")


def fine(_: Store) -> list[StoreProblem]:
    """No objection."""
    return []


three = st.lists(PROPERTIES, min_size=3, max_size=3)


@given(three, st.lists(objects(), max_size=5), st.lists(objects(st.sampled_from(PRESENT)), max_size=5))
def test_push_then_compare(
    parameters: list[dict[str, object]], some: list[DirectoryObject], ours: list[DirectoryObject]
) -> None:
    """S73: after a push nothing differs, whatever was in the directory, and a second push changes nothing."""
    store = folder_of(MemoryFiles(), parameters).load()
    shelf = Shelf(*some, *ours)
    push(shelf, store, compare(objects_of(store), shelf.objects()))
    assert compare(objects_of(store), shelf.objects()) == ()
    assert [one.id for one in shelf.objects()] == PRESENT


@given(three, three)
def test_pull_then_compare(parameters: list[dict[str, object]], edited: list[dict[str, object]]) -> None:
    """S73: after a pull of edited properties nothing differs, and the directory stays as it was."""
    files = MemoryFiles()
    folder = folder_of(files, parameters)
    shelf = Shelf(*(DirectoryObject(id, "exec", own) for id, own in zip(PRESENT, edited, strict=True)))
    differences = compare(objects_of(folder.load()), shelf.objects())
    before = shelf.objects()
    pull(folder, differences, fine)
    assert compare(objects_of(StoreFolder(files, "/store").load()), shelf.objects()) == ()
    assert shelf.objects() == before


@given(three, st.lists(objects(st.sampled_from(PRESENT)), max_size=3))
def test_on_the_embedded_one(parameters: list[dict[str, object]], there: list[DirectoryObject]) -> None:
    """S73: the same push holds for what is really written to a file and read again."""
    files = MemoryFiles()
    store = folder_of(files, parameters).load()
    directory = EmbeddedDirectory(files, "/store")
    for one in there:
        directory.put(one)
    push(directory, store, compare(objects_of(store), directory.objects()))
    assert compare(objects_of(store), EmbeddedDirectory(files, "/store").objects()) == ()


def test_a_pull_is_all_or_nothing() -> None:
    """S73: one property with two values, or one objection of the store, and no other difference is pulled either."""
    files = MemoryFiles()
    folder = folder_of(files, [{}, {}, {}])
    shelf = Shelf(
        DirectoryObject(PRESENT[0], "exec", {"a": 1}), DirectoryObject(PRESENT[1], "exec", {"b": Several((1, 2))})
    )
    before = files.text("/store/cluster.json")
    differences = compare(objects_of(folder.load()), shelf.objects())
    with pytest.raises(StoreError, match=r"directory: a/y: b has 2 values in the directory; leave one of them there"):
        pull(folder, differences, fine)
    objection = StoreProblem("cluster.json", "/groups", "a/x", "no")
    with pytest.raises(StoreError, match="a/x: no"):
        pull(folder, [one for one in differences if one.property == "a"], lambda _: [objection])
    assert files.text("/store/cluster.json") == before


def test_objects_and_types_are_not_pulled() -> None:
    """S73: what exists and of what type is decided in the store: nothing is written for it."""
    files = MemoryFiles()
    folder = folder_of(files, [{}, {}, {}])
    shelf = Shelf(DirectoryObject(PRESENT[0], "tcp"), DirectoryObject(ResourceId("z", "z"), "tcp"))
    before = files.text("/store/cluster.json")
    assert pull(folder, compare(objects_of(folder.load()), shelf.objects()), fine) is None
    assert files.text("/store/cluster.json") == before


def test_a_resource_deleted_meanwhile() -> None:
    """S73: a resource that is gone when its difference is pulled stays gone."""
    files = MemoryFiles()
    folder = folder_of(files, [{}, {}, {}])
    shelf = Shelf(DirectoryObject(PRESENT[0], "exec", {"a": 1}))
    differences = compare(objects_of(folder.load()), shelf.objects())
    revision = folder.load().cluster_revision
    folder.write_cluster(*PRESENT[0], None, based_on=revision)
    assert pull(folder, differences, fine) is None


def test_since_when() -> None:
    """S73: since is the first look that found it, over restarts of ours; mended and broken again it begins anew."""
    files = MemoryFiles()
    store = folder_of(files, [{"n": 1}, {}, {}]).load()
    wanted = list(objects_of(store))
    shelf = Shelf(*wanted)

    def seen(now: float, value: object) -> list[tuple[object, object, float]]:
        shelf.kept[PRESENT[0]] = DirectoryObject(PRESENT[0], "exec", {"n": value})
        found = Looks(files, "/state").look(shelf, store, now)
        return [(one.in_store, one.in_directory, one.since) for one in found]

    assert seen(100.0, 2) == [(1, 2, 100.0)]
    assert seen(160.0, 2) == [(1, 2, 100.0)]
    assert seen(220.0, 3) == [(1, 3, 100.0)]
    assert seen(280.0, 1) == []
    assert seen(340.0, 2) == [(1, 2, 340.0)]
    assert seen(10.0, 2) == [(1, 2, 10.0)]  # our clock was set back


@pytest.mark.parametrize("spoil", ["garbage", "read-only"])
def test_a_memory_that_is_lost(spoil: str) -> None:
    """S73: a state folder that cannot be read or written costs the beginning of the differences, never the look."""
    files = MemoryFiles()
    store = folder_of(files, [{}, {}, {}]).load()
    if spoil == "garbage":
        files.put(f"/state/{SEEN_FILE}", "{")
    else:
        files.read_only.add("/state")
    found = Looks(files, "/state").look(Shelf(), store, 5.0)
    assert [(one.kind, one.in_directory, one.since) for one in found] == [(Kind.MISSING_OBJECT, ABSENT, 5.0)] * 3


# --- the command, on a real slapd ---


def test_on_a_real_slapd(tmp_path: Path, slapd: Slapd, capsys: pytest.CaptureFixture[str]) -> None:
    """S73: pushed to slapd, edited there by ldapmodify, shown with both values, pulled, and equal again."""
    store = tmp_path / "store"
    store.mkdir()
    servers = {"schema_version": 1, "keys": {f"/smtp/{n}": {"bindings": [f"127.0.0.1:{n}"]} for n in (1, 2)}}
    resources = {
        "sa": {"type": "system-attendant"},
        "smtp": {"type": "smtp", "parameters": {"virtual_server": "/smtp/1"}},
    }
    (store / "metabase.json").write_text(json.dumps(servers))
    (store / "cluster.json").write_text(json.dumps({"schema_version": 1, "groups": {"evs1": {"resources": resources}}}))

    def drift(*words: str) -> int:
        return main(["drift", "--store", str(store), "--state-dir", str(tmp_path / "state"), *words])

    words = ("--directory", slapd.url, "--directory-bind-dn", ADMIN, "--directory-password-file", slapd.password_file)
    assert drift(*words) == EXIT_FAILED
    assert drift(*words, "--policy", "push") == EXIT_OK
    slapd.edit(
        f"dn: cn=smtp,ou=evs1,{BASE}\nchangetype: modify\n"
        'delete: description\ndescription: parameters.virtual_server: "/smtp/1"\n-\n'
        'add: description\ndescription: parameters.virtual_server: "/smtp/2"\n'
    )
    capsys.readouterr()
    assert drift(*words) == EXIT_FAILED
    assert capsys.readouterr().out.splitlines()[1].split()[:4] == [
        "evs1/smtp",
        "virtual_server",
        '"/smtp/1"',
        '"/smtp/2"',
    ]
    assert drift(*words, "--policy", "pull") == EXIT_OK
    written = json.loads((store / "cluster.json").read_text())["groups"]["evs1"]["resources"]["smtp"]
    assert written == {"type": "smtp", "parameters": {"virtual_server": "/smtp/2"}}
    slapd.kill()
    assert drift(*words) == EXIT_CANNOT_ASK
    assert "is the server up" in capsys.readouterr().err
