"""Steps that the directory has still to be told of (S72): never lost, never half, done late or twice the same."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Literal

import pytest

from bindings.model import Store
from bindings.store import StoreFolder
from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.drift import compare
from probe.directory.ldap import LdapDirectory, LdapPlace
from probe.directory.pending import PENDING_FILE, Pending, object_of, objects_of
from probe.environment.streams import RealStreams
from probe.secret import Secret
from probe.values import ResourceId
from tests.directory.slapd import ADMIN, BASE, PASSWORD, Slapd
from tests.directory.worlds import FailingAt, Shelf
from tests.sim.files import Crash, MemoryFiles

CLUSTER = "/store/cluster.json"
IDS = [ResourceId("g", name) for name in "abc"]
BEFORE = '{"schema_version": 1, "groups": {"g": {"resources": {"c": {"type": "exec"}}}}}'
AFTER = (
    '{"schema_version": 1, "groups": {"g": {"resources": {'
    '"a": {"type": "exec", "parameters": {"argv": ["x"]}}, "b": {"type": "tcp"}}}}}'
)


def loader(files: MemoryFiles) -> Callable[[], Store]:
    """Load the store on a disk."""
    return StoreFolder(files, "/store").load


def started() -> tuple[MemoryFiles, Shelf]:
    """A store with one resource that has its object."""
    files = MemoryFiles.holding({CLUSTER: BEFORE})
    return files, Shelf(*objects_of(loader(files)()))


def change(files: MemoryFiles, directory: Shelf) -> None:
    """Create a and b, delete c: the store and then the directory."""
    pending = Pending(files, "/state")
    with pending.changing(*IDS):
        files.write(CLUSTER, AFTER.encode())
        files.sync(CLUSTER)
    pending.settle(directory, loader(files))


def test_a_change_leaves_nothing_pending() -> None:
    """S71, S72: after a change the directory is what the store says, and nothing is left to do."""
    files, shelf = started()
    change(files, shelf)
    assert Pending(files, "/state").ids() == ()
    assert compare(objects_of(loader(files)()), shelf.objects()) == ()
    assert shelf.get(IDS[2]) is None


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_directory_that_fails(number: int) -> None:
    """S72: a step that fails stays pending with all after it, is shown, and a later settle does what is left, once."""
    files, shelf = started()
    shelf.before = FailingAt(number)
    with pytest.raises(DirectoryError, match="no room"):
        change(files, shelf)
    pending = Pending(files, "/state")
    assert pending.ids() == tuple(IDS[number - 1 :])
    done: list[ResourceId] = []
    shelf.before = done.append
    assert pending.settle(shelf, loader(files)) == tuple(IDS[number - 1 :])
    assert done == IDS[number - 1 :]
    assert pending.settle(shelf, loader(files)) == ()
    assert compare(objects_of(loader(files)()), shelf.objects()) == ()


@pytest.mark.parametrize("names", ["durable", "latest"])
def test_a_crash_at_any_step(names: Literal["durable", "latest"]) -> None:
    """S72: whatever step the machine stops at, the next settle makes store and directory one."""
    for step in range(1, 60):
        files, shelf = started()
        files.fail_at = step
        try:
            change(files, shelf)
        except Crash:
            left = files.after_crash(names)
            if CLUSTER not in left.files or not left.files[CLUSTER].content:
                left.put(CLUSTER, BEFORE)  # what a store folder's own write promises, and a bare write does not
            Pending(left, "/state").settle(shelf, loader(left))
            assert compare(objects_of(loader(left)()), shelf.objects()) == ()
            assert Pending(left, "/state").ids() == ()
        else:
            return
    pytest.fail("no change came to its end")


def test_nothing_is_begun_that_cannot_be_noted() -> None:
    """S72: without a note the store is not written."""
    files, shelf = started()
    files.read_only.add("/state")
    with pytest.raises(DirectoryError, match="mend the state folder"):
        change(files, shelf)
    assert files.text(CLUSTER) == BEFORE
    assert shelf.objects() == (object_of(loader(files)(), IDS[2]),)


def test_one_at_a_time() -> None:
    """S72: while another writes the store nobody settles: an old store must not overwrite a new object."""
    files, shelf = started()
    with Pending(files, "/state").changing(IDS[0]):
        pass
    files.locked.add(f"/state/.{PENDING_FILE}.lock")
    with pytest.raises(DirectoryError, match="another program"):
        Pending(files, "/state").settle(shelf, loader(files))
    with pytest.raises(DirectoryError, match="another program"), Pending(files, "/state").changing(IDS[0]):
        pytest.fail("began although another is at it")


def test_a_spoilt_file() -> None:
    """S72: notes that cannot be read are an error with the mend, not forgotten silently."""
    files, shelf = started()
    files.put(f"/state/{PENDING_FILE}", '{"ids": ["nonsense"]}')
    with pytest.raises(DirectoryError, match="remove it, then run `looksalive drift`"):
        Pending(files, "/state").settle(shelf, loader(files))


def test_implied_resources_have_no_object() -> None:
    """S71: a virtual server's own resource is not in the cluster database, so it has no object."""
    files = MemoryFiles.holding(
        {"/store/metabase.json": '{"schema_version": 1, "keys": {"/tcp/1": {"bindings": ["h:1"]}}}'}
    )
    store = loader(files)()
    assert list(store.groups["default"].resources) == ["tcp-1"]
    assert list(objects_of(store)) == []


class _KilledAt(LdapDirectory):
    """Kills the server before a change of that number."""

    def __init__(self, slapd: Slapd, number: int) -> None:
        super().__init__(
            RealStreams(), LdapPlace("127.0.0.1", slapd.port, BASE, bind_dn=ADMIN, password=Secret(PASSWORD))
        )
        self._slapd, self._left = slapd, number

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._slapd.kill()

    def put(self, object: DirectoryObject) -> None:
        self._count()
        super().put(object)

    def remove(self, id: ResourceId) -> None:
        self._count()
        super().remove(id)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_slapd_killed_in_the_middle(slapd: Slapd, number: int) -> None:
    """S72: slapd killed (-9) between any two of the steps: the rest is pending, and done once it is back."""
    files, _ = started()
    directory = _KilledAt(slapd, number)
    for one in objects_of(loader(files)()):
        LdapDirectory.put(directory, one)
    pending = Pending(files, "/state")
    with pending.changing(*IDS):
        files.put(CLUSTER, AFTER)
    with pytest.raises(DirectoryError, match="is the server up"):
        pending.settle(directory, loader(files))
    assert pending.ids() == tuple(IDS[number - 1 :])
    slapd.start()
    slapd.signal(signal.SIGCONT)
    assert pending.settle(directory, loader(files)) == tuple(IDS[number - 1 :])
    assert compare(objects_of(loader(files)()), directory.objects()) == ()
