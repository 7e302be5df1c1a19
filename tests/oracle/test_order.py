"""Start, recovery and stop order against an independent scheduler: Pacemaker's, asked about the same random graphs.

What is compared is not one sequence but the whole partial order: every pair of steps of which the one must be done
before the other begins, in both directions, and the set of steps. Where the two models differ on purpose:

1. A service that ended by itself needs no stop of ours, unless that was under way already; Pacemaker asks its agent all
   the same. That step is left out; what it ordered by standing between goes for those above and below it all the same.
   One that hangs is cleared first by both.
2. An observed resource (controller `none`) takes nobody down with it. Pacemaker has no such thing; all act here.
3. Pacemaker looks at everything that has happened at once; we act on each event as it comes. So the test tells them
   from the bottom up; else a leaf would be on its way up again when its provider's failure is heard.
4. A failure that may be a provider's is held for a moment before it is told. Pacemaker acts on a monitor's word.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.programs import need
from tests.oracle.ours import Core, implied, violations
from tests.oracle.pacemaker import Cluster, Step, Transition
from tests.scenarios.language import spec

GRAPHS = int(os.environ.get("LOOKSALIVE_ORACLE_GRAPHS", "300"))
BATCH = 5  # graphs in one question: the simulator takes a time that grows with their square
SIZE_MAX = 8
ANSWER_ORDERS = 3  # random orders of answers tried for each question


@dataclass(frozen=True)
class Case:
    """A random dependency graph and what happens to it."""

    types: dict[str, str]
    graph: dict[str, tuple[str, ...]]
    hanging: tuple[str, ...]
    ended: tuple[str, ...]
    unwanted: tuple[str, ...]

    def core(self) -> Core:
        """Configure the graph; its starts have been asked for."""
        return Core(spec(name, self.types[name], "process", self.graph[name]) for name in self.graph)


def draw(seed: int) -> Case:
    """Draw case `seed`: up to eight resources, sparse or dense, some of which fail while some are taken offline."""
    chance = random.Random(seed)
    names = [f"g{seed}r{index}" for index in range(chance.randint(2, SIZE_MAX))]
    density = chance.choice((0.2, 0.4, 0.8))
    graph = {
        name: tuple(provider for provider in names[:at] if chance.random() < density) for at, name in enumerate(names)
    }
    types = {name: chance.choice(("imap", "service")) for name in names}
    failed = chance.sample(names, chance.randint(0, 2))
    hanging = tuple(name for name in failed if types[name] == "imap" and chance.random() < 0.5)
    ended = tuple(name for name in failed if name not in hanging)
    left = [name for name in names if name not in failed]
    return Case(types, graph, hanging, ended, tuple(chance.sample(left, min(len(left), chance.randint(0, 2)))))


def cluster_of(cases: Sequence[Case], folder: Path) -> Cluster:
    """Put all the graphs into one cluster."""
    program = need("crm_simulate", "pacemaker-cli-utils")
    return Cluster(program, folder, {name: providers for case in cases for name, providers in case.graph.items()})


def differences(seed: str, core: Core, theirs: Transition, optional: Iterable[Step] = ()) -> list[str]:
    """Compare what follows from here: the steps, the pairs both ways, and runs whose answers come in random orders.

    `optional` steps are left out on both sides; what they order by standing between stays ordered.
    """
    ours, theirs = implied(core).bridge(optional), theirs.bridge(optional)
    found = [f"{step} is ours alone" for step in sorted(ours.steps - theirs.steps)]
    found += [f"{step} is theirs alone" for step in sorted(theirs.steps - ours.steps)]
    found += [f"only we do {first} before {then}" for first, then in sorted(ours.pairs - theirs.pairs)]
    found += [f"only they do {first} before {then}" for first, then in sorted(theirs.pairs - ours.pairs)]
    for turn in range(ANSWER_ORDERS):
        chance = random.Random(f"{seed}/{turn}")
        found += violations(core.fork().rest(chance.choice), theirs, optional)
    return [f"{seed}: {each}" for each in found]


def batches() -> list[range]:
    """Split the seeds."""
    return [range(first, min(first + BATCH, GRAPHS)) for first in range(0, GRAPHS, BATCH)]


@pytest.mark.parametrize("seeds", batches(), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}")
def test_orders_are_those_of_an_independent_scheduler(seeds: range, tmp_path: Path) -> None:
    """S16, S54: cold start, failures under an operator's offlines, what comes back, and stopping all, pair by pair."""
    cases = {seed: draw(seed) for seed in seeds}
    cluster = cluster_of(list(cases.values()), tmp_path)
    found = []

    start = cluster.react()
    up = {}
    for seed, case in cases.items():
        core = case.core()
        found += differences(f"{seed} start", core, start.of(case.graph))
        up[seed] = rested(core)

    unwanted = [name for case in cases.values() for name in case.unwanted]
    failed = [name for case in cases.values() for name in (*case.hanging, *case.ended)]
    broken = cluster.react(offline=unwanted, failed=failed)
    for seed, case in cases.items():
        disturb(up[seed], case)
        gone = [("stop", name) for name in case.ended]
        found += differences(f"{seed} {case}", up[seed], broken.of(case.graph), gone)
        up[seed] = rested(up[seed])

    back = cluster.react()
    for seed, case in cases.items():
        for name in case.unwanted:
            up[seed].online(name)
        found += differences(f"{seed} back {case.unwanted}", up[seed], back.of(case.graph))
        up[seed] = rested(up[seed])

    down = cluster.react(all_offline=True)
    for seed, case in cases.items():
        for name in random.Random(seed).sample(list(case.graph), len(case.graph)):
            up[seed].offline(name)
        found += differences(f"{seed} stop", up[seed], down.of(case.graph))
    assert not found, "\n".join(found[:40])


def disturb(core: Core, case: Case) -> None:
    """Let the operator's offlines and the failures happen, providers first, before anything is answered."""
    for name in case.graph:
        if name in case.unwanted:
            core.offline(name)
    for name in case.graph:
        if name in case.hanging or name in case.ended:
            core.fail(name, hangs=name in case.hanging)
            core.hear_held_failures()


def rested(core: Core) -> Core:
    """Answer everything, and begin a new page."""
    core.rest(lambda ready: ready[0])
    core.log.clear()
    return core


def test_a_missing_dependency_is_found(tmp_path: Path) -> None:
    """The comparison can fail: with one edge less on our side, the order is told as theirs alone."""
    case = Case({"a": "imap", "b": "imap"}, {"a": (), "b": ("a",)}, (), (), ())
    theirs = cluster_of([case], tmp_path).react()
    blind = Core([spec("a", "imap", "process"), spec("b", "imap", "process")])
    assert "only they do" in "\n".join(differences("planted", blind, theirs))
    assert theirs.pairs == {(("start", "a"), ("start", "b"))}
