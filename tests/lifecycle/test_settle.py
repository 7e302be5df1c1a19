"""After an event: everybody whom it can concern is considered, and it ends."""

from __future__ import annotations

from probe.lifecycle import actions
from probe.lifecycle.events import Asked, Drained, Exited, Verb
from probe.values import Reason, State, Verdict
from tests.lifecycle.worlds import bring_up, chain, happen, id_of, kinds, layers, world_of
from tests.scenarios.language import spec


def test_hub_with_many_dependents_settles() -> None:
    """S16: hundreds that stand on one service go down at once when it fails, and it waits for the last of them."""
    hub = spec("hub", "service", "process")
    world = world_of([hub, *(spec(f"s{index}", "service", "process", ("hub",)) for index in range(300))])
    bring_up(world)
    record = world.records[hub.id]
    decision = happen(world, Exited(hub.id, record.incarnation, Verdict(Reason.PROCESS_GONE)))
    assert len(kinds(decision, actions.Stop)) == 300
    assert kinds(decision, actions.Start) == []
    bring_up(world)
    assert {one.state for one in world.records.values()} == {State.ONLINE}


def test_whole_layers_go_down_in_reverse() -> None:
    """S16: taken offline as a group, no layer stops before every resource above it is down."""
    world = world_of(layers(depth=5, width=3))
    bring_up(world)
    assert {name[:2] for name in kinds(happen(world, Asked(Verb.OFFLINE, "evs1")), actions.Stop)} == {"l4"}
    bring_up(world)
    assert {one.state for one in world.records.values()} == {State.OFFLINE}


def test_drain_considers_whom_we_stop_and_nobody_else() -> None:
    """At our end the services of the process controller go, in reverse; what others run stays as it is."""
    others = [spec("far", "service", "systemd", ours_to_stop=False), spec("seen", "service", "none")]
    world = world_of([*chain(2), *others])
    bring_up(world)
    assert kinds(happen(world, Drained()), actions.Stop) == ["r1"]
    bring_up(world)
    states = {one.id.name: one.state for one in world.records.values()}
    assert states == {"r0": State.OFFLINE, "r1": State.OFFLINE, "far": State.ONLINE, "seen": State.ONLINE}
    assert world.records[id_of("r0")].evidence == "looksalive is ending"
