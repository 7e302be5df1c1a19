"""Who acts: the core decides, one place carries it out, and what goes well asks for nothing."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from probe.lifecycle import actions
from probe.lifecycle.events import Probed, Started
from probe.lifecycle.step import step
from probe.values import Reason, State, Verdict
from tests.house import Source, sources
from tests.lifecycle.worlds import happen, id_of, world_of
from tests.scenarios.language import spec

VERBS = ("start", "stop", "terminate", "kill", "upgrade")
DECISIONS = ("actions.Start", "actions.Stop", "actions.Terminate", "actions.Kill", "actions.Upgrade")


def calls_on_controllers(source: Source) -> Iterator[str]:
    """Yield where a file tells a resource's controller to act: `….controller.start(…)` and the like."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in VERBS:
            owner = ast.unparse(node.func.value)
            if owner == "controller" or owner.endswith(".controller"):
                yield f"{source.path}: {owner}.{node.func.attr}"


def decisions_made(source: Source) -> Iterator[str]:
    """Yield where a file makes an action that starts or stops something."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in DECISIONS:
            yield f"{source.path}: {ast.unparse(node.func)}"


def test_controllers_act_only_on_the_cores_word() -> None:
    """S2, S5: controllers are told to act in one place, which is given the core's actions; nobody else makes those.

    The one exception is our own end: what has not stopped in its time is killed by the loop.
    """
    told = [place for source in sources("probe") for place in calls_on_controllers(source)]
    inside = [place for place in told if place.startswith("probe/runtime/performing.py:")]
    assert {place.rpartition(".")[2] for place in inside} == set(VERBS)
    outside = [place.split(":")[0] + place[place.rindex(".") :] for place in told if place not in inside]
    assert outside == ["probe/runtime/loop.py.kill"]
    made = [place for source in sources("probe") for place in decisions_made(source)]
    assert made
    assert all(place.startswith("probe/lifecycle/") for place in made), made


def test_an_observed_resource_is_never_acted_on() -> None:
    """S2: what is only observed passes through no controller: its online and offline ask for no start or stop."""
    world = world_of([spec("smtp", "smtp", "none")])
    record = world.records[id_of("smtp")]
    decision = step(world, Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)), 0.0)
    assert not any(isinstance(action, actions.Start | actions.Stop) for action in decision.actions)


def test_an_online_hands_over_an_event_and_is_not_polled() -> None:
    """S61: an online begins a watch that posts edges; while none comes nothing is due and nothing is asked."""
    world = world_of([spec("smtp", "smtp", "process")])
    id = id_of("smtp")
    op = world.records[id].op
    assert op is not None
    watches = [each for each in happen(world, Started(id, op)).actions if isinstance(each, actions.Watch)]
    assert [each.id for each in watches] == [id]
    happen(world, Probed(id, watches[0].incarnation, True, Verdict(Reason.MATCHED)))
    assert world.records[id].state is State.ONLINE
    assert world.next_due() is None
    dead = Probed(id, watches[0].incarnation, False, Verdict(Reason.CONNECT_REFUSED))
    assert [edge.to for edge in step(world, dead, 5.0).transitions] == [State.FAILED]
