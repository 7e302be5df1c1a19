"""What is true of every world between two steps, and of one in which nothing more will happen."""

from __future__ import annotations

from collections.abc import Iterator

from probe.lifecycle import actions
from probe.lifecycle.world import Record, Remains, World
from probe.values import ResourceId, State


class Ledger:
    """What a shell has open and watches, held to S47, S48 and S63."""

    def __init__(self) -> None:
        self.open: set[ResourceId] = set()
        self.watched: set[ResourceId] = set()

    def note(self, action: actions.Action) -> None:
        """Take down one action of the core."""
        match action:
            case actions.Open(id):
                assert id not in self.open, f"S48: {id} is opened a second time"
                self.open.add(id)
            case actions.Close(id):
                assert id in self.open, f"S47: {id} is closed and was not open"
                self.open.discard(id)
            case actions.Start(id) | actions.Stop(id) | actions.Terminate(id):
                assert id in self.open, f"{id} is not open"
            case actions.Watch(id):
                self.watched.add(id)
            case actions.Unwatch(id):
                self.watched.discard(id)
            case _:
                pass

    def check(self, world: World) -> None:
        """Compare with the world."""
        held = {record.id for record in world.records.values() if record.opened is not None}
        assert self.open == held, "S47: what is open is not what the core holds open"
        assert self.watched == {record.id for record in world.records.values() if record.watched}
        for id in self.watched:
            state = world.records[id].state
            assert state not in (State.OFFLINE, State.OFFLINE_PENDING), f"S68: {id} is {state} and still checked"


def check_links(world: World) -> None:
    """The table of dependents is the other side of what the records depend on."""
    inverse: dict[ResourceId, set[ResourceId]] = {}
    for record in world.records.values():
        for provider in record.spec.depends_on:
            inverse.setdefault(provider, set()).add(record.id)
    assert {id: set(dependents) for id, dependents in world.dependents.items()} == inverse


def unsettled(world: World) -> Iterator[str]:
    """Say of every resource that is not where it should be although everything has answered and time has passed."""
    for record in world.records.values():
        fault = _fault(world, record)
        if fault:
            yield f"{record}, {fault}"
    for request in world.requests.values():
        if request.state == "pending":
            yield f"{request} never ends"


def _fault(world: World, record: Record) -> str:
    if record.removing:
        return "it should have vanished"
    if record.state in (State.ONLINE_PENDING, State.OFFLINE_PENDING) and record.spec.acts:
        return "it never ends"
    if not record.wanted:
        down = record.state is State.OFFLINE and record.remains is Remains.NONE
        stuck = record.state is State.FAILED and record.remains is Remains.STUCK
        return "" if down or stuck else "it is not down"
    providers = [world.records[id] for id in record.spec.depends_on if id in world.records]
    up = all(provider.state is State.ONLINE for provider in providers)
    if record.state is State.OFFLINE and up:
        return "but nothing holds it"
    if record.spec.acts and record.state is State.FAILED and up and not record.spent:
        return "but nobody brings it back" if record.remains is not Remains.STUCK or record.next_spec is None else ""
    lost = any(not provider.wanted or (provider.spec.acts and provider.state is State.FAILED) for provider in providers)
    if record.spec.acts and lost and (record.state is State.ONLINE or record.remains is Remains.SOME):
        return "but what it stands on is down"
    return ""
