"""What our core does: `step` driven by answers in any order, and the order it implies, found by holding answers back.

A step is ordered after another exactly when it is never asked for while the other one has no answer and everybody else
has: so every step is held back once, on a copy of the world.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence

from probe.lifecycle import actions
from probe.lifecycle.blame import HOLD_S
from probe.lifecycle.events import Asked, Event, Exited, Probed, Started, Stopped, Tick, Verb
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import World
from probe.values import OpId, Reason, ResourceId, State, Verdict
from tests.lifecycle.worlds import world_of
from tests.oracle.pacemaker import Step, Transition

Pick = Callable[[Sequence[Step]], Step]  # whose answer comes next


class Core:
    """A world, the answers it waits for, and what was asked for since the last look."""

    def __init__(self, specs: Iterable[Spec]) -> None:
        specs = tuple(specs)
        self.world = World()
        self.now = 0.0
        self.log: list[tuple[str, Step]] = []  # ("asked" | "done", step), in order
        self._waiting: dict[Step, tuple[ResourceId, OpId]] = {}
        self._specs = {spec.id.name: spec for spec in specs}
        self.world = world_of(specs)
        for record in self.world.records.values():  # what `world_of` asked for already
            if record.op is not None:
                self._expect("start", record.id, record.op)

    def fork(self) -> Core:
        """Copy: records are immutable, so only the tables are."""
        other = copy.copy(self)
        other.world = World()
        for name, table in vars(self.world).items():
            setattr(other.world, name, copy.copy(table))
        other.log = list(self.log)
        other._waiting = dict(self._waiting)
        return other

    def happen(self, event: Event) -> None:
        """Step, apply, and remember what was asked for."""
        decision = step(self.world, event, self.now)
        self.world.apply(decision)
        for action in decision.actions:
            if isinstance(action, actions.Start):
                self._expect("start", action.id, action.op)
            elif isinstance(action, actions.Stop | actions.Terminate):
                self._expect("stop", action.id, action.op)

    def offline(self, name: str) -> None:
        """Let an operator take it offline."""
        self.happen(Asked(Verb.OFFLINE, self._specs[name].id))

    def online(self, name: str) -> None:
        """Let an operator want it online again."""
        self.happen(Asked(Verb.ONLINE, self._specs[name].id))

    def fail(self, name: str, *, hangs: bool) -> None:
        """Let a running service hang, which its check finds, or end by itself."""
        record = self.world.records[self._specs[name].id]
        if hangs:
            self.happen(Probed(record.id, record.incarnation, False, Verdict(Reason.BANNER_TIMEOUT)))
        else:
            self.happen(Exited(record.id, record.incarnation, Verdict(Reason.PROCESS_GONE)))

    def hear_held_failures(self) -> None:
        """Let the time pass for which a failure waits for its providers' re-check, whose level did not change."""
        until = self.now + 2 * HOLD_S
        while (due := self.world.next_due()) is not None and due <= until:
            self.now = due
            self.happen(Tick())
        self.now = until

    def rest(self, pick: Pick, held: Step | None = None) -> Core:
        """Answer with success until nothing is asked any more; what is `held` gets no answer. Returns itself."""
        while ready := [each for each in sorted(self._waiting) if each != held]:
            self._answer(pick(ready))
        return self

    def steps(self) -> list[Step]:
        """List what was asked for, in order."""
        return [each for what, each in self.log if what == "asked"]

    def _expect(self, verb: str, id: ResourceId, op: OpId) -> None:
        wanted = (verb, id.name)
        assert ("asked", wanted) not in self.log, f"{wanted} is asked for twice"
        self.log.append(("asked", wanted))
        self._waiting[wanted] = (id, op)

    def _answer(self, done: Step) -> None:
        id, op = self._waiting.pop(done)
        self.log.append(("done", done))
        self.happen(Started(id, op) if done[0] == "start" else Stopped(id, op))
        record = self.world.records[id]
        if record.state is State.ONLINE_PENDING and record.watched:
            self.happen(Probed(id, record.incarnation, True, Verdict(Reason.MATCHED)))


def implied(core: Core) -> Transition:
    """Find the steps that follow from here, and every pair of which the first must be done before the second begins."""
    everything = frozenset(core.fork().rest(_first).steps())
    pairs = {
        (held, after) for held in everything for after in everything.difference(core.fork().rest(_first, held).steps())
    }
    return Transition(everything, frozenset(pairs))


def _first(ready: Sequence[Step]) -> Step:
    return ready[0]


def violations(core: Core, order: Transition, optional: Iterable[Step]) -> list[str]:
    """Say where a run that came to rest is not one that `order` allows, which says nothing of `optional` steps."""
    asked = {each: at for at, (what, each) in enumerate(core.log) if what == "asked"}
    done = {each: at for at, (what, each) in enumerate(core.log) if what == "done"}
    found = order.steps.symmetric_difference(asked).difference(optional)
    if found:
        return [f"{each} only in one of the two" for each in sorted(found)]
    return [f"{then} began before {first} was done" for first, then in sorted(order.pairs) if done[first] > asked[then]]
