"""A future in words: what would be done, in waves, what would be told, and what would stay down and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import assert_never

from probe.lifecycle import actions
from probe.lifecycle.capacity import if_node_dies, is_mounted
from probe.lifecycle.events import Asked, Configured, Event, Exited, Owned, Planned, Probed
from probe.lifecycle.foresee import Foreseen, Future, Unforeseeable, foresee, suppose
from probe.lifecycle.world import Decision, Phase, Record, Refused, Transition
from probe.values import Reason, ResourceId, State

NODE_DOWN = "node-down"
HERE = "this node"
STEPS_MAX = 5000  # that are told; an answer stays below a few megabytes


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One sentence. Steps of one wave happen side by side; `at_s` counts only waits of our own, not the services'."""

    wave: int
    at_s: float
    kind: str  # "suppose", "state", or the action's name: "start", "stop", "terminate", "kill", "verify" ...
    id: str  # of the resource (of the group, of everything: empty) that it is about
    text: str


@dataclass(frozen=True, slots=True)
class PlanFate:
    """A resource that the plan touches: its state before and after, and why it stays down where it does."""

    id: str
    before: str  # empty: it is new
    after: str  # empty: it is gone
    why: str


@dataclass(frozen=True, slots=True)
class PlanAlert:
    """A failure that would be told as a cause of its own, and who would be down because of it."""

    id: str
    reason: str
    blamed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PlanReport:
    """What an event would lead to. `refused` is why a verb would not be granted; `ended` why the plan is cut short."""

    event: str
    target: str
    steps: tuple[PlanStep, ...]
    fates: tuple[PlanFate, ...]
    alerts: tuple[PlanAlert, ...]
    refused: str
    ended: str


def plan(taken: Decision, event: str, target: str, now: float) -> PlanReport:
    """Say what an event in people's words would lead to at `now`, in a snapshot of a world. Raises Unforeseeable."""
    if event == NODE_DOWN:
        return _node_down(taken, target)
    return foretell(event, target, foresee(taken, suppose(taken, event, target), now))


def _node_down(taken: Decision, target: str) -> PlanReport:
    """Say where each group of this node would go if it died (S46). Raises Unforeseeable for another node's name."""
    if target:
        raise Unforeseeable("node-down is about the node that is asked, the only one there is; leave the target out")
    mounted: dict[str, int] = {name: 0 for name, group in taken.groups.items() if group is not None and group.here}
    for record in taken.records.values():
        if record is not None and record.id.group in mounted and is_mounted(record):
            mounted[record.id.group] += record.spec.storage_groups
    limit = taken.storage_groups_max
    used = f"{sum(mounted.values())} of {limit} storage groups are mounted on {HERE}"
    fates = tuple(
        PlanFate(one.group, HERE, one.node or "", one.why_not) for one in if_node_dies({HERE: mounted}, limit, HERE)
    )
    return PlanReport(NODE_DOWN, target, (), fates, (), "", used)


def foretell(event: str, target: str, future: Future) -> PlanReport:
    """Put a future into words."""
    teller = _Teller(future.before)
    told = [step for foreseen in future.steps for step in teller.tell(foreseen, future.supposed)]
    waves = {wave: number for number, wave in enumerate(dict.fromkeys(step.wave for step in told))}
    steps = (replace(step, wave=waves[step.wave]) for step in told)  # in some nothing is worth a word
    touched = dict.fromkeys(id for foreseen in future.steps for id in foreseen.decision.records)
    fates = (_fate(id, future.before.records.get(id), future.after.records.get(id)) for id in touched)
    answers = (foreseen.decision.answer for foreseen in future.steps)
    refused = next((answer.message for answer in answers if isinstance(answer, Refused)), "")
    ended = future.ended if len(told) <= STEPS_MAX else f"only the first {STEPS_MAX} of {len(told)} steps are told"
    return PlanReport(
        event,
        target,
        tuple(islice(steps, STEPS_MAX)),
        tuple(islice(fates, STEPS_MAX)),
        tuple(islice(_alerts(future), STEPS_MAX)),
        refused,
        ended,
    )


