"""A store folder: loading, writing, revisions, conflicts, crashes, and the volatile half."""

from __future__ import annotations

import contextlib
import errno
import json
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.errors import (
    RevisionConflict,
    StoreBusy,
    StoreError,
    StoreReadOnly,
    StoreWriteFailed,
    WriteRefused,
)
from bindings.store import StoreFolder
from tests.bindings.examples import CLUSTER, METABASE
from tests.sim.files import Crash, MemoryFiles

FILE = "/store/metabase.json"
NEW = {"bindings": ["127.0.0.1:2525"]}


def disk(metabase: bytes | str = METABASE, **more: bytes) -> MemoryFiles:
    """Make a disk with a store on it."""
    return MemoryFiles.holding({FILE: metabase, **{f"/store/{name}": text for name, text in more.items()}})


def opened(files: MemoryFiles) -> StoreFolder:
    """Open the store, with a state folder beside it."""
    return StoreFolder(files, "/store", "/state")


def key(files: MemoryFiles, path: str) -> Any:
    """Read a key's raw properties from the disk."""
    return json.loads(files.text(FILE))["keys"].get(path)


def test_a_folder_is_loaded() -> None:
    """Both files make the store; a trailing slash of the folder does not matter."""
    files = disk(**{"cluster.json": CLUSTER})
    store = StoreFolder(files, "/store/").load()
    assert list(store.groups) == ["evs1", "default"]


def test_equal_texts_are_not_read_again() -> None:
    """A file touched but not changed gives the very same store."""
    files = disk()
    folder = opened(files)
    first = folder.load()
    files.put(FILE, METABASE)
    assert folder.load() is first


def test_a_bad_edit_leaves_the_last_good_store() -> None:
    """After a refused edit the folder goes on from the last good store, and a mended file is read."""
    files = disk()
    folder = opened(files)
    good = folder.load()
    files.put(FILE, METABASE.replace(b":25", b":99999"))
    with pytest.raises(StoreError, match="port 99999 is above 65535"):
        folder.load()
    assert repr(folder) == "<StoreFolder /store at revision 7>"
    files.put(FILE, METABASE + b"\n")
    assert folder.load() == good


def test_a_file_that_cannot_be_read_is_told() -> None:
    """A file beyond the bound, or one that the operating system refuses, is a mistake like any other."""

    class Broken(MemoryFiles):
        def read(self, path: str, bytes_max: int) -> bytes:
            raise OSError(errno.EACCES, "Permission denied", path)

    with pytest.raises(StoreError) as caught:
        StoreFolder(Broken(), "/store").load()
    assert str(caught.value).splitlines() == [
        "metabase.json: cannot be read: Permission denied",
        "cluster.json: cannot be read: Permission denied",
    ]


def test_a_write_is_loaded_back() -> None:
    """A key that was written is what the next load and the next program read; the revision is the next one."""
    files = disk()
    folder = opened(files)
    folder.load()
    assert folder.write_metabase("/smtp/1", NEW, based_on=7) == 8
    for reader in (folder, opened(files)):
        store = reader.load()
        assert store.metabase_revision == 8
        assert [binding.port for binding in store.virtual_servers["/smtp/1"].bindings] == [2525]
    assert folder.metabase_key("/smtp/1") == (8, NEW)


def test_a_write_leaves_every_other_key_as_its_author_wrote_it() -> None:
    """Only the key that changes is written anew; spacing and order of the others stay, and so do head entries."""
    text = '{"$schema": "x", "schema_version": 1, "revision": 1, "keys": {\n"/smtp": { "rise":1.0e0 ,\n "fall":2},'
    text += '"/smtp/1": {"bindings": [":1"]}, "/smtp/2": {"bindings"  : [":2"]}}}'
    files = disk(text)
    opened(files).write_metabase("/smtp/1", {"bindings": [":9"]}, based_on=1)
    assert files.text(FILE) == (
        '{\n  "$schema": "x",\n  "schema_version": 1,\n  "revision": 2,\n  "keys": {\n'
        '    "/smtp": { "rise":1.0e0 ,\n "fall":2},\n'
        '    "/smtp/1": {"bindings":[":9"]},\n'
        '    "/smtp/2": {"bindings"  : [":2"]}\n  }\n}\n'
    )


