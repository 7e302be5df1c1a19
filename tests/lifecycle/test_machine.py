"""Laws of the core under random events: a machine that plays the shell, with invariants after every step."""

from __future__ import annotations

import os

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
    Probed,
    Started,
    Stopped,
    Tick,
    Verb,
)
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, World
from probe.values import Incarnation, OpId, Reason, ResourceId, State, Verdict
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
        specs = []
        for index, name in enumerate(NAMES):
            providers = data.draw(st.sets(st.sampled_from(NAMES[:index]), max_size=2)) if index else set()
            specs.append(
                spec(
                    name,
                    data.draw(st.sampled_from(TYPES)),
                    data.draw(st.sampled_from(("process", "process", "none"))),
                    tuple(sorted(providers)),
                    restart_threshold=data.draw(st.integers(0, 2)),
                    restart_delay_s=data.draw(st.sampled_from((0.0, 5.0))),
                    retry_period_s=data.draw(st.sampled_from((None, 300.0))),
                    auto_start=data.draw(st.booleans()),
                )
            )
        self.happen(Configured(tuple(specs)))
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
                assert self.world.records[id].spec.traits.conversation
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
        record = self.world.records[ResourceId(GROUP, name)]
        incarnation = Incarnation(record.incarnation - stale)
        verdict = Verdict(Reason.MATCHED if alive else reason)
        decision = self.happen(Probed(record.id, incarnation, alive, verdict))
        if stale:
            assert not decision.transitions
            assert not decision.actions

    @rule(name=names, stale=st.booleans())
    def exited(self, name: str, stale: bool) -> None:
        """A service ends by itself."""
        record = self.world.records[ResourceId(GROUP, name)]
        if record.spec.acts:
            self.running.discard(record.id)
            decision = self.happen(
                Exited(record.id, Incarnation(record.incarnation - stale), Verdict(Reason.PROCESS_GONE))
            )
            assert not (stale and decision.transitions)

    @rule(name=names)
    def found(self, name: str) -> None:
        """An earlier run of ours left a service running."""
        record = self.world.records[ResourceId(GROUP, name)]
        if record.spec.acts and record.state is State.OFFLINE:
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
            self.offline_asked.update(id for id in ids if not self.world.records[id].wanted)

    def _forget_offline(self, id: ResourceId) -> None:
        self.offline_asked.discard(id)
        for provider in self.world.records[id].spec.depends_on:
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

    @invariant()
    def budget_is_kept(self) -> None:
        """S54: never more restarts within the period than the threshold."""
        for record in self.world.records.values():
            assert len(restarts.recent(record.attempts, record.spec, self.now)) <= record.spec.restart_threshold

    @invariant()
    def pending_has_an_end(self) -> None:
        """Whatever waits for an operation has one, and a due time unless S53 or the first verdict excuses it."""
        for record in self.world.records.values():
            if record.state in PENDING and record.spec.acts:
                assert record.op is not None
                assert record.due is not None or record.spec.traits.online_waits_forever

    def teardown(self) -> None:
        """At the end everything settles, and the same inputs give the same decisions."""
        if not hasattr(self, "world") or self.broken:
            return
        for _ in range(200):
            if self.working:
                op = min(self.working)
                work = self.working.pop(op)
                done = Started if isinstance(work, actions.Start) else Stopped
                self.happen(done(work.id, op))
            for record in list(self.world.records.values()):
                if record.state is State.ONLINE_PENDING and record.watched:
                    self.happen(Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)))
            self.pass_time(100.0)
        for record in self.world.records.values():
            assert record.state not in PENDING, f"{record} never ends"
            up = all(self.world.records[provider].state is State.ONLINE for provider in record.spec.depends_on)
            assert not (record.state is State.OFFLINE and record.wanted and up), f"{record} but nothing holds it"
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
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
