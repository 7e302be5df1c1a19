"""The store told in slices: everybody once, in the store's order, and nobody before what it stands on."""

from __future__ import annotations

import asyncio
import logging
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bindings.model import Group, Resource, Store
from probe.cluster.maintained import Kept
from probe.runtime.loading import Loaded
from probe.runtime.telling import SLICE_RESOURCES, slices
from probe.values import ResourceId, State
from tests.sim.loop import run_virtual
from tests.sim.service import PORTS, SimService, cluster, edit, make_machine, metabase, running_names, serving

MANY = 2 * SLICE_RESOURCES + 50
ELSEWHERE = ("127.0.0.1", 2525)


def loaded_of(providers: list[list[int]]) -> Loaded:
    """Load a group whose resource `rN` depends on those of the numbers at N."""
    resources = {
        f"r{n}": Resource(group="g", name=f"r{n}", type="exec", depends_on=tuple(f"r{one}" for one in below))
        for n, below in enumerate(providers)
    }
    return Loaded(Store(1, 1, {}, {"g": Group("g", (), resources)}), MappingProxyType({}))


def ids_of(numbers: range | list[int]) -> list[ResourceId]:
    """Name resources of the group."""
    return [ResourceId("g", f"r{n}") for n in numbers]


@given(st.data())
def test_nobody_is_told_before_what_it_stands_on(data: st.DataObject) -> None:
    """S16: with a resource or before it come its providers; each resource once; a slice in the order of the store."""
    order = data.draw(st.permutations(range(MANY)))
    below: list[list[int]] = [[] for _ in range(MANY)]
    for at, n in enumerate(order[1:40], 1):
        below[n] = data.draw(st.lists(st.sampled_from(order[:at]), max_size=2, unique=True))
    ids = ids_of(range(MANY))
    told: dict[ResourceId, int] = {}
    for number, slice in enumerate(slices(loaded_of(below), (), ids)):
        assert slice == sorted(slice, key=ids.index)
        assert not told.keys() & slice
        told |= dict.fromkeys(slice, number)
    assert told.keys() == set(ids)
    for n, providers in enumerate(below):
        assert all(told[id] <= told[ids[n]] for id in ids_of(providers))


def test_what_changed_comes_first_with_its_new_providers() -> None:
    """A changed resource is in the first slice, and so is what is new of that on which it stands."""
    below: list[list[int]] = [[] for _ in range(MANY)]
    below[3] = [MANY - 1]
    first, *rest = slices(loaded_of(below), ids_of([3]), ids_of([n for n in range(MANY) if n != 3]))
    assert set(ids_of([3, MANY - 1])) <= set(first)
    assert sum(map(len, rest)) == MANY - len(first)


def large_store(count: int) -> dict[str, object]:
    """Describe so many virtual servers beside those of the group, all at a place that nothing of ours has to start."""
    document = metabase()
    keys = document["keys"]
    assert isinstance(keys, dict)
    keys |= {f"/smtp/more{n}": {"bindings": [f"{ELSEWHERE[0]}:{ELSEWHERE[1]}"]} for n in range(count)}
    return document


def test_a_store_of_many_slices_comes_online_whole(caplog: pytest.LogCaptureFixture) -> None:
    """Everything is watched in the end, and only then are we ready; what is added later in bulk is watched, too.

    The log has sums of the beginning, and lines again afterwards.
    """

    async def main() -> None:
        machine = make_machine()
        machine.serve("smtp", ELSEWHERE)
        edit(machine, "metabase.json", large_store(MANY))
        async with serving(machine) as service:
            assert len(service.runtime.monitors.ids()) >= MANY
            assert service.reader.not_ready == ""
            await asyncio.sleep(2)
            begun = [line for line in caplog.messages if " went from " in line]
            assert 0 < len(begun) < MANY / 10
            edit(machine, "metabase.json", large_store(2 * MANY))
            await asyncio.sleep(30)
            states = [record.state for record in service.runtime.world.records.values()]
            assert len(states) == 2 * MANY + 2 + len(PORTS)
            assert set(states) == {State.ONLINE}
            assert sum(" went from " in line for line in caplog.messages) - len(begun) == 2 * MANY

    with caplog.at_level(logging.INFO):
        run_virtual(main())


