"""Laws of the core under random events: controllers, monitors, operators, the store and the clock do what they like."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test
from msgspec.structs import replace

from probe.lifecycle import restarts
from probe.lifecycle.events import (
    Asked,
    Configured,
    Exited,
    Found,
    Maintained,
    Owned,
    Planned,
    Probed,
    Progressed,
    Suspected,
    Verb,
)
from probe.lifecycle.spec import Spec
from probe.resources.types import TYPES
from probe.values import Incarnation, Reason, ResourceId, State, Verdict
from tests.lifecycle.laws import check_links
from tests.lifecycle.shell import GROUPS, OTHER, Shell
from tests.scenarios.language import resource_id, spec

NAMES = ("a", "b", "c", "d", f"{OTHER}/a", f"{OTHER}/b", f"{OTHER}/c")
FAILURES = (Reason.BANNER_TIMEOUT, Reason.CONNECT_REFUSED, Reason.PROCESS_GONE)
PENDING = (State.ONLINE_PENDING, State.OFFLINE_PENDING)
IN_CI = os.environ.get("CI") == "true"
EXAMPLES_IN_CI = 350
EXAMPLES = int(os.environ.get("LOOKSALIVE_MACHINE_EXAMPLES", EXAMPLES_IN_CI if IN_CI else 60))
RULES_PER_EXAMPLE = 100
STEPS_MIN = 20_000  # of the core, in CI; those by which a run comes to rest at its end do not count
names = st.sampled_from(NAMES)
groups = st.sampled_from(GROUPS)


class Machine(Shell):
    """What may happen, drawn at random."""

    @initialize(data=st.data())
    def configure(self, data: st.DataObject) -> None:
        """Begin with two groups, each a random acyclic graph."""
        self.begin()
        for name in NAMES:
            self.store[name] = self.describe(data, name)
        self.happen(Configured(tuple(self.store.values())))
        for group in GROUPS:
            self.happen(Owned(group, here=True))

    def describe(self, data: st.DataObject, name: str) -> Spec:
        """Draw a resource; it depends only on those of its group before it in the alphabet that the store has."""
        group = resource_id(name).group
        before = [each for each in sorted(self.store) if each < name and resource_id(each).group == group]
        chained = st.just({before[-1]} if before else set())  # long chains are rare among random graphs
        providers = data.draw(st.one_of(chained, st.sets(st.sampled_from(before or [""]), max_size=2)))
        type = data.draw(st.sampled_from(("smtp", "smtp", "information-store", *sorted(TYPES))))
        acts = data.draw(st.sampled_from((True, True, False)))
        action = data.draw(st.sampled_from(("restart", "restart", "restart-and-fail-over", "do-not-restart")))
        return spec(
            name,
            type,
            data.draw(st.sampled_from(("process", "systemd"))) if acts else "none",
            tuple(sorted(providers - {""})),
            restart=action != "do-not-restart",
            restart_threshold=data.draw(st.integers(0, 2)),
            restart_delay_s=data.draw(st.sampled_from((0.0, 5.0))),
            retry_period_s=data.draw(st.sampled_from((None, 300.0))),
            auto_start=data.draw(st.booleans()),
            service=data.draw(st.sampled_from(("", "mail"))) if acts else "",
            has_instance=data.draw(st.booleans()),
            storage_groups=data.draw(st.integers(0, 3)) if type == "information-store" else 0,
            fail_over=action == "restart-and-fail-over",
            can_upgrade=acts and data.draw(st.booleans()),
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
                self.offline_asked.discard(resource_id(name))
        changed = tuple(spec for other, spec in self.store.items() if before.get(other) != spec)
        room = data.draw(st.sampled_from((None, None, 2, 4)))
        self.happen(Configured(changed, removed, storage_groups_max=room))

    @rule(data=st.data(), good=st.sampled_from((True, True, True, False)))
    def answer(self, data: st.DataObject, good: bool) -> None:
        """A worker returns."""
        if self.working:
            self.answer_with(data.draw(st.sampled_from(sorted(self.working))), good=good)

    @rule()
    def all_answer(self) -> None:
        """For a while everything goes well."""
        self.everything_answers()

    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        """An answer of the past arrives once more: it moves nothing."""
        if self.answered:
            decision = self.happen(data.draw(st.sampled_from(self.answered)))
            assert not decision.transitions, "a stale id changed a state"
            assert not decision.actions, "a stale id had something done"

    @rule(name=names, reason=st.sampled_from(FAILURES), alive=st.booleans(), stale=st.booleans())
    def probed(self, name: str, reason: Reason, alive: bool, stale: bool) -> None:
        """The monitor tells an edge, perhaps of an earlier incarnation."""
        record = self.world.records.get(resource_id(name))
        if record is None:
            return
        incarnation = Incarnation(record.incarnation - stale)
        verdict = Verdict(Reason.MATCHED if alive else reason)
        decision = self.happen(Probed(record.id, incarnation, alive, verdict))
        assert not (stale and (decision.transitions or decision.actions)), "a stale edge counted"

    @rule(name=names, stale=st.booleans())
    def suspected(self, name: str, stale: bool) -> None:
        """A first check failed: others are asked, nothing is said."""
        record = self.world.records.get(resource_id(name))
        if record is not None:
            decision = self.happen(Suspected(record.id, Incarnation(record.incarnation - stale)))
            assert not (stale and decision.actions)

    @rule(name=names, stale=st.booleans())
    def exited(self, name: str, stale: bool) -> None:
        """A service ends by itself."""
        record = self.world.records.get(resource_id(name))
        if record is not None and record.spec.acts:
            incarnation = Incarnation(record.incarnation - stale)
            decision = self.happen(Exited(record.id, incarnation, Verdict(Reason.PROCESS_GONE)))
            assert not (stale and (decision.transitions or decision.actions)), "the end of an earlier service counted"

    @rule(name=names, done=st.integers(0, 4))
    def progressed(self, name: str, done: int) -> None:
        """An operation says how far it is: nothing follows from that."""
        decision = self.happen(Progressed(resource_id(name), done, 4))
        assert not decision.transitions
        assert not decision.actions

    @rule(name=names)
    def found(self, name: str) -> None:
        """An earlier run of ours left a service running."""
        record = self.world.records.get(resource_id(name))
        if record is not None and record.spec.acts and record.state is State.OFFLINE and record.opened is not None:
            self.happen(Found(record.id))

    @rule(name=st.sampled_from((*NAMES, *GROUPS)), verb=st.sampled_from(list(Verb)))
    def ask(self, name: str, verb: Verb) -> None:
        """An operator asks; what is refused changes nothing."""
        target = name if name in GROUPS else resource_id(name)
        ids = [id for id in self.world.records if target in (id, id.group)]
        event = Asked(verb, target)
        if not self.would_be_granted(event):
            decision = self.happen(event)
            assert not decision.transitions, "a refused verb changed a state"
            assert not decision.actions, "a refused verb had something done"
            return
        if verb in (Verb.ONLINE, Verb.RESTART):
            for id in ids:
                self._forget_offline(id)
        self.happen(event)
        if verb in (Verb.OFFLINE, Verb.TERMINATE):
            known = (id for id in ids if id in self.world.records)
            self.offline_asked.update(id for id in known if not self.world.records[id].wanted)

    def _forget_offline(self, id: ResourceId) -> None:
        self.offline_asked.discard(id)
        record = self.world.records.get(id)
        for provider in () if record is None else record.spec.depends_on:
            self._forget_offline(provider)

    @rule(seconds=st.sampled_from((0.5, 5.0, 200.0, 1000.0)))
    def pass_time(self, seconds: float) -> None:
        """Time goes by."""
        self.let_pass(seconds)

    @rule(group=groups, here=st.sampled_from((True, True, False)))
    def own(self, group: str, here: bool) -> None:
        """A group leaves or comes back."""
        if group in self.world.groups:
            self.happen(Owned(group, here))

    @rule(group=groups, on=st.booleans(), lasting=st.sampled_from((None, 100.0)))
    def maintain(self, group: str, on: bool, lasting: float | None) -> None:
        """A group is let alone, for some time or until it is ended."""
        self.happen(Maintained(group, on, "tester", None if lasting is None else self.now + lasting))

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
        """S52, S53: what waits for an operation has one, and a due time unless it may wait for ever."""
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
        """At the end everything settles or, half the time, we end in the middle of it; a replay says the same."""
        if not hasattr(self, "world") or self.broken:
            return
        if len(self.log) % 2:
            self.come_to_rest()
        self.drain()
        self.replay()


def test_laws_hold_whatever_happens() -> None:
    """S16, S36, S37, S45, S47, S52 to S55, S63, S68: the laws of `shell.py` and `laws.py`, over 20,000 random steps."""
    before = Shell.steps
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=RULES_PER_EXAMPLE,
            deadline=None,
            report_multiple_bugs=False,
            derandomize=IN_CI,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
    assert EXAMPLES < EXAMPLES_IN_CI or Shell.steps - before >= STEPS_MIN
