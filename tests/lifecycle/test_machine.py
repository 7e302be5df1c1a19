"""Laws of the core under random events: a machine that plays the shell, with invariants after every step."""

from __future__ import annotations

import os
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from probe.lifecycle import actions, restarts
from probe.lifecycle.events import (
    Asked,
    Configured,
    Drained,
    Event,
    Exited,
    Found,
    OperationFailed,
    Owned,
    Planned,
    Probed,
    Started,
    Stopped,
    Tick,
    Verb,
)
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.values import Incarnation, OpId, Reason, ResourceId, State, Verdict
from tests.lifecycle.laws import Ledger, check_links, unsettled
from tests.scenarios.language import GROUP, spec

NAMES = ("a", "b", "c", "d", "e")
TYPES = ("service", "smtp", "information-store")
FAILURES = (Reason.BANNER_TIMEOUT, Reason.CONNECT_REFUSED, Reason.PROCESS_GONE)
PENDING = (State.ONLINE_PENDING, State.OFFLINE_PENDING)
names = st.sampled_from(NAMES)


class Shell(RuleBasedStateMachine):
    """Plays controllers, monitors, operator and clock against one world."""

    @initialize(data=st.data())
    def configure(self, data: st.DataObject) -> None:
        """Begin with five resources in a random acyclic graph."""
        self.world = World()
        self.now = 0.0
        self.log: list[tuple[Event, float]] = []
        self.said: list[str] = []
        self.working: dict[OpId, actions.Action] = {}  # workers that have not answered
        self.answered: list[Event] = []
        self.running: set[ResourceId] = set()  # services that may run
        self.offline_asked: set[ResourceId] = set()
        self.ledger = Ledger()
        self.budget: dict[ResourceId, int] = {}
        self.store: dict[str, Spec] = {}
        for name in NAMES:
            self.store[name] = self.describe(data, name)
        self.happen(Configured(tuple(self.store.values())))
        self.happen(Owned(GROUP, here=True))

    def describe(self, data: st.DataObject, name: str) -> Spec:
        """Draw a resource; it depends only on those before it in the alphabet that the store has."""
        before = [each for each in sorted(self.store) if each < name]
        chained = st.just({before[-1]} if before else set())  # long chains are rare among random graphs
        providers = data.draw(st.one_of(chained, st.sets(st.sampled_from(before or [""]), max_size=2)))
        return spec(
            name,
            data.draw(st.sampled_from(TYPES)),
            data.draw(st.sampled_from(("process", "process", "none"))),
            tuple(sorted(providers - {""})),
            restart_threshold=data.draw(st.integers(0, 2)),
            restart_delay_s=data.draw(st.sampled_from((0.0, 5.0))),
            retry_period_s=data.draw(st.sampled_from((None, 300.0))),
            auto_start=data.draw(st.booleans()),
            shape=data.draw(st.sampled_from(("", "x"))),
        )

    @rule(data=st.data(), name=names)
    def edit(self, data: st.DataObject, name: str) -> None:
        """The store is edited: a resource changes, comes back, or goes and nobody depends on it any more."""
        before = dict(self.store)
        removed: tuple[ResourceId, ...] = ()
        if name in self.store and data.draw(st.booleans()):
            gone = self.store.pop(name).id
            removed = (gone,)
            for other, was in self.store.items():
                rest = tuple(provider for provider in was.depends_on if provider != gone)
                self.store[other] = replace(was, depends_on=rest)
        else:
            self.store[name] = self.describe(data, name)
            if name not in before:
                self.offline_asked.discard(ResourceId(GROUP, name))
        changed = tuple(spec for other, spec in self.store.items() if before.get(other) != spec)
        self.happen(Configured(changed, removed))
        if self.store and not self.world.groups[GROUP].here:  # it was emptied meanwhile
            self.happen(Owned(GROUP, here=True))

    def happen(self, event: Event) -> Decision:
        """Step, check the decision against the laws, apply it."""
        self.broken = True
        before = dict(self.world.records)
        decision = step(self.world, event, self.now)
        assert self.world.records == before, "a step changed the world"
        self.log.append((event, self.now))
        self.said.append(repr(decision))
        operator_terminates = isinstance(event, Asked) and event.verb is Verb.TERMINATE
        self.world.apply(decision)
        for action in decision.actions:
            self.ledger.note(action)
            self.perform(action, decision, operator_terminates)
        self.broken = False
        return decision

    def perform(self, action: actions.Action, decision: Decision, operator_terminates: bool) -> None:
        """Do what a shell does, and look at what it is told to do."""
        match action:
            case actions.Start(id, op):
                record = self.world.records[id]
                assert not any(work.id == id for work in self.working.values()), "S55: a second worker was started"
                assert id not in self.offline_asked, "an operator's offline was overridden"
                assert not self.world.planned, "started while the stops to come are planned"
                for provider in record.spec.depends_on:
                    assert self.world.records[provider].state is State.ONLINE, "S16: started before what it needs"
                self.working[op] = action
                self.running.add(id)
            case actions.Stop(id, op) | actions.Terminate(id, op):
                if not operator_terminates:
                    for dependent in self.world.dependents.get(id, ()):
                        other = self.world.records[dependent]
                        assert not other.spec.acts or other.state not in (State.ONLINE, State.ONLINE_PENDING), (
                            f"S16: {id} is stopped before its dependent {other}"
                        )
                self.working[op] = action
            case actions.Watch(id, incarnation):
                assert self.world.records[id].incarnation == incarnation
                assert self.world.records[id].spec.checked
            case _:
                pass

    @rule(data=st.data(), good=st.sampled_from((True, True, True, False)))
    def answer(self, data: st.DataObject, good: bool) -> None:
        """A worker returns."""
        if not self.working:
            return
        op = data.draw(st.sampled_from(sorted(self.working)))
        work = self.working.pop(op)
        event: Event
        if not good:
            event = OperationFailed(work.id, op, Verdict(Reason.PROCESS_GONE))
        elif isinstance(work, actions.Start):
            event = Started(work.id, op)
        else:
            event = Stopped(work.id, op)
            if not any(other.id == work.id for other in self.working.values()):
                self.running.discard(work.id)
        self.answered.append(event)
        self.happen(event)

    @rule()
    def all_answer(self) -> None:
        """For a while everything goes well: random answers alone seldom bring a whole chain up."""
        for _ in range(2 * len(NAMES)):
            for op, work in sorted(self.working.items()):
                del self.working[op]
                done = Started if isinstance(work, actions.Start) else Stopped
                self.happen(done(work.id, op))
            for record in list(self.world.records.values()):
                if record.state is State.ONLINE_PENDING and record.watched:
                    self.happen(Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)))

    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        """An answer of the past arrives once more: it moves nothing."""
        if self.answered:
            event = data.draw(st.sampled_from(self.answered))
            assert not isinstance(event, Configured)
            assert not self.happen(event).transitions, "a stale id changed a state"

    @rule(name=names, reason=st.sampled_from(FAILURES), alive=st.booleans(), stale=st.booleans())
    def probed(self, name: str, reason: Reason, alive: bool, stale: bool) -> None:
        """The monitor tells an edge, perhaps of an earlier incarnation."""
        record = self.world.records.get(ResourceId(GROUP, name))
        if record is None:
            return
        incarnation = Incarnation(record.incarnation - stale)
        verdict = Verdict(Reason.MATCHED if alive else reason)
        decision = self.happen(Probed(record.id, incarnation, alive, verdict))
        if stale:
            assert not decision.transitions
            assert not decision.actions

    @rule(name=names, stale=st.booleans())
    def exited(self, name: str, stale: bool) -> None:
        """A service ends by itself."""
        record = self.world.records.get(ResourceId(GROUP, name))
        if record is not None and record.spec.acts:
            self.running.discard(record.id)
            decision = self.happen(
                Exited(record.id, Incarnation(record.incarnation - stale), Verdict(Reason.PROCESS_GONE))
            )
            assert not (stale and decision.transitions)

    @rule(name=names)
    def found(self, name: str) -> None:
        """An earlier run of ours left a service running."""
        record = self.world.records.get(ResourceId(GROUP, name))
        if record is not None and record.spec.acts and record.state is State.OFFLINE:
            self.happen(Found(record.id))

    @rule(name=st.sampled_from((*NAMES, GROUP)), verb=st.sampled_from(list(Verb)))
    def ask(self, name: str, verb: Verb) -> None:
        """An operator asks."""
        target = GROUP if name == GROUP else ResourceId(GROUP, name)
        ids = list(self.world.records) if name == GROUP else [ResourceId(GROUP, name)]
        if verb in (Verb.ONLINE, Verb.RESTART):
            for id in ids:
                self._forget_offline(id)
        decision = self.happen(Asked(verb, target))
        if verb in (Verb.OFFLINE, Verb.TERMINATE) and isinstance(decision.answer, int):
            self.offline_asked.update(
                id for id in ids if id in self.world.records and not self.world.records[id].wanted
            )

    def _forget_offline(self, id: ResourceId) -> None:
        self.offline_asked.discard(id)
        record = self.world.records.get(id)
        for provider in () if record is None else record.spec.depends_on:
            self._forget_offline(provider)

    @rule(seconds=st.sampled_from((0.5, 5.0, 200.0, 1000.0)))
    def pass_time(self, seconds: float) -> None:
        """Time goes by; every due time gets its tick."""
        until = self.now + seconds
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.happen(Tick())
        self.now = until

    @rule(name=names, here=st.booleans())
    def own(self, name: str, here: bool) -> None:
        """The group leaves and comes back."""
        self.happen(Owned(GROUP, here))
        self.happen(Owned(GROUP, here=True))

    @rule(on=st.sampled_from((True, False, False)))
    def plan_stops(self, on: bool) -> None:
        """The stops to come are planned, or no longer."""
        self.happen(Planned(on))

    @invariant()
    def budget_is_kept(self) -> None:
        """S54: never more restarts within the period than the threshold (the highest, where an edit changed it)."""
        for record in self.world.records.values():
            self.budget[record.id] = max(self.budget.get(record.id, 0), record.spec.restart_threshold)
            assert len(restarts.recent(record.attempts, record.spec, self.now)) <= self.budget[record.id]

    @invariant()
    def pending_has_an_end(self) -> None:
        """Whatever waits for an operation has one, and a due time unless S53 or the first verdict excuses it."""
        for record in self.world.records.values():
            if record.state in PENDING and record.spec.acts:
                assert record.op is not None
                assert record.due is not None or record.spec.traits.online_waits_forever

    @invariant()
    def opened_and_linked(self) -> None:
        """S47, S63: what is open and watched is what the core says; dependents are the other side of providers."""
        self.ledger.check(self.world)
        check_links(self.world)

    def teardown(self) -> None:
        """At the end everything settles, and the same inputs give the same decisions."""
        if not hasattr(self, "world") or self.broken:
            return
        self.happen(Planned(on=False))
        for _ in range(20):
            self.all_answer()
            self.pass_time(1000.0)
        self.all_answer()
        assert list(unsettled(self.world)) == []
        again = World()
        for (event, now), said in zip(self.log, self.said, strict=True):
            decision = step(again, event, now)
            again.apply(decision)
            assert repr(decision) == said
        self._drain()

    def _drain(self) -> None:
        self.happen(Drained())
        for _ in range(50):
            for op, work in sorted(self.working.items()):
                del self.working[op]
                assert not isinstance(work, actions.Start)
                self.happen(Stopped(work.id, op))
        for record in self.world.records.values():
            assert record.state in (State.OFFLINE, State.FAILED) or not record.spec.acts, f"{record} after the drain"


EXAMPLES = int(os.environ.get("LOOKSALIVE_MACHINE_EXAMPLES", "60"))

TestShell = Shell.TestCase
TestShell.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=50,
    deadline=None,
    report_multiple_bugs=False,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
