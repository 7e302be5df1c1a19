"""An edit of both documents: all of it or nothing, and a sound store wherever the machine stops."""

from __future__ import annotations

import contextlib
import json
from typing import Any, Literal

import pytest

from bindings.edits import Edit, StoreRevisions
from bindings.errors import RevisionConflict, StoreError
from bindings.model import Store, StoreProblem
from bindings.store import StoreFolder
from tests.bindings.examples import CLUSTER, METABASE
from tests.sim.files import Crash, MemoryFiles

IMAP = {"type": "imap", "depends_on": ["store"], "parameters": {"virtual_server": "/imap/1"}}
WITHOUT = {"type": "system-attendant"}
EDIT = Edit(
    keys={"/imap/1": {"bindings": ["127.0.0.1:143"]}, "/smtp/1": None},
    resources={("evs1", "imap"): IMAP, ("evs1", "smtp"): None, ("evs1", "sa"): WITHOUT},
    deleted={("evs1", "search"): {"type": "search"}},
)
AT = StoreRevisions(7, 3)


def disk() -> MemoryFiles:
    """Make a disk with a store on it."""
    return MemoryFiles.holding({"/store/metabase.json": METABASE, "/store/cluster.json": CLUSTER})


def folder(files: MemoryFiles) -> StoreFolder:
    """Open the store on it."""
    return StoreFolder(files, "/store")


def content(files: MemoryFiles) -> tuple[Any, Any]:
    """Read what both documents hold, whatever their revisions."""
    return (
        json.loads(files.text("/store/metabase.json"))["keys"],
        json.loads(files.text("/store/cluster.json"))["groups"],
    )


def test_both_documents_change() -> None:
    """New keys come before the resources that name them, keys that go after; each file has its revisions kept."""
    files = disk()
    assert folder(files).write_both(EDIT, based_on=AT) == (9, 4)
    keys, groups = content(files)
    assert list(keys) == ["/smtp", "/http/1", "/imap/1"]
    assert list(groups["evs1"]["resources"]) == ["sa", "store", "imap"]
    assert groups["evs1"]["deleted"] == {"search": {"type": "search"}}
    replaced = [step.rpartition("/")[2] for step in files.steps if step.startswith("rename /store/.")]
    assert replaced == [".unfinished.json.new", ".metabase.json.new", ".cluster.json.new", ".metabase.json.new"]
    kept = files.names("/store/revisions")
    assert kept == ["cluster.3.json", "cluster.4.json", "metabase.7.json", "metabase.8.json", "metabase.9.json"]
    assert folder(files).load().groups["evs1"].deleted == {"search": {"type": "search"}}


def test_one_resource_is_written() -> None:
    """A resource is set and removed under the revision of its own document; a missing file is begun."""
    files = disk()
    store = folder(files)
    assert store.write_cluster("evs1", "sa", {"type": "system-attendant", "restart_threshold": 5}, based_on=3) == 4
    assert store.load().groups["evs1"].resources["sa"].restart_threshold == 5
    assert store.write_cluster("evs1", "smtp", None, based_on=4) == 5
    assert "smtp-1" in store.load().groups["default"].resources
    files = MemoryFiles.holding({"/store/metabase.json": METABASE})
    assert folder(files).write_cluster("g", "sa", WITHOUT, based_on=0) == 1


@pytest.mark.parametrize("based_on", [StoreRevisions(6, 3), StoreRevisions(7, 2), StoreRevisions(8, 4)])
def test_an_edit_on_an_old_store_is_a_conflict(based_on: StoreRevisions) -> None:
    """S24: two edits based on the same store: exactly one is carried out, whichever file they differ in."""
    files = disk()
    before = content(files)
    with pytest.raises(RevisionConflict):
        folder(files).write_both(EDIT, based_on=based_on)
    assert content(files) == before
    first, second = folder(files), folder(files)
    first.write_both(EDIT, based_on=AT)
    with pytest.raises(RevisionConflict) as caught:
        second.write_both(EDIT, based_on=AT)
    assert (caught.value.based_on, caught.value.current) == (7, 9)
    with pytest.raises(RevisionConflict):
        second.write_cluster("evs1", "imap", None, based_on=3)


