"""Changes carried out: the store first, the directory last, and the same end wherever the machine stopped."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bindings.errors import StoreError
from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.directory.changes import Changes
from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.pending import Pending
from probe.resources.altering import plan_properties
from probe.resources.changes import Change, Present, Refused
from probe.resources.creation import Wanted, plan_group
from probe.resources.deletion import plan_deletion
from probe.values import ResourceId
from tests.resources.stores import HEALTH
from tests.sim.files import Crash, MemoryFiles

Plan = Callable[[Present], Change]
STORE = {"/store/metabase.json", "/store/cluster.json", "/store/directory.json"}


@dataclass
class AwayDirectory:
    """A directory that can be away, and knows what it was told."""

    away: bool = False
    told: list[str] = field(default_factory=list)
    kept: dict[ResourceId, DirectoryObject] = field(default_factory=dict)
    place: str = "memory"

    def get(self, id: ResourceId) -> DirectoryObject | None:
        return self.kept.get(id)

    def put(self, object: DirectoryObject) -> None:
        self._ask(f"put {object.id}")
        self.kept[object.id] = object

    def remove(self, id: ResourceId) -> None:
        self._ask(f"remove {id}")
        self.kept.pop(id, None)

    def objects(self) -> tuple[DirectoryObject, ...]:
        return tuple(self.kept[id] for id in sorted(self.kept))

    def _ask(self, what: str) -> None:
        if self.away:
            raise DirectoryError("the directory is away")
        self.told.append(what)


def changes_of(files: MemoryFiles, directory: AwayDirectory | None = None) -> Changes:
    """Open the store on a disk, with a directory on the same disk unless another is given."""
    place = directory or EmbeddedDirectory(files, "/store", "/state")
    return Changes(StoreFolder(files, "/store", "/state"), place, Pending(files, "/state"), CONTROLLER_KINDS)


def create(group: str) -> Plan:
    """Plan a whole group."""
    smtp = Wanted(server={"bindings": ["127.0.0.1:2525"]})
    return lambda present: plan_group(present, group, {**HEALTH, "smtp": smtp})


def delete(target: str, **options: Any) -> Plan:
    """Plan a deletion."""
    return lambda present: plan_deletion(present, target, **options)


def settle(changes: Changes, plan: Plan) -> None:
    """Do as a command does: the rest of what broke off first; what is gone already is no mistake then."""
    changes.finish()
    try:
        changes.carry_out(plan(changes.read()))
    except Refused as refused:
        assert refused.code == "no_such_resource"  # noqa: PT017 - only one of the outcomes raises


def contents(files: MemoryFiles) -> dict[str, Any]:
    """Show store and directory, whatever their revisions, and that nothing is left to do."""
    found = {path: json.loads(files.text(path)) for path in sorted(files.files) if path in STORE}
    for document in found.values():
        document.pop("revision", None)
    pending = files.files.get("/state/directory-pending.json")
    assert pending is None or json.loads(pending.content) == {"ids": []}
    assert "/store/unfinished.json" not in files.files
    return found


@cache
def _two_groups() -> dict[str, bytes]:
    files = MemoryFiles()
    for group in ("evs1", "evs2"):
        settle(changes_of(files), create(group))
    return {path: file.content for path, file in files.files.items()}


def two_groups() -> MemoryFiles:
    """Make a disk with two groups."""
    return MemoryFiles.holding(_two_groups())


DEEDS: dict[str, tuple[Callable[[], MemoryFiles], Plan]] = {
    "create the first group": (MemoryFiles, create("evs1")),
    "create a third group": (two_groups, create("evs3")),
    "delete a protocol": (two_groups, delete("evs1/smtp")),
    "delete the store": (two_groups, delete("evs1/store", cascade=True)),
    "delete a group": (two_groups, delete("evs2")),
    "delete the mta's group": (two_groups, delete("evs1", rehome_mta="evs2")),
    "change properties": (
        two_groups,
        lambda present: plan_properties(present, ResourceId("evs1", "store"), {"parameters": {"name": "new"}}),
    ),
}


@cache
def undisturbed(deed: str) -> tuple[int, dict[str, Any]]:
    """Do a deed that nothing disturbs: the number of the disk's steps, and the contents at the end."""
    make, plan = DEEDS[deed]
    files = make()
    files.steps.clear()
    settle(changes_of(files), plan)
    return len(files.steps), contents(files)


