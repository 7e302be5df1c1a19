"""A shell for random events: it performs what the core decides, and holds every decision to the laws."""

from __future__ import annotations

from hypothesis.stateful import RuleBasedStateMachine

from probe.lifecycle import actions
from probe.lifecycle.events import (
    Asked,
    Drained,
    Event,
    Found,
    Maintained,
    OperationFailed,
    Owned,
    Planned,
    Probed,
    Started,
    Stopped,
    Suspected,
    Tick,
    Upgraded,
    Verb,
)
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Record, Remains, World
from probe.values import OpId, Reason, ResourceId, State, Verdict
from tests.lifecycle.laws import Ledger, unsettled
from tests.scenarios.language import GROUP

OTHER = "evs2"
GROUPS = (GROUP, OTHER)
SETTLING_ROUNDS = 20
WORK = (actions.Start, actions.Stop, actions.Terminate, actions.Upgrade)
BUSY = (State.ONLINE, State.ONLINE_PENDING, State.OFFLINE_PENDING)


class Shell(RuleBasedStateMachine):
    """One world, the controllers that work for it, and what is expected of it."""

    steps = 0  # of all runs, without settling and replaying

    def begin(self) -> None:
        """Start with an empty world."""
        self.world = World()
        self.now = 0.0
        self.log: list[tuple[Event, float]] = []
        self.said: list[str] = []
        self.working: dict[OpId, actions.Start | actions.Stop | actions.Terminate | actions.Upgrade] = {}
        self.cancelled: set[OpId] = set()
        self.answered: list[Event] = []
        self.offline_asked: set[ResourceId] = set()
        self.ledger = Ledger()
        self.budget: dict[ResourceId, int] = {}
        self.store: dict[str, Spec] = {}
        self.settling = False
        self.before: dict[ResourceId, Record] = {}  # of the step that is being looked at
        self.found_now: ResourceId | None = None  # in it

    def happen(self, event: Event) -> Decision:
        """Step, check the decision against the laws, apply it."""
        self.broken = True
        if not self.settling:
            Shell.steps += 1
        self.before = before = dict(self.world.records)
        self.found_now = event.id if isinstance(event, Found) else None
        decision = step(self.world, event, self.now)
        assert self.world.records == before, "a step changed the world"
        self.log.append((event, self.now))
        self.said.append(repr(decision))
        self.world.apply(decision)
        self.check_decision(event, decision, before)
        for action in decision.actions:
            self.ledger.note(action)
            self.perform(action, event)
        self.broken = False
        return decision

    def check_decision(self, event: Event, decision: Decision, before: dict[ResourceId, Record]) -> None:
        """Hold a decision to what is true of it as a whole."""
        for edge in decision.transitions:
            record = self.world.records.get(edge.id)
            if edge.reason is Reason.COLLATERAL and edge.to is State.FAILED and record is not None:
                kept = set(record.attempts) <= set(before[edge.id].attempts)
                assert kept, f"S37: collateral cost {record} some of its budget"
                asked = any(isinstance(each, actions.FailOver) and each.because == edge.id for each in decision.actions)
                assert not asked, f"S37: collateral of {record} asked for another node"
        started = [self.world.records[each.id] for each in decision.actions if isinstance(each, actions.Start)]
        if any(record.spec.storage_groups for record in started):
            mounted = sum(record.spec.storage_groups for record in self.world.records.values() if _is_mounted(record))
            assert mounted <= self.world.storage_groups_max, "S45: more storage groups than the node mounts"
        if isinstance(event, Suspected):
            assert all(isinstance(action, actions.Verify) for action in decision.actions), "a suspicion was acted on"
            assert not decision.transitions

    def perform(self, action: actions.Action, event: Event) -> None:
        """Do what a shell does, and look at what it is told to do."""
        if isinstance(action, actions.FailOver):
            record = self.world.records[action.because]
            assert record.spec.fail_over, "S54: fails over without being told to"
            assert record.spent, "S54: fails over with some budget left"
            return
        if isinstance(action, (*WORK, actions.Kill)):
            self.check_hands(action)
        match action:
            case actions.Start(id, op):
                self.check_start(id)
                self.working[op] = action
            case actions.Stop(id, op) | actions.Terminate(id, op):
                if not (isinstance(event, Asked) and event.verb is Verb.TERMINATE):
                    self.check_stop(id)
                self.working[op] = action
            case actions.Upgrade(id, op):
                record = self.world.records[id]
                assert record.state is State.OFFLINE, f"S53: {record} and upgraded"
                assert not any(work.id == id for work in self.working.values()), "S55: upgraded beside a worker"
                self.working[op] = action
            case actions.Cancel(_, op):
                self.cancelled.add(op)
            case actions.Watch(id, incarnation):
                assert self.world.records[id].incarnation == incarnation
                assert self.world.records[id].spec.checked
            case _:
                pass

    def check_hands(
        self, action: actions.Start | actions.Stop | actions.Terminate | actions.Upgrade | actions.Kill
    ) -> None:
        """Nothing is done to what is let alone; one operation is in flight a resource, earlier ones were called off."""
        record = self.world.records[action.id]
        assert record.spec.acts, f"{record} is only observed and was to be acted on"
        group = self.world.groups.get(action.id.group)
        let_alone = group is not None and group.maintenance is not None and not self.world.draining
        taken_over = isinstance(action, actions.Start) and self.was_found_running(action.id)
        assert not let_alone or taken_over, f"S6: {type(action).__name__} for {record}, whose group is in maintenance"
        for op, work in self.working.items():
            assert work.id != action.id or op in self.cancelled, f"S55: operation {op} of {record} goes on beside this"

    def was_found_running(self, id: ResourceId) -> bool:
        """Whether its service ran already, so that a start only takes it over."""
        record = self.before.get(id)
        known = record is not None and record.state is State.OFFLINE and record.remains is Remains.SOME
        return known or id == self.found_now

    def check_start(self, id: ResourceId) -> None:
        """S16, S36, S55: nothing starts too early, beside another worker, or against an operator's will."""
        record = self.world.records[id]
        assert not any(work.id == id for work in self.working.values()), "S55: a second worker was started"
        assert id not in self.offline_asked, "an operator's offline was overridden"
        assert not self.world.planned, "started while the stops to come are planned"
        assert not self.world.draining, "started while ending"
        assert self.world.groups[id.group].here, "started on a node that does not own it"
        for provider in record.spec.depends_on:
            assert self.world.records[provider].state is State.ONLINE, "S16: started before what it needs"
        for work in self.working.values():
            other = self.world.records.get(work.id)
            if other is None or not record.spec.service or other.spec.service != record.spec.service:
                continue
            ending = isinstance(work, actions.Stop) and other.spec.traits.stops_the_whole_service
            assert not (ending and other.op == work.op), f"S36: {record} starts while {other} ends their service"

    def check_stop(self, id: ResourceId) -> None:
        """S16: stops are in the reverse order."""
        for dependent in self.world.dependents.get(id, ()):
            other = self.world.records[dependent]
            ours = other.spec.acts and (other.spec.ours_to_stop or not self.world.draining)
            running = other.state in BUSY
            assert not (ours and running), f"S16: {id} is stopped before its dependent {other}"

    def answer_with(self, op: OpId, *, good: bool) -> None:
        """Let a worker return."""
        work = self.working.pop(op)
        event: Event
        if not good:
            event = OperationFailed(work.id, op, Verdict(Reason.PROCESS_GONE))
        elif isinstance(work, actions.Start):
            event = Started(work.id, op)
        else:
            event = Upgraded(work.id, op) if isinstance(work, actions.Upgrade) else Stopped(work.id, op)
        self.answered.append(event)
        self.happen(event)

    def everything_answers(self) -> None:
        """Go on while all goes well: random answers alone seldom bring a whole chain up."""
        for _ in range(2 * len(self.store)):
            for op in sorted(self.working):
                self.answer_with(op, good=True)
            for record in list(self.world.records.values()):
                if record.state is State.ONLINE_PENDING and record.watched:
                    self.happen(Probed(record.id, record.incarnation, True, Verdict(Reason.MATCHED)))

    def let_pass(self, seconds: float) -> None:
        """Let time go by; every due time gets its tick."""
        until = self.now + seconds
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.happen(Tick())
        self.now = until

    def would_be_granted(self, event: Asked) -> bool:
        """Ask on a copy: a decision that is not applied changes nothing."""
        return isinstance(step(self.world, event, self.now).answer, int)

    def come_to_rest(self) -> None:
        """Undo what holds things back, let everything answer, and see that nothing is left hanging."""
        self.settling = True
        self.happen(Planned(on=False))
        for group in list(self.world.groups):
            self.happen(Owned(group, here=True))
            self.happen(Maintained(group, on=False))
        for _ in range(SETTLING_ROUNDS):
            self.everything_answers()
            self.let_pass(1000.0)
        self.everything_answers()
        assert list(unsettled(self.world)) == []

    def replay(self) -> None:
        """Give the same inputs to another world: the decisions are the same, to the letter."""
        again = World()
        for (event, now), said in zip(self.log, self.said, strict=True):
            decision = step(again, event, now)
            again.apply(decision)
            assert repr(decision) == said

    def drain(self) -> None:
        """End: what is ours to stop is down at last, however it was caught."""
        self.settling = True
        self.happen(Drained())
        for _ in range(SETTLING_ROUNDS):
            for op in sorted(self.working):
                self.answer_with(op, good=True)
            self.let_pass(1000.0)
        for record in self.world.records.values():
            down = record.state in (State.OFFLINE, State.FAILED)
            assert down or not record.spec.ours_to_stop, f"{record} after the drain"


def _is_mounted(record: Record) -> bool:
    return record.spec.storage_groups > 0 and (record.state in BUSY or record.remains is not Remains.NONE)