@pytest.mark.parametrize(
    ("edit", "wanted"),
    [
        (Edit({"/imap/1": {"bindings": [":99999"]}}, resources={("evs1", "imap"): IMAP}), "99999 is above 65535"),
        (Edit(resources={("evs1", "imap"): IMAP}), 'there is no virtual server "/imap/1"'),
        (Edit({"/smtp/1": None}), 'there is no virtual server "/smtp/1"'),
        (Edit(resources={("evs1", "store"): None}), 'there is no resource "store" in group "evs1"'),
        (Edit(resources={("evs1", "x"): {"typ": "smtp"}}), 'unknown key "typ"'),
        (Edit({"/imap/1": {"bindings": [":1"]}}, {"evs2": None}), "there is no such group"),
    ],
)
def test_a_mistake_anywhere_writes_nothing(edit: Edit, wanted: str) -> None:
    """S18: all stages are read before the first is written, so that a mistake in the last one changes nothing."""
    files = disk()
    before = content(files)
    with pytest.raises(StoreError, match=wanted):
        folder(files).write_both(edit, based_on=AT)
    assert content(files) == before
    assert files.steps == ["lock /store/.lock"]


def test_what_others_object_to_is_not_written() -> None:
    """A check of who knows more, types and controllers, sees the store as it would be."""

    def check(store: Store) -> list[StoreProblem]:
        assert "imap" in store.groups["evs1"].resources
        return [StoreProblem("cluster.json", "", "evs1/imap", "no")]

    files = disk()
    with pytest.raises(StoreError, match="evs1/imap: no"):
        folder(files).write_both(EDIT, based_on=AT, check=check)
    assert files.steps == ["lock /store/.lock"]


def steps_of_the_edit() -> int:
    """Count the steps of the whole edit."""
    files = disk()
    folder(files).write_both(EDIT, based_on=AT)
    return len(files.steps)


STEPS = steps_of_the_edit()


@pytest.mark.parametrize("names", ["durable", "latest"])
@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_a_crash_at_any_step_leaves_a_sound_store(step: int, names: Literal["durable", "latest"]) -> None:
    """Wherever the machine stops the store loads; `finish` leaves the edit done or undone, and then it can be done."""
    files = disk()
    files.fail_at = step
    with contextlib.suppress(Crash):
        folder(files).write_both(EDIT, based_on=AT)
    after = files.after_crash(names)
    found = folder(after).load().groups["evs1"].resources
    assert set(found) in ({"sa", "store", "smtp"}, {"sa", "store", "imap"})
    folder(after).finish()
    keys, _ = content(after)
    assert ("/imap/1" in keys) is ("imap" in found)
    assert ("/smtp/1" in keys) is ("smtp" in found)
    assert folder(after).finish() == ()
    if "smtp" in found:
        documents = folder(after).documents()
        folder(after).write_both(EDIT, based_on=StoreRevisions(documents[0].revision, documents[1].revision))
    whole = disk()
    folder(whole).write_both(EDIT, based_on=AT)
    assert content(after) == content(whole)


def test_finishing_takes_nobody_elses_keys() -> None:
    """A noted key that says something else by now, or that a resource names, stays; a broken note counts as none."""
    files = disk()
    files.put("/store/unfinished.json", '{"keys": {"/http/1": {"bindings": [":1"]}, "/smtp/1": {}}}')
    assert folder(files).finish() == ()
    assert "/store/unfinished.json" not in files.files
    own = json.loads(METABASE)["keys"]
    files.put("/store/unfinished.json", json.dumps({"keys": {"/http/1": own["/http/1"], "/smtp/1": own["/smtp/1"]}}))
    assert folder(files).finish() == ("/http/1",)
    files.put("/store/unfinished.json", "{")
    assert folder(files).finish() == ()


def test_a_preview_writes_nothing() -> None:
    """What would be written is shown whole, file by file, and every mistake is told as the write would."""
    files = disk()
    shown = folder(files).preview(EDIT, based_on=AT)
    assert not files.steps
    assert [file for file, _, _ in shown] == ["metabase.json", "cluster.json"]
    folder(files).write_both(EDIT, based_on=AT)
    assert {file: after.decode() for file, _, after in shown} == {
        name: files.text(f"/store/{name}") for name in ("metabase.json", "cluster.json")
    }
    with pytest.raises(RevisionConflict):
        folder(files).preview(EDIT, based_on=AT)