class _Teller:
    """Tells decision by decision, with the records as they are then."""

    def __init__(self, before: Decision) -> None:
        self._before = before
        self._later: dict[ResourceId, Record | None] = {}

    def tell(self, foreseen: Foreseen, supposed: tuple[Event, ...]) -> Iterator[PlanStep]:
        """Tell one decision: what happened, whose state changed, what is asked for."""
        decision, wave, at_s = foreseen.decision, foreseen.wave, round(foreseen.at_s, 3)
        self._later |= decision.records
        if any(foreseen.event is event for event in supposed) and not isinstance(foreseen.event, Owned):
            id, text = _supposition(foreseen.event)
            yield PlanStep(wave, at_s, "suppose", id, text)
        for transition in decision.transitions:
            text = _change(transition)
            if text:
                yield PlanStep(wave, at_s, "state", str(transition.id), text)
        for action in decision.actions:
            text = self._demand(action, decision)
            if text:
                about = action.group if isinstance(action, actions.FailOver) else str(action.id)
                yield PlanStep(wave, at_s, type(action).__name__.lower(), about, text)

    def _record(self, id: ResourceId) -> Record | None:
        return self._later[id] if id in self._later else self._before.records.get(id)

    def _demand(self, action: actions.Action, decision: Decision) -> str:
        match action:
            case actions.Start(id):
                return self._start(id, decision)
            case actions.Stop(id):
                return f"stop {id}{self._why_down(id)}"
            case actions.Terminate(id):
                record = self._record(id)
                if record is not None and record.phase is Phase.CLEARING:
                    return f"end what is left of {id}, so that it can start anew"
                return f"terminate {id}{self._why_down(id)}"
            case actions.Upgrade(id):
                return f"upgrade {id}"
            case actions.FailOver(group, because):
                return f"{group} should move, since {because} has used its restarts up; with one node, it cannot"
            case actions.Kill(id):
                return f"kill the process of {id}"
            case actions.Cancel(id):
                return f"give up what is under way for {id}"
            case actions.Verify(id):
                return f"ask {id} at once"
            case actions.Watch() | actions.Unwatch() | actions.Open() | actions.Close():
                return ""  # follows from the states
            case _:
                assert_never(action)

    def _start(self, id: ResourceId, decision: Decision) -> str:
        record = self._record(id)
        if record is None:
            return f"start {id}"
        if id in decision.restarted:
            used, most = len(record.attempts), record.spec.restart_threshold
            return f"start {id} again" + (f" (restart {used} of {most})" if used else "")
        up = [str(edge.id) for edge in decision.transitions if edge.to is State.ONLINE]
        provider = next((str(id) for id in record.spec.depends_on if str(id) in up), None)
        return f"start {id}" + (f", now that {provider} is online" if provider else "")

    def _why_down(self, id: ResourceId) -> str:
        record = self._record(id)
        if record is None:
            return ""
        if record.reason is Reason.DEPENDENCY_DOWN and record.root_cause is not None:
            return f", since it stands on {record.root_cause}"
        return f": {record.evidence}" if record.evidence else ""


def _supposition(event: Event) -> tuple[str, str]:
    if isinstance(event, Exited):
        return str(event.id), f"suppose that the process of {event.id} ends"
    if isinstance(event, Probed):
        return str(event.id), f"suppose that the check of {event.id} fails ({event.verdict.reason})"
    if isinstance(event, Asked):
        return str(event.target), f"suppose that somebody asks: {event.verb} {event.target}"
    if isinstance(event, Planned):
        return "", "suppose that the stops to come are planned"
    if isinstance(event, Configured):
        return "", f"suppose that the store is edited: {len(event.specs)} new or changed, {len(event.removed)} removed"
    return "", f"suppose that this happens: {type(event).__name__}"


def _change(edge: Transition) -> str:
    if edge.to is State.FAILED:
        if edge.root_cause is not None:
            return f"{edge.id} fails, because {edge.root_cause} is down"
        return f"{edge.id} fails: {edge.reason}"
    return f"{edge.id} is {edge.to}" if edge.to in (State.ONLINE, State.OFFLINE) else ""


def _fate(id: ResourceId, before: Record | None, after: Record | None) -> PlanFate:
    states = ("" if before is None else str(before.state), "" if after is None else str(after.state))
    return PlanFate(str(id), *states, "" if after is None or after.state is State.ONLINE else _why_not_up(after))


def _why_not_up(record: Record) -> str:
    if record.root_cause is not None:
        return f"{record.root_cause} is down"
    if record.state is State.FAILED and not record.spec.acts:
        return f"{record.reason}; its controller {record.spec.controller!r} only watches and cannot bring it back"
    if record.state is State.FAILED and record.spent:
        most = record.spec.restart_threshold if record.spec.restart else 0
        return (
            f"{record.reason}; it is not restarted any more (at most {most} within {record.spec.restart_period_s:g} s)"
        )
    return f"{record.reason}" + (f": {record.evidence}" if record.evidence else "")


def _alerts(future: Future) -> Iterator[PlanAlert]:
    """Find the causes: one alert each, however many are down because of it."""
    causes: dict[ResourceId, Reason] = {}
    blamed: dict[ResourceId, dict[str, None]] = {}
    for foreseen in future.steps:
        for edge in foreseen.decision.transitions:
            if edge.to is State.FAILED and edge.root_cause is None:
                causes.setdefault(edge.id, edge.reason)
        for id, record in foreseen.decision.records.items():
            if record is not None and record.root_cause is not None:
                blamed.setdefault(record.root_cause, {}).setdefault(str(id))
    for id, reason in causes.items():
        yield PlanAlert(str(id), reason, tuple(blamed.get(id, ())))
