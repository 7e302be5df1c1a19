"""Laws of blame over random graphs, failures and orders: one cause, told once, and forgotten when all is well."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.lifecycle import actions
from probe.lifecycle.blame import HOLD_S
from probe.lifecycle.events import Configured, Event, Owned, Probed, Suspected, Tick
from probe.lifecycle.step import step
from probe.lifecycle.world import Record, Transition, World
from probe.values import Incarnation, Reason, ResourceId, State, Verdict
from tests.scenarios.language import GROUP, spec

EXAMPLES = settings(max_examples=150, deadline=None)
NAMES = tuple("abcdefgh")
GOOD, BAD = Verdict(Reason.MATCHED), Verdict(Reason.BANNER_TIMEOUT)

Graph = dict[str, tuple[str, ...]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Draw up to eight resources; each stands on some of those before it."""
    names = NAMES[: draw(st.integers(2, len(NAMES)))]
    made: Graph = {}
    for name in names:
        before = tuple(made)
        chosen = draw(st.sets(st.sampled_from(before), max_size=3)) if before else set()
        made[name] = tuple(sorted(chosen))
    renamed = dict(zip(names, draw(st.permutations(names)), strict=True))  # no order of names may matter
    return {renamed[name]: tuple(renamed[each] for each in providers) for name, providers in made.items()}


class Watched:
    """A world of observed resources, the time, and what has been told so far."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.world = World()
        self.now = 0.0
        self.told: list[Transition] = []
        self.asked: set[str] = set()  # whose check is asked for ahead of its time
        self.asked_anew: set[str] = set()  # of them, those whose check under way is begun again
        self.happen(Configured(tuple(spec(name, "smtp", "none", providers) for name, providers in graph.items())))
        self.happen(Owned(GROUP, here=True))
        for name in graph:
            self.answer(name, alive=True)
        self.told.clear()

    def happen(self, event: Event) -> None:
        """Step and apply."""
        decision = step(self.world, event, self.now)
        self.world.apply(decision)
        self.told += decision.transitions
        for action in decision.actions:
            if isinstance(action, actions.Verify):
                self.asked.add(action.id.name)
                (self.asked_anew.add if action.anew else self.asked_anew.discard)(action.id.name)

    def answer(self, name: str, *, alive: bool) -> None:
        """Tell the edge of one resource's checks."""
        self.asked.discard(name)
        record = self.record(name)
        self.happen(Probed(record.id, record.incarnation, alive, GOOD if alive else BAD))

    def suspect(self, name: str) -> None:
        """Tell a resource's first failed check, which is no edge yet."""
        record = self.record(name)
        self.happen(Suspected(record.id, record.incarnation))

    def pass_time(self, seconds: float) -> None:
        """Let time go by, with a tick whenever something is due."""
        until = self.now + seconds
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.happen(Tick())
        self.now = until

    def record(self, name: str) -> Record:
        """Return what the core knows of one."""
        return self.world.records[ResourceId(GROUP, name)]

    def below(self, name: str) -> set[str]:
        """Name everything that the resource stands on."""
        found: set[str] = set()
        for provider in self.graph[name]:
            found |= {provider} | self.below(provider)
        return found

    def standing_on(self, name: str) -> list[str]:
        """List the resource and everything that stands on it."""
        found = [name]
        found += [other for other, providers in self.graph.items() if any(each in found for each in providers)]
        return list(dict.fromkeys(found))

    def causes(self) -> list[str]:
        """List who was told failed with nobody else to blame, in the order of telling."""
        return [edge.id.name for edge in self.told if edge.to is State.FAILED and edge.root_cause is None]

    def check_blame(self) -> None:
        """Whoever is blamed is down by itself, and nobody is left unblamed whose provider is down."""
        for record in self.world.records.values():
            if record.state is not State.FAILED or record.held is not None:
                continue
            down = [self.world.records[id] for id in record.spec.depends_on]
            if any(provider.state is State.FAILED for provider in down):
                assert record.root_cause is not None, f"{record} by itself on a provider that is down"
                assert record.reason is Reason.DEPENDENCY_DOWN
            if record.root_cause is not None:
                cause = self.world.records[record.root_cause]
                assert cause.state is not State.ONLINE, f"{record} is blamed on {cause}"
                asked_again = cause.held is not None  # its own blame is kept until it has answered
                assert cause.root_cause is None or asked_again, f"{record} is blamed on {cause}, which is not to blame"