class Spoilt(dict[str, Kept]):
    """Maintenance with a mistake of ours in it: it stumbles over one group."""

    def get(self, name: str, default: object = None) -> Any:
        """Look a group's maintenance up."""
        if name == "last":
            raise RuntimeError("a mistake")
        return super().get(name, default)


def plain_groups(**sizes: int) -> dict[str, object]:
    """Describe groups of so many resources that nobody asks, beside the reference's."""
    groups = cluster()["groups"]
    assert isinstance(groups, dict)
    plain = {name: {"resources": {f"r{n}": {"type": "service"} for n in range(many)}} for name, many in sizes.items()}
    return {"schema_version": 1, "groups": groups | plain}


def test_a_mistake_in_a_later_slice_leaves_in_force_what_was_told(caplog: pytest.LogCaptureFixture) -> None:
    """What was told is in force and works, who is missing is named, the reload counts as failed; SIGHUP brings them."""

    async def main() -> None:
        machine = make_machine()
        edit(machine, "cluster.json", plain_groups())
        async with serving(machine) as service:
            inventory, records = service.inventory, service.runtime.world.records
            inventory.maintained.groups = Spoilt()
            before, first = len(records), 2 * SLICE_RESOURCES - 1  # with what changed two slices
            document: Any = plain_groups(first=first, last=2)
            document["groups"]["evs1"]["resources"]["smtp"]["poll_interval_s"] = (
                3  # a change comes with the first slice
            )
            edit(machine, "cluster.json", document)
            await asyncio.sleep(30)
            assert (len(records), service.metrics.reload_successful) == (before + first, False)
            assert "without 2 new resources (last/r0, last/r1)" in caplog.text
            assert inventory.loaded.resource(ResourceId("last", "r0")) is None
            assert inventory.loaded.resource(ResourceId("first", f"r{first - 1}")) is not None
            plan = service.runtime.monitors.plan(ResourceId("evs1", "smtp"))
            assert plan is not None
            assert plan.period_s == 3
            await service.reader.ask_resource("offline", ResourceId("first", "r0"), "anna")
            await asyncio.sleep(5)
            assert records[ResourceId("first", "r0")].state is State.OFFLINE
            inventory.maintained.groups = {}
            inventory.ask_reload()
            await asyncio.sleep(30)
            assert (len(records), service.metrics.reload_successful) == (before + first + 2, True)
            assert records[ResourceId("last", "r1")].state is State.ONLINE

    run_virtual(main())


def test_an_end_before_all_is_watched_begins_nothing_more() -> None:
    """What was to be watched behind the telling is not begun once we end, even if services are left running."""

    async def main() -> None:
        machine = make_machine()
        machine.serve("smtp", ELSEWHERE)
        edit(machine, "metabase.json", large_store(MANY))
        service = SimService(machine)
        while service.runtime.withheld.holding or not service.runtime.world.records:  # noqa: ASYNC110 - no event tells it
            await asyncio.sleep(0)
        assert not service.inventory.told
        async with asyncio.timeout(60):
            await service.end(stop_services=False)
        assert service.runtime.monitors.ids() == ()

    run_virtual(main())


def test_an_end_while_the_store_is_told_stops_what_is_told_last() -> None:
    """What an earlier run left running is ended though its slice was still to come when the end was asked for."""

    async def main() -> None:
        machine = make_machine()
        service = SimService(machine)
        await service.until(60)
        await service.die()
        assert len(running_names(machine)) == 1 + len(PORTS)
        group = cluster()["groups"]
        assert isinstance(group, dict)
        first = {f"more{n}": {"type": "service"} for n in range(MANY)}
        edit(machine, "cluster.json", {"schema_version": 1, "groups": {"first": {"resources": first}, **group}})
        again = SimService(machine)
        assert await again.end() <= 5.0
        assert running_names(machine) == []

    run_virtual(main())