def steps_of(deed: str) -> int:
    """Count the disk's steps of a deed that nothing disturbs."""
    return undisturbed(deed)[0]


CASES = [(deed, step) for deed in DEEDS for step in range(1, steps_of(deed) + 1)]


def test_there_are_enough_crashes() -> None:
    """Each deed has many places to stop at: both files, their revisions, the notes, each object of the directory."""
    assert {deed: steps_of(deed) > 20 for deed in DEEDS} == dict.fromkeys(DEEDS, True)


@pytest.mark.parametrize("names", ["durable", "latest"])
@pytest.mark.parametrize(("deed", "step"), CASES)
def test_stopped_anywhere_it_ends_the_same(deed: str, step: int, names: Literal["durable", "latest"]) -> None:
    """S19, S72: the machine stops at step k; the same command again ends with the same store and directory."""
    make, plan = DEEDS[deed]
    files = make()
    files.steps.clear()
    files.fail_at = step
    with contextlib.suppress(Crash):
        settle(changes_of(files), plan)
    after = files.after_crash(names)
    settle(changes_of(after), plan)
    assert contents(after) == undisturbed(deed)[1]


def test_the_directory_is_last() -> None:
    """S71, S19: the properties are saved in the cluster database first, then the objects; at a deletion likewise."""
    files = MemoryFiles()
    for plan in (create("evs1"), delete("evs1")):
        files.steps.clear()
        settle(changes_of(files), plan)
        store = max(index for index, step in enumerate(files.steps) if step.startswith("rename /store/.cluster"))
        assert min(index for index, step in enumerate(files.steps) if ".directory.json" in step) > store


def test_a_directory_that_is_away_is_told_later_and_once() -> None:
    """S72: the change stands, its resources are pending and say why; told later, each object once and never again."""
    files, directory = MemoryFiles(), AwayDirectory(away=True)
    changes = changes_of(files, directory)
    done = changes.carry_out(create("evs1")(changes.read()))
    assert done.changed
    assert ResourceId("evs1", "smtp") in done.pending
    assert done.why == "the directory is away"
    assert len(changes.read().group("evs1").resources) == len(done.pending) == 9
    assert changes.finish() == ()
    directory.away = False
    assert len(changes_of(files, directory).finish()) == 9
    assert len(directory.told) == len(set(directory.told)) == 9
    assert changes_of(files, directory).finish() == ()
    assert len(directory.told) == 9


def test_what_is_refused_leaves_no_note() -> None:
    """S18: a mistake in one of them: no file, no note, nothing told to the directory."""
    files, directory = MemoryFiles(), AwayDirectory()
    changes = changes_of(files, directory)
    with pytest.raises(StoreError, match=r"parameters\.health: is missing"):
        changes.carry_out(plan_group(changes.read(), "evs1", {}))
    assert files.files == {}
    assert directory.told == []


def test_a_change_of_nothing_tells_the_directory_nothing() -> None:
    """What is so already is neither written nor told again: another tool's edit there stays to be found (S73)."""
    files, directory = MemoryFiles(), AwayDirectory()
    settle(changes_of(files, directory), create("evs1"))
    directory.told.clear()
    files.steps.clear()
    changes = changes_of(files, directory)
    done = changes.carry_out(create("evs1")(changes.read()))
    assert not done.changed
    assert (directory.told, files.steps) == ([], [])


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(DEEDS)), st.lists(st.integers(1, 90), min_size=2, max_size=4))
def test_stopped_again_and_again_it_ends_the_same(deed: str, stops: list[int]) -> None:
    """S19, S72: the machine stops, and stops again while the rest is done, any number of times: the end is the same."""
    make, plan = DEEDS[deed]
    files = make()
    for number, step in enumerate(stops):
        files.steps.clear()
        files.fail_at = step
        with contextlib.suppress(Crash):
            settle(changes_of(files), plan)
        files = files.after_crash("latest" if number % 2 else "durable") if len(files.steps) >= step else files
        files.fail_at = None
    settle(changes_of(files), plan)
    assert contents(files) == undisturbed(deed)[1]