def fail_all(watched: Watched, data: st.DataObject, root: str) -> list[str]:
    """Have a resource and all that stands on it fail, in any order and with pauses that stay within the hold."""
    falling = data.draw(st.permutations(watched.standing_on(root)))
    left_s = HOLD_S * 0.99
    for name in falling:
        pause_s = data.draw(st.floats(0, left_s))
        left_s -= pause_s
        watched.pass_time(pause_s)
        watched.answer(name, alive=False)
    return falling


@EXAMPLES
@given(graphs(), st.data())
def test_one_cause_is_told_once(graph: Graph, data: st.DataObject) -> None:
    """Whatever the order in which its dependents are found, one cause is one failure without a root cause."""
    watched = Watched(graph)
    root = data.draw(st.sampled_from(sorted(graph)))
    falling = fail_all(watched, data, root)
    watched.pass_time(2 * HOLD_S)
    assert watched.causes() == [root]
    assert {edge.id.name for edge in watched.told} == set(falling)
    assert len(watched.told) == len(falling), "each is told once"
    for name in falling:
        assert watched.record(name).root_cause == (None if name == root else ResourceId(GROUP, root))
    watched.check_blame()


@EXAMPLES
@given(graphs(), st.data())
def test_a_child_is_held_until_its_providers_were_asked(graph: Graph, data: st.DataObject) -> None:
    """A child that fails alone has every provider asked at once, says nothing for the hold, then names itself."""
    watched = Watched(graph)
    name = data.draw(st.sampled_from(sorted(graph)))
    watched.answer(name, alive=False)
    below = watched.below(name)
    assert watched.asked == below
    assert bool(watched.told) == (not below)
    watched.pass_time(HOLD_S)
    assert watched.causes() == [name]


@EXAMPLES
@given(graphs(), st.data())
def test_whoever_is_blamed_is_to_blame(graph: Graph, data: st.DataObject) -> None:
    """After any failures, recoveries and pauses: a blamed one is down by itself, no child of one that is names itself.

    When everything is well again, no blame is left.
    """
    watched = Watched(graph)
    names = st.sampled_from(sorted(graph))
    for name, alive, pause_s in data.draw(
        st.lists(st.tuples(names, st.booleans(), st.sampled_from((0.0, 0.1, 0.3))), max_size=30)
    ):
        watched.answer(name, alive=alive)
        watched.check_blame()
        watched.pass_time(pause_s)
        watched.check_blame()
    watched.pass_time(2 * HOLD_S)
    watched.check_blame()
    for name in data.draw(st.permutations(sorted(graph))):
        watched.answer(name, alive=True)
    watched.pass_time(2 * HOLD_S)
    for record in watched.world.records.values():
        assert (record.state, record.reason) == (State.ONLINE, Reason.MATCHED)
        assert (record.root_cause, record.held, record.failure) == (None, None, None)


@EXAMPLES
@given(graphs(), st.data())
def test_when_the_cause_is_back_its_children_are_asked_first(graph: Graph, data: st.DataObject) -> None:
    """Once the cause is back, no child is told failed by itself before its own check: those that are well say so."""
    watched = Watched(graph)
    root = data.draw(st.sampled_from(sorted(graph)))
    fail_all(watched, data, root)
    watched.pass_time(2 * HOLD_S)
    watched.told.clear()
    watched.answer(root, alive=True)
    children = {name for name in graph if root in graph[name]}
    assert {name for name in children if set(graph[name]) & set(watched.standing_on(root)) == {root}} <= watched.asked
    waiting = set(watched.standing_on(root)) - {root}
    while waiting:  # each is found well when it was asked for; its own children are asked in turn
        ready = sorted(watched.asked & waiting) or sorted(waiting)[:1]
        name = data.draw(st.sampled_from(ready))
        watched.answer(name, alive=True)
        waiting.discard(name)
    watched.pass_time(2 * HOLD_S)
    assert watched.causes() == []
    assert {edge.id.name: edge.to for edge in watched.told} == dict.fromkeys(watched.standing_on(root), State.ONLINE)


