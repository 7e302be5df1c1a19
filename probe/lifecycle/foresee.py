"""What an event would lead to, on a world of its own: nothing is done, nobody is asked.

The shell is played as it would be if everything answered healthily and at once, in the order in which it was asked:
1. A start succeeds, and its first check is good; so are the checks of who is asked again. So do stops and terminates.
2. Whoever is said to fail, or fails already by itself, goes on failing until it is started anew. A service that ends
   for another's sake (S36) is refused to its next check.
3. When nothing is under way any more, time jumps to whatever is due next, until the world is quiet.
Who was asked by one decision works in parallel: a wave. An answer belongs to the wave behind the one of its question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from probe.lifecycle import actions
from probe.lifecycle.encoding import world_of
from probe.lifecycle.events import (
    Asked,
    Event,
    Exited,
    Planned,
    Probed,
    Started,
    Stopped,
    Tick,
    Trigger,
    Upgraded,
    Verb,
)
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Phase, Record, World
from probe.values import OpId, Reason, ResourceId, State, Verdict

DECISIONS_MAX = 20_000  # of one plan; a group of five needs about twenty
HORIZON_S = 3600.0  # how far into the future a plan looks

FAILING = Verdict(Reason.BANNER_TIMEOUT, "as supposed")
GONE = Verdict(Reason.PROCESS_GONE, "as supposed")
REFUSED = Verdict(Reason.CONNECT_REFUSED, "as supposed")
HEALTHY = Verdict(Reason.MATCHED)


class Unforeseeable(ValueError):
    """What is to be foreseen cannot happen; the text says why, and what can."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """One decision to come: `at_s` after now by the clock alone (what services need to start and stop is not known)."""

    event: Event
    at_s: float
    wave: int  # 0: the supposed event itself
    decision: Decision


@dataclass(frozen=True, slots=True)
class Future:
    """All that follows from an event; `ended` is empty when the world came to rest, else the bound that was met."""

    supposed: tuple[Event, ...]
    before: Decision  # a snapshot
    steps: tuple[Foreseen, ...]
    after: World
    ended: str = ""


SUPPOSITIONS = ("fail", "kill", *Verb, "drain")  # and `node-down`, of which only the groups' places are told


def suppose(taken: Decision, what: str, target: str) -> tuple[Event, ...]:
    """Turn words into what would happen: `fail evs1/smtp` (its check), `kill evs1/smtp` (its process), a verb, `drain`.

    Raises Unforeseeable.
    """
    if what == "drain":
        if target:
            raise Unforeseeable("drain is about everything; leave the target out")
        return (Planned(on=True),)
    if what not in SUPPOSITIONS:
        known = ", ".join(SUPPOSITIONS)
        raise Unforeseeable(f"{what!r} is nothing that can be foreseen; write one of {known}, node-down")
    named = _target(target)
    if what in ("fail", "kill"):
        return (_loss(taken, what, named),)
    return (Asked(Verb(what), named, "plan"),)


def foresee(taken: Decision, supposed: tuple[Event, ...], now: float) -> Future:
    """Foresee what follows from events that happen at `now`, and from what is under way, in a snapshot of a world."""
    return _Shell(taken, now).play(supposed)


def _target(text: str) -> ResourceId | str:
    if not text:
        raise Unforeseeable("a target is missing; write GROUP/NAME, as in evs1/smtp")
    try:
        return ResourceId.parse(text) if "/" in text else text
    except ValueError as error:
        raise Unforeseeable(str(error)) from None


def _loss(taken: Decision, what: str, named: ResourceId | str) -> Event:
    if isinstance(named, str):
        raise Unforeseeable(f"{what} is about one resource; write {named}/NAME")
    record = taken.records.get(named)
    if record is None:
        raise Unforeseeable(f"there is no {named}; `looksalive status` lists what there is")
    if record.state not in (State.ONLINE, State.ONLINE_PENDING):
        raise Unforeseeable(f"{named} is {record.state}: nothing of it is up that could {what}")
    if what == "kill" and record.spec.acts:
        return Exited(named, record.incarnation, GONE)
    if not record.watched:
        if not record.spec.acts:
            raise Unforeseeable(f"{named} is neither asked nor run by looksalive: its failure would not be seen")
        return Exited(named, record.incarnation, GONE, Trigger.CONTROLLER)
    return Probed(named, record.incarnation, False, REFUSED if what == "kill" else FAILING)


class _Shell:
    """Plays the controllers, the monitors and the clock against a fork of the world."""

    def __init__(self, taken: Decision, now: float) -> None:
        self._before = taken
        self._world = world_of(taken)
        self._begun = self._now = now
        self._waiting: deque[tuple[Event, int]] = deque()
        self._failing: dict[ResourceId, Verdict] = {}
        self._steps: list[Foreseen] = []

    def play(self, supposed: tuple[Event, ...]) -> Future:
        """Let it happen, and everything after it."""
        for record in self._world.records.values():
            if record.state is State.FAILED and record.root_cause is None and record.failure is not None:
                self._failing[record.id] = record.failure
            elif record.held is not None and record.held.verdict is not None:  # not told yet
                self._failing[record.id] = record.held.verdict
        for event in supposed:
            if isinstance(event, Probed | Exited):
                self._failing[event.id] = event.verdict
            self._waiting.append((event, 0))
        for record in self._world.records.values():
            self._waiting.extend((event, 1) for event in _under_way(record))
        ended = self._run()
        return Future(supposed, self._before, tuple(self._steps), self._world, ended)

    def _run(self) -> str:
        wave = 0
        while len(self._steps) < DECISIONS_MAX:
            if self._waiting:
                event, wave = self._waiting.popleft()
                self._happen(event, wave)
                continue
            due = self._world.next_due()
            if due is None:
                return ""
            if due > self._begun + HORIZON_S:
                return f"nothing happens in the next {HORIZON_S:g} s; what is due later is not shown"
            self._now = max(self._now, due)
            wave += 1
            self._happen(Tick(), wave)
        return f"cut after {DECISIONS_MAX} decisions"

    def _happen(self, event: Event, wave: int) -> None:
        decision = step(self._world, event, self._now)
        felled = [record for record in decision.records.values() if record is not None and self._falls(record)]
        self._world.apply(decision)
        self._steps.append(Foreseen(event, self._now - self._begun, wave, decision))
        for action in decision.actions:
            self._waiting.extend((answer, wave + 1) for answer in self._answers(action))
        for record in felled:
            gone = Probed(record.id, record.incarnation, False, REFUSED)
            self._waiting.append((gone if record.watched else Exited(record.id, record.incarnation, GONE), wave + 1))

    def _falls(self, record: Record) -> bool:
        """Whether the service that it shares has just been ended for another's sake."""
        before = self._world.records.get(record.id)
        fresh = record.felled is not None and (before is None or before.felled != record.felled)
        return fresh and record.state is State.ONLINE

    def _answers(self, action: actions.Action) -> Iterator[Event]:
        """Answer as a healthy world does."""
        match action:
            case actions.Start(id, op):
                self._failing.pop(id, None)  # started anew, it is well
                yield Started(id, op)
            case actions.Stop(id, op) | actions.Terminate(id, op):
                yield Stopped(id, op)
            case actions.Upgrade(id, op):
                yield Upgraded(id, op)
            case actions.Watch(id, incarnation, alive, confirming):
                verdict = self._failing.get(id)
                if verdict is None and (confirming or alive is not True):
                    yield Probed(id, incarnation, True, HEALTHY)
                elif verdict is not None and not confirming and alive is None:
                    yield Probed(id, incarnation, False, verdict)
            case actions.Verify(id):
                yield from self._verified(id)
            case (
                actions.Kill()
                | actions.Cancel()  # its answer is on its way already
                | actions.Unwatch()
                | actions.Open()
                | actions.Close()
                | actions.FailOver()  # with one node, nobody can
            ):
                pass
            case _:
                assert_never(action)

    def _verified(self, id: ResourceId) -> Iterator[Event]:
        """Answer a check ahead of the schedule; a level that is as before is no edge."""
        record = self._world.records.get(id)
        if record is None:
            return
        if id not in self._failing and (record.state is State.FAILED or record.held is not None):
            yield Probed(id, record.incarnation, True, HEALTHY)


def _under_way(record: Record) -> Iterator[Event]:
    """Answer what was asked before now and has had no answer yet."""
    for op in sorted(record.workers):
        yield _late_answer(record, op)
    if not record.workers and record.phase is Phase.CONFIRMING and record.watched:
        yield Probed(record.id, record.incarnation, True, HEALTHY)


def _late_answer(record: Record, op: OpId) -> Event:
    if op == record.op and record.phase is Phase.STARTING:
        return Started(record.id, op)
    return Upgraded(record.id, op) if op == record.op and record.phase is Phase.UPGRADING else Stopped(record.id, op)
