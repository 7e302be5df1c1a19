"""A frozen provider is told first, whatever the phases: one failure by itself, everything above it blamed on it."""

from __future__ import annotations

import random

import pytest

from probe.values import State
from tests.sim.loop import current_loop, run_virtual
from tests.sim.machine import Machine
from tests.sim.servers import Server
from tests.sim.service import GROUP, PORTS, Json, SimService, edit

DRAWS = 1_000
PARTS = 4  # the draws are spread over so many tests
LEVELS_MAX = 3  # above the lowest
WIDTH_MAX = 3
PERIOD_S, TIMEOUT_S, FAST_S = 10.0, 5.0, 1.0  # the defaults of the store, which names none of them
FOUND_WITHIN_S = PERIOD_S + 2 * TIMEOUT_S + FAST_S + 1.0
BACK_WITHIN_S = TIMEOUT_S + PERIOD_S + 1.0
OWN = ("127.0.0.1", 9810)

Graph = dict[str, list[str]]


def draw_graph(chance: random.Random) -> Graph:
    """Draw one to three levels on a store; each stands on one or two of the level below, perhaps on others too."""
    graph: Graph = {"store": []}
    below = ["store"]
    for level in range(chance.randint(1, LEVELS_MAX)):
        names = [f"level{level + 1}-{number}" for number in range(chance.randint(1, WIDTH_MAX))]
        for name in names:
            chosen = chance.sample(below, chance.randint(1, min(2, len(below))))
            if chance.random() < 0.3:
                chosen.append(chance.choice(list(graph)))
            graph[name] = sorted(set(chosen))
        below = names
    return graph


def standing_on(graph: Graph, root: str) -> list[str]:
    """List a resource and everything that stands on it."""
    found = [root]
    for name, providers in graph.items():  # providers come before their dependents
        if set(providers) & set(found):
            found.append(name)
    return found


class Ground:
    """A machine with a server for each resource of a graph, which we only observe, by default timings."""

    def __init__(self, graph: Graph, seed: int) -> None:
        self.machine = Machine(seed, current_loop().timeline)
        self.servers: dict[str, Server] = {}
        keys: Json = {}
        resources: Json = {}
        for number, (name, providers) in enumerate(graph.items()):
            protocol = list(PORTS)[number % len(PORTS)]
            place = ("127.0.0.1", 2000 + number)
            self.servers[name] = self.machine.serve(protocol, place)
            keys[f"/{protocol}/{name}"] = {"bindings": [f"{place[0]}:{place[1]}"]}
            parameters = {"virtual_server": f"/{protocol}/{name}"}
            resources[name] = {"type": protocol, "depends_on": providers, "parameters": parameters}
        edit(self.machine, "metabase.json", {"schema_version": 1, "revision": 1, "keys": keys})
        groups = {GROUP: {"resources": resources}}
        edit(self.machine, "cluster.json", {"schema_version": 1, "revision": 1, "groups": groups})
        self.machine.serve("smtp", OWN)

    def freeze(self, names: list[str]) -> None:
        """Freeze servers at one moment."""
        for name in names:
            self.servers[name].freeze()

    def thaw(self, names: list[str]) -> None:
        """Let them go on."""
        for name in names:
            self.servers[name].thaw()


def failures(service: SimService, after: int) -> dict[str, str | None]:
    """Tell who was told failed behind event number `after`, each once, and on whom it was blamed."""
    failed = [event for event in service.events if event.to == "failed" and event.seq > after]
    told = {event.id.partition("/")[2]: event.root_cause for event in failed}
    assert len(failed) == len(told), "somebody is told twice"
    assert all(event.reason == "dependency_down" for event in failed if event.root_cause is not None)
    return told


async def one_draw(seed: int) -> None:
    """Draw a graph, phases, who freezes and when; hold what is told to the law."""
    chance = random.Random(seed)
    graph = draw_graph(chance)
    ground = Ground(graph, seed)
    service = SimService(ground.machine)
    service.runtime.monitors.confirm_by("{}:{}".format(*OWN))
    await service.until(30)
    root = "store" if chance.random() < 0.7 else chance.choice(list(graph))
    frozen = standing_on(graph, root)
    await service.run.clock.sleep(chance.uniform(PERIOD_S, 3 * PERIOD_S))
    before = service.events[-1].seq
    ground.freeze(frozen)
    await service.until(FOUND_WITHIN_S, **dict.fromkeys(frozen, State.FAILED))
    blamed = {name: None if name == root else f"{GROUP}/{root}" for name in frozen}
    assert failures(service, before) == blamed, (seed, graph, root)
    await service.run.clock.sleep(chance.uniform(0.0, 2 * PERIOD_S))
    assert failures(service, before) == blamed, (seed, graph, root)
    before = service.events[-1].seq
    ground.thaw(frozen)
    await service.until(BACK_WITHIN_S)
    await service.run.clock.sleep(PERIOD_S)
    assert failures(service, before) == {}, (seed, graph, root)
    assert sorted(event.id for event in service.events if event.seq > before) == sorted(f"{GROUP}/{n}" for n in frozen)
    await service.end()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_frozen_provider_is_one_failure_by_itself(part: int) -> None:
    """Over random graphs and phases: one cause, all others `dependency_down` under it; after the thaw nothing more."""
    for seed in range(part, DRAWS, PARTS):
        run_virtual(one_draw(seed))
