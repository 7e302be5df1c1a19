"""A machine on which everything goes well: services that start and stop, checks that see them, and a clock.

It knows nothing of plans: it performs what the core asks for, as the real shell does, and looks at its services.
"""

from __future__ import annotations

from collections import deque

from hypothesis import strategies as st
from msgspec.structs import replace

from probe.lifecycle import actions
from probe.lifecycle.events import (
    Asked,
    Configured,
    Event,
    Exited,
    Owned,
    Probed,
    Started,
    Stopped,
    Tick,
    Upgraded,
    Verb,
)
from probe.lifecycle.spec import Spec
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Record, World
from probe.values import Reason, ResourceId, State, Verdict
from tests.scenarios.language import GROUP, spec

NAMES = ("a", "b", "c", "d", "e")
TYPES = ("service", "smtp", "imap", "information-store", "system-attendant")
PLAN_FAILURE = Verdict(Reason.BANNER_TIMEOUT, "as supposed")
PLAN_REFUSED = Verdict(Reason.CONNECT_REFUSED, "as supposed")
PLAN_EXIT = Verdict(Reason.PROCESS_GONE, "as supposed")
GOOD = Verdict(Reason.MATCHED)
STEPS_MAX = 5000


@st.composite
def specs(draw: st.DrawFn) -> list[Spec]:
    """Draw some resources in an acyclic graph, of any controller and policy."""
    made: list[Spec] = []
    for name in NAMES[: draw(st.integers(1, len(NAMES)))]:
        before = [each.id.name for each in made]
        made.append(
            spec(
                name,
                draw(st.sampled_from(TYPES)),
                draw(st.sampled_from(("process", "process", "none"))),
                tuple(draw(st.lists(st.sampled_from(before), unique=True, max_size=2))) if before else (),
                restart_threshold=draw(st.integers(0, 2)),
                restart_delay_s=draw(st.sampled_from((0.0, 5.0))),
                retry_period_s=draw(st.sampled_from((None, 300.0))),
                auto_start=draw(st.booleans()),
            )
        )
    return [
        replace(each, service=draw(st.sampled_from(("", "mail")))) if each.acts and each.traits.type == "smtp" else each
        for each in made
    ]


class HealthyMachine:
    """Performs actions at once and well, in the order in which they are asked for."""

    def __init__(self, world: World, now: float = 0.0) -> None:
        self.world = world
        self.now = now
        self.log: list[tuple[Event, float, Decision]] = []
        self.broken: dict[ResourceId, Verdict] = {}  # who does not answer well until it is started anew
        self._inbox: deque[Event] = deque()

    def load(self, described: list[Spec]) -> None:
        """Tell it a store."""
        self.post(Configured(tuple(described)))
        self.post(Owned(GROUP, here=True))
        self.run()

    def post(self, event: Event) -> None:
        """Let something happen, after what happens already."""
        self._inbox.append(event)

    def run(self, until: float | None = None) -> None:
        """Let everything happen that is to, up to a time, or until nothing is due."""
        while len(self.log) < STEPS_MAX:
            if self._inbox:
                self._happen(self._inbox.popleft())
                continue
            due = self.world.next_due()
            if due is None or (until is not None and due > until):
                return
            self.now = max(self.now, due)
            self._happen(Tick())
        raise AssertionError("it does not come to rest")

    def lose(self, id: ResourceId, *, process: bool) -> None:
        """A service fails: its process ends, or only its check sees it."""
        record = self.world.records[id]
        if process and record.spec.acts:
            self.broken[id] = PLAN_EXIT
            self.post(Exited(id, record.incarnation, PLAN_EXIT))
        else:
            self.broken[id] = PLAN_REFUSED if process else PLAN_FAILURE
            self.post(Probed(id, record.incarnation, False, self.broken[id]))

    def ask(self, verb: Verb, target: ResourceId | str, by: str = "") -> None:
        """An operator asks."""
        self.post(Asked(verb, target, by))

    def _happen(self, event: Event) -> None:
        decision = step(self.world, event, self.now)
        before = dict(self.world.records)
        self.world.apply(decision)
        self.log.append((event, self.now, decision))
        for action in decision.actions:
            self._perform(action)
        for id, record in decision.records.items():
            if record is not None and not record.spec.acts and _is_presumed_well(record):
                self.broken.pop(id, None)
            was = before.get(id)
            ended = record is not None and record.felled is not None and (was is None or was.felled != record.felled)
            if record is not None and ended and record.state is State.ONLINE:  # its service went with another's
                gone = Probed(id, record.incarnation, False, PLAN_REFUSED)
                self.post(gone if record.watched else Exited(id, record.incarnation, PLAN_EXIT))

    def _perform(self, action: actions.Action) -> None:
        if isinstance(action, actions.Start):
            self.broken.pop(action.id, None)
            self.post(Started(action.id, action.op))
        elif isinstance(action, actions.Stop | actions.Terminate):
            self.post(Stopped(action.id, action.op))
        elif isinstance(action, actions.Upgrade):
            self.post(Upgraded(action.id, action.op))
        elif isinstance(action, actions.Watch | actions.Verify):
            self._look(action)

    def _look(self, action: actions.Watch | actions.Verify) -> None:
        """Check a service; only what differs from the level known is told, and to an online only what is good."""
        record = self.world.records[action.id]
        verdict = self.broken.get(action.id)
        if isinstance(action, actions.Watch):
            level, only_good = action.alive, action.confirming
        else:
            level, only_good = (record.state is State.ONLINE and record.held is None), False
        alive = verdict is None
        if alive is not level and (alive or not only_good):
            self.post(Probed(action.id, record.incarnation, alive, verdict or GOOD))


def _is_presumed_well(record: Record) -> bool:
    """Whether an observed resource is well when it is next looked at: it is offline, or blamed on a provider."""
    return record.state is State.OFFLINE or record.root_cause is not None