def test_a_patch_merges() -> None:
    """RFC 7396: objects entry by entry, null removes, the rest replaces; a key that is not there is made."""
    files = disk()
    folder = opened(files)
    folder.patch_metabase("/smtp/1", {"tls": {"verify": False, "ca_file": "/ca"}, "rise": 2}, based_on=7)
    folder.patch_metabase("/smtp/1", {"tls": {"verify": None}, "rise": None, "secure_bindings": None}, based_on=8)
    assert key(files, "/smtp/1") == {
        "comment": "Default SMTP virtual server",
        "bindings": ["127.0.0.1:25"],
        "tls": {"ca_file": "/ca"},
    }
    folder.patch_metabase("/imap", {"rise": 3}, based_on=9)
    assert key(files, "/imap") == {"rise": 3}


def test_a_key_is_removed() -> None:
    """None removes a key; one that is not there is a mistake."""
    files = disk()
    opened(files).write_metabase("/http/1", None, based_on=7)
    assert key(files, "/http/1") is None
    with pytest.raises(StoreError, match="/http/1: there is no such key"):
        opened(files).write_metabase("/http/1", None, based_on=8)


def test_a_missing_metabase_is_begun_by_the_first_write() -> None:
    """With a cluster.json alone the first write makes the metabase, based on revision 0."""
    files = MemoryFiles.holding({"/store/cluster.json": '{"schema_version": 1, "groups": {}}'})
    assert opened(files).write_metabase("/smtp/1", NEW, based_on=0) == 1
    assert list(opened(files).load().virtual_servers) == ["/smtp/1"]


def test_a_write_based_on_an_old_revision_is_a_conflict() -> None:
    """Two writers based on the same revision: the first wins, the second is told, and nothing is written."""
    files = disk()
    first, second = opened(files), opened(files)
    first.write_metabase("/smtp/1", NEW, based_on=7)
    text = files.text(FILE)
    with pytest.raises(RevisionConflict) as caught:
        second.write_metabase("/http/1", NEW, based_on=7)
    assert (caught.value.code, caught.value.based_on, caught.value.current) == ("revision_conflict", 7, 8)
    assert files.text(FILE) == text


@pytest.mark.parametrize(
    ("path", "properties", "wanted"),
    [
        ("/smtp/1", {"bindings": [":0"]}, "port 0 is below 1"),
        ("/smpt/1", {"bindings": [":1"]}, "unknown protocol"),
        ("/smtp/1", None, 'there is no virtual server "/smtp/1"'),
        ("/smtp/1", {**NEW, "command": "start"}, "it is kept in runtime.json"),
    ],
)
def test_a_write_that_would_spoil_the_store_writes_nothing(path: str, properties: Any, wanted: str) -> None:
    """The whole store is checked before a byte is written, with what cluster.json needs of it."""
    files = disk(**{"cluster.json": CLUSTER})
    folder = opened(files)
    with pytest.raises(StoreError, match=wanted):
        folder.write_metabase(path, properties, based_on=7)
    assert files.text(FILE).encode() == METABASE
    assert files.steps == ["lock /store/.lock"]
    assert folder.load().metabase_revision == 7


def test_a_write_never_drops_one_of_two_equal_keys() -> None:
    """A text that gives a key twice is refused, not tidied up."""
    text = '{"schema_version": 1, "keys": {"/smtp/1": {"bindings": [":1"]}, "/smtp/1": {"bindings": [":2"]}}}'
    with pytest.raises(StoreError, match='"/smtp/1" is given twice'):
        opened(disk(text)).write_metabase("/smtp/2", NEW, based_on=0)


def kept(files: MemoryFiles) -> list[int]:
    """List the kept revisions."""
    return sorted(int(name.split(".")[1]) for name in files.names("/store/revisions"))


def test_the_last_ten_revisions_are_kept() -> None:
    """Each write keeps the outgoing and the new document; beyond ten the oldest goes."""
    files = disk()
    folder = opened(files)
    folder.write_metabase("/smtp/1", NEW, based_on=7)
    assert kept(files) == [7, 8]
    assert files.files["/store/revisions/metabase.7.json"].content == METABASE
    for revision in range(8, 30):
        assert folder.patch_metabase("/smtp/1", {"comment": f"{revision}"}, based_on=revision) == revision + 1
    assert kept(files) == list(range(21, 31))
    assert files.text("/store/revisions/metabase.30.json") == files.text(FILE)


