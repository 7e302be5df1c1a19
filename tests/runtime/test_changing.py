"""Changes over the network: written only where what goes is offline, and every refusal with its status."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field

import pytest

from bindings.edits import Edit
from bindings.store import StoreFolder
from probe.controllers import CONTROLLER_KINDS
from probe.directory.changes import Changes
from probe.directory.embedded import EmbeddedDirectory
from probe.directory.pending import Pending
from probe.lifecycle.report import Refusal
from probe.resources.changes import Change, Present, Refused
from probe.resources.creation import plan_group
from probe.resources.deletion import plan_deletion
from probe.runtime.changing import Plan, StoreChanges
from probe.values import ResourceId, State
from tests.resources.stores import HEALTH
from tests.sim.files import MemoryFiles


@dataclass
class Bench:
    """A store on a disk and the states that its resources are in."""

    files: MemoryFiles = field(default_factory=MemoryFiles)
    states: dict[ResourceId, State] = field(default_factory=dict)
    reloads: int = 0

    def changes(self) -> StoreChanges:
        folder = StoreFolder(self.files, "/store", "/state")
        directory = EmbeddedDirectory(self.files, "/store", "/state")
        done = Changes(folder, directory, Pending(self.files, "/state"), CONTROLLER_KINDS)
        return StoreChanges(done, self.states.get, self._reload)

    def _reload(self) -> None:
        self.reloads += 1


def create(group: str) -> Plan:
    """Plan a whole group."""
    return lambda present: plan_group(present, group, HEALTH)


async def refusal(bench: Bench, plan: Plan) -> Refusal:
    """Return why a change is not made."""
    with pytest.raises(Refusal) as caught:
        await bench.changes().carry_out(plan, "admin-1")
    return caught.value


async def test_a_change_is_written_and_read_again() -> None:
    """The store is written, the directory told, and the service asked to read it at once; asked again it is not."""
    bench = Bench()
    change, done = await bench.changes().carry_out(create("evs1"), "admin-1")
    assert (done.changed, done.pending, bench.reloads) == (True, (), 1)
    assert len(json.loads(bench.files.text("/store/directory.json"))["objects"]) == len(change.ids)
    _, done = await bench.changes().carry_out(create("evs1"), "admin-1")
    assert (done.changed, bench.reloads) == (False, 1)


@pytest.mark.parametrize("state", [state for state in State if state is not State.OFFLINE])
async def test_what_goes_must_be_offline(state: State) -> None:
    """S19: one resource that is not offline refuses the deletion of its group, by name and with the way round."""
    bench = Bench()
    await bench.changes().carry_out(create("evs1"), "admin-1")
    before = bench.files.text("/store/cluster.json")
    bench.states[ResourceId("evs1", "imap")] = state
    told = await refusal(bench, lambda present: plan_deletion(present, "evs1"))
    assert (told.status, told.code) == (409, "not_offline")
    assert f"evs1/imap is {state}; take it offline first" in told.message
    assert bench.files.text("/store/cluster.json") == before
    bench.states[ResourceId("evs1", "imap")] = State.OFFLINE
    await bench.changes().carry_out(lambda present: plan_deletion(present, "evs1"), "admin-1")


@pytest.mark.parametrize(
    ("code", "status"), [("no_such_resource", 404), ("only_on_the_store", 403), ("has_dependents", 409)]
)
async def test_a_refused_plan_has_its_status(code: str, status: int) -> None:
    """What is not there is 404, what only the store's own command line may is 403, any other refusal is 409."""

    def plan(_: Present) -> Change:
        raise Refused(code, "because")

    told = await refusal(Bench(), plan)
    assert (told.status, told.code, told.message) == (status, code, "because")


async def test_mistakes_are_all_told() -> None:
    """A store that would be wrong is 422 with every mistake in one sentence; nothing is written."""
    bench = Bench()
    bad = Edit({"/smtp/1": {"bindings": [":99999"]}, "/pop3/1": {"bindings": [":0"]}})
    told = await refusal(bench, lambda present: Change(bad, present.revisions, ()))
    assert (told.status, told.code) == (422, "bad_store")
    assert "99999 is above 65535" in told.message
    assert "port 0 is below 1" in told.message
    assert "/store/metabase.json" not in bench.files.files


async def test_a_store_that_cannot_be_written() -> None:
    """A read-only store is 409 with its own code, one that is being written 503; a plan of yesterday is 412."""
    bench = Bench()
    await bench.changes().carry_out(create("evs1"), "admin-1")
    old: list[Change] = []

    def keep(present: Present) -> Change:
        old.append(plan_group(present, "evs2", HEALTH))
        return Change(Edit(), present.revisions, ())

    await bench.changes().carry_out(keep, "admin-1")
    await bench.changes().carry_out(create("evs3"), "admin-1")
    assert ((await refusal(bench, lambda _: old[0])).status) == 412
    bench.files.locked.add("/store/.lock")
    assert (await refusal(bench, create("evs4"))).code == "store_busy"
    bench.files.locked.clear()
    bench.files.read_only.add("/store")
    told = await refusal(bench, create("evs4"))
    assert (told.status, told.code) == (409, "store_read_only")


async def test_two_at_once_take_turns() -> None:
    """S24: of changes that arrive together each sees the one before: one group has the mta."""
    bench = Bench()
    changes = bench.changes()
    await asyncio.gather(*(changes.carry_out(create(f"evs{index}"), "admin-1") for index in range(4)))
    groups = json.loads(bench.files.text("/store/cluster.json"))["groups"]
    assert sum("mta" in group["resources"] for group in groups.values()) == 1