@EXAMPLES
@given(graphs(), st.data())
def test_a_suspicion_has_everything_below_asked_anew_and_says_nothing(graph: Graph, data: st.DataObject) -> None:
    """Before a child is failed its whole chain is asked, from now on; no state, no blame and no time changes by it."""
    watched = Watched(graph)
    name = data.draw(st.sampled_from(sorted(graph)))
    before = dict(watched.world.records)
    watched.suspect(name)
    assert watched.asked == watched.asked_anew == watched.below(name)
    assert watched.told == []
    assert watched.world.records == before
    assert watched.world.next_due() is None


@EXAMPLES
@given(graphs(), st.data())
def test_nobody_is_suspected_for_a_fault_that_is_known(graph: Graph, data: st.DataObject) -> None:
    """What is failed asks for nobody; what stands on a failed provider asks for nobody either; the past is no news."""
    watched = Watched(graph)
    root = data.draw(st.sampled_from(sorted(graph)))
    fail_all(watched, data, root)
    watched.pass_time(2 * HOLD_S)
    watched.asked.clear()
    for name in watched.standing_on(root):
        watched.suspect(name)
    well = [name for name in graph if name not in watched.standing_on(root)]
    for name in well:
        record = watched.record(name)
        watched.happen(Suspected(record.id, Incarnation(record.incarnation - 1)))
    assert watched.asked == set()


FIRST_S, AGAIN_S = 5.0, 1.0  # how long a check hangs, and how soon it is repeated: the defaults


class Asking(Watched):
    """A world whose checks take their time: each resource is asked by the rules of a watch, with equal time-outs.

    A frozen one answers nothing: its check fails `FIRST_S` after it began. All others answer at once.
    """

    def __init__(self, graph: Graph, frozen: list[str]) -> None:
        super().__init__(graph)
        self.frozen = frozen
        self.ends: dict[str, float] = {}  # of the check under way
        self.bad = dict.fromkeys(graph, 0)

    def begin(self, name: str) -> None:
        """Begin a regular check, unless one is under way."""
        if self.record(name).state is State.ONLINE and name in self.frozen:
            self.ends.setdefault(name, self.now + FIRST_S)

    def obey(self) -> None:
        """Ask whom the core wants asked."""
        for name in self.asked & set(self.frozen):
            if name in self.asked_anew and name in self.ends and not self.bad[name]:
                del self.ends[name]
            self.bad[name] = max(self.bad[name], 1)
            if self.ends.get(name, math.inf) > self.now + FIRST_S:  # none is under way, it waits at most to be repeated
                self.ends[name] = self.now + FIRST_S
        self.asked.clear()
        self.asked_anew.clear()

    def fail(self, name: str) -> None:
        """Let the check under way fail."""
        self.bad[name] += 1
        if self.bad[name] >= 2:
            del self.ends[name]
            self.answer(name, alive=False)
        else:
            self.ends[name] = self.now + AGAIN_S + FIRST_S  # the next one begins in AGAIN_S
            self.suspect(name)
        self.obey()


@EXAMPLES
@given(graphs(), st.data())
def test_with_equal_time_outs_a_frozen_provider_is_told_first(graph: Graph, data: st.DataObject) -> None:
    """Whatever the phases over the period: the frozen one is the only failure by itself, and nobody is told twice."""
    root = data.draw(st.sampled_from(sorted(graph)))
    watched = Asking(graph, Watched(graph).standing_on(root))
    begin = [(data.draw(st.floats(0, 10)), name) for name in watched.frozen]
    while begin or watched.ends:
        at, name, first = min(
            [(at, name, True) for at, name in begin] + [(t, n, False) for n, t in watched.ends.items()]
        )
        watched.pass_time(at - watched.now)
        if first:
            begin.remove((at, name))
            watched.begin(name)
        else:
            watched.fail(name)
    watched.pass_time(2 * HOLD_S)
    assert watched.causes() == [root]
    assert sorted(edge.id.name for edge in watched.told) == sorted(watched.frozen)
    watched.check_blame()