def test_a_hand_edit_need_not_raise_its_revision() -> None:
    """A hand edit under an old number is kept under a number of its own: neither text is lost."""
    files = disk()
    folder = opened(files)
    folder.write_metabase("/smtp/1", NEW, based_on=7)
    ours = files.text(FILE)
    by_hand = ours.replace("2525", "2626")
    files.put(FILE, by_hand)
    assert folder.patch_metabase("/smtp/1", {"rise": 3}, based_on=8) == 10
    assert kept(files) == [7, 8, 9, 10]
    assert files.text("/store/revisions/metabase.8.json") == ours
    assert files.text("/store/revisions/metabase.9.json") == by_hand
    assert key(files, "/smtp/1") == {"bindings": ["127.0.0.1:2626"], "rise": 3}


def test_our_revision_is_above_all_that_were() -> None:
    """A hand edit that went back to an old number does not make us reuse one."""
    files = disk()
    folder = opened(files)
    folder.write_metabase("/smtp/1", NEW, based_on=7)
    folder.write_metabase("/smtp/1", NEW | {"rise": 2}, based_on=8)
    files.put(FILE, METABASE)
    assert folder.write_metabase("/smtp/1", NEW, based_on=7) == 10


def test_a_read_only_store_reads_and_refuses_writes() -> None:
    """A ConfigMap serves reads; writes get store_read_only; the volatile half goes to the state folder."""
    files = disk()
    files.read_only.add("/store")
    folder = opened(files)
    folder.load()
    with pytest.raises(StoreReadOnly) as caught:
        folder.write_metabase("/smtp/1", NEW, based_on=7)
    assert caught.value.code == "store_read_only"
    assert str(caught.value).startswith("/store cannot be written (Read-only file system)")
    folder.write_runtime("/smtp/1", {"command": "start"})
    assert "/state/runtime.json" in files.files
    assert folder.runtime("/smtp/1") == {"command": "start"}
    with pytest.raises(StoreReadOnly):
        StoreFolder(files, "/store").write_runtime("/smtp/1", {"command": "stop"})


def test_a_locked_store_is_busy() -> None:
    """While another program holds the lock a write is refused by name, and can be tried again."""
    files = disk()
    folder = opened(files)
    files.locked.add("/store/.lock")
    with pytest.raises(StoreBusy) as caught:
        folder.write_metabase("/smtp/1", NEW, based_on=7)
    assert caught.value.code == "store_busy"
    files.locked.clear()
    assert folder.write_metabase("/smtp/1", NEW, based_on=7) == 8
    assert files.locked == set()


def test_the_volatile_half_is_shown_in_place() -> None:
    """S58: command and state are kept apart from the revisions and shown with the key's properties."""
    files = disk()
    folder = opened(files)
    folder.write_runtime("/smtp/1", {"command": "start"})
    folder.write_runtime("/smtp/1", {"state": "started"})
    found = folder.metabase_key("/smtp/1")
    assert found is not None
    assert found[0] == 7
    assert list(found[1])[-2:] == ["command", "state"]
    folder.write_runtime("/smtp/1", {"command": None, "state": None})
    assert folder.runtime("/smtp/1") == {}
    assert json.loads(files.text("/store/runtime.json"))["keys"] == {}
    assert kept(files) == []
    assert folder.metabase_key("/smtp/2") is None
    for wrong in ({"comand": "start"}, {"command": "rm -rf /"}):
        with pytest.raises(ValueError, match="is not"):
            folder.write_runtime("/smtp/1", wrong)


def test_the_later_volatile_half_counts() -> None:
    """A store that was read-only for a while has two runtime.json; the one written last is read."""
    files = disk()
    folder = opened(files)
    folder.write_runtime("/smtp/1", {"state": "started"})
    files.read_only.add("/store")
    folder.write_runtime("/smtp/1", {"state": "stopping"})
    assert folder.runtime("/smtp/1") == {"state": "stopping"}
    files.read_only.clear()
    folder.write_runtime("/smtp/1", {"state": "stopped"})
    assert folder.runtime("/smtp/1") == {"state": "stopped"}


@pytest.mark.parametrize("text", [b"", b"[]", b"\xff", b'{"keys": {"/smtp/1": 1}}', b"[" * 100_000])
def test_a_broken_volatile_half_counts_as_empty(text: bytes) -> None:
    """runtime.json may be lost: a broken one stops nothing and is replaced by the next write."""
    files = disk(**{"runtime.json": text})
    folder = opened(files)
    assert folder.runtime("/smtp/1") == {}
    folder.write_runtime("/smtp/1", {"state": "started"})
    assert folder.runtime("/smtp/1") == {"state": "started"}


def steps_of_a_write() -> int:
    """Count the steps of a write that keeps, replaces and prunes."""
    files, folder = many_revisions()
    folder.write_metabase("/smtp/1", NEW, based_on=20)
    return len(files.steps)


def many_revisions() -> tuple[MemoryFiles, StoreFolder]:
    """Make a store at revision 20, edited by hand, whose next write must also prune."""
    files = disk()
    folder = opened(files)
    for revision in range(7, 20):
        folder.patch_metabase("/smtp/1", {"comment": f"{revision}"}, based_on=revision)
    files.put(FILE, files.text(FILE).replace("127.0.0.1:25", "127.0.0.1:26"))
    files.steps.clear()
    return files, folder


STEPS = steps_of_a_write()


def test_a_write_is_as_long_as_the_crash_tests_think() -> None:
    """The crash tests below stop a write before each of its steps; there are enough of them to mean something."""
    assert STEPS > 10


@pytest.mark.parametrize("names", ["durable", "latest"])
@pytest.mark.parametrize("step", range(1, STEPS + 2))
def test_a_crash_at_any_step_leaves_a_whole_store(step: int, names: Literal["durable", "latest"]) -> None:
    """Whatever step of a write the machine stops at, the store loads, as before or as wanted, and nothing is lost.

    The disk holds synced contents only, and the names as synced or as last seen.
    """
    files, folder = many_revisions()
    before, last = files.text(FILE), files.text("/store/revisions/metabase.20.json")
    files.fail_at = step
    done = False
    with contextlib.suppress(Crash):
        done = folder.write_metabase("/smtp/1", NEW, based_on=20) > 20
    after = files.after_crash(names)
    ports = [b.port for b in opened(after).load().virtual_servers["/smtp/1"].bindings]
    assert ports in ([26, 465], [2525])
    assert ports == [2525] or not done
    texts = [after.text(name) for name in after.files]
    assert before in texts
    assert last in texts
    written = opened(after).write_metabase("/smtp/1", NEW | {"rise": 9}, based_on=revision_of(after))
    assert written > 20
    assert opened(after).load().virtual_servers["/smtp/1"].rise == 9


def revision_of(files: MemoryFiles) -> int:
    """Read the revision that a disk's metabase declares."""
    return int(json.loads(files.text(FILE))["revision"])


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_a_step_that_fails_leaves_a_whole_store(step: int) -> None:
    """A full disk at any step is told as such or does not matter; the store in place is whole and agrees with us."""
    files, folder = many_revisions()
    files.fail_at, files.failure = step, OSError(errno.ENOSPC, "No space left on device")
    try:
        folder.write_metabase("/smtp/1", NEW, based_on=20)
        wrote = True
    except StoreWriteFailed as error:
        wrote = False
        message = f"{error.code}: {error}"
    if wrote:
        assert key(files, "/smtp/1") == NEW
    else:
        assert message == "store_write_failed: writing /store failed: No space left on device"
    assert opened(files).load() == folder.load()
    assert not [name for name in files.names("/store") if name.endswith(".new")]
    files.fail_at = None
    folder.write_metabase("/smtp/1", NEW | {"rise": 4}, based_on=revision_of(files))
    assert folder.load().virtual_servers["/smtp/1"].rise == 4


KEYS = st.sampled_from(["/", "/smtp", "/smtp/1", "/smtp/2", "/http/1", "/bad/1"])
PROPERTIES = st.fixed_dictionaries(
    {}, optional={"bindings": st.just([":1"]), "rise": st.integers(0, 3) | st.none(), "tls": st.just({"verify": False})}
)
DEEDS = st.lists(
    st.tuples(st.sampled_from(["write", "patch", "remove"]), KEYS, PROPERTIES, st.integers(-1, 0)), max_size=8
)


@given(DEEDS)
def test_any_sequence_of_writes_keeps_the_store_sound(deeds: list[tuple[str, str, dict[str, object], int]]) -> None:
    """After any writes, good and refused, the folder, another program and the keys read back agree."""
    files = disk()
    folder = opened(files)
    revision = 7
    for deed, path, properties, offset in deeds:
        wanted = None if deed == "remove" else properties
        try:
            if deed == "patch":
                revision = folder.patch_metabase(path, properties, based_on=revision + offset)
            else:
                revision = folder.write_metabase(path, wanted, based_on=revision + offset)
        except (StoreError, WriteRefused):
            continue
        assert offset == 0
        found = folder.metabase_key(path)
        if deed == "write":
            assert found == (revision, properties)
        assert (found is None) is (deed == "remove")
    assert folder.load() == opened(files).load()
    assert folder.load().metabase_revision == revision == revision_of(files)
