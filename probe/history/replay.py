"""A recorded run stepped again: the same decisions, or the first one that is another now.

A replay begins at a checkpoint and steps the core of today over what happened then. It compares the actions, the
changes of state, the answer and a digest of all else; at every later checkpoint of the run it compares the whole world.
It crosses no gap: behind one it goes on from the next checkpoint, and says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from probe.history.recording import Mark, Recording, Row, Unusable
from probe.lifecycle.actions import Action
from probe.lifecycle.encoding import (
    action_pieces,
    digest,
    encode_answer,
    snapshot,
    transition_pieces,
    world_pieces,
)
from probe.lifecycle.step import step
from probe.lifecycle.world import Decision, Transition, World
from probe.values import ResourceId

GAPS_MAX = 1000  # that are told


@dataclass(frozen=True, slots=True)
class Difference:
    """The first decision that is another now: `what` names the part, the lists hold both sides where they differ."""

    seq: int
    time: float
    what: str  # "actions", "transitions", "answer", "records", "world" or "error"
    event: str
    recorded: tuple[str, ...]
    now: tuple[str, ...]
    before: tuple[str, ...]  # the resources concerned, as they were


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a replay ended. Without a difference and without gaps all of it is the same."""

    first: int | None  # the first decision that was stepped
    last: int | None
    replayed: int
    passed_over: int  # decisions that no checkpoint stands before
    gaps: tuple[Mark, ...]
    difference: Difference | None


def replay(recording: Recording, first: int | None = None, last: int | None = None) -> Outcome:
    """Replay the decisions from `first` to `last` (all that are there), as far as they are the same.

    Raises Unusable.
    """
    marks = recording.marks()
    starts = [mark for mark in marks if not mark.gap]
    if not starts:
        raise Unusable("it has no checkpoint to begin at")
    before = [mark for mark in starts if first is not None and mark.seq < first]
    return _Player(recording, marks, before[-1] if before else starts[0]).play(first, last)


class _Player:
    """Steps one world through the rows and marks, in their order."""

    def __init__(self, recording: Recording, marks: list[Mark], start: Mark) -> None:
        self._recording = recording
        self._start = start
        self._marks = marks[marks.index(start) :]
        self._world: World | None = None
        self._run = 0
        self._gaps: list[Mark] = []

    def play(self, first: int | None, last: int | None) -> Outcome:
        seqs: list[int] = []  # the first and the newest
        passed_over, replayed = 0, 0
        difference = None
        at = self._start.seq
        for row in self._recording.decisions(self._start.seq, last):
            difference = self._pass_marks(row.seq)
            if row.seq != at + 1 and self._world is not None and difference is None:
                self._lose(Mark(at, row.run, row.time, f"decisions {at + 1} to {row.seq - 1} are not there"))
            at = row.seq
            if self._world is not None and row.run != self._run and difference is None:
                self._lose(Mark(at - 1, row.run, row.time, f"run {row.run} has no checkpoint"))
            if difference is None and self._world is None:
                passed_over += 1
                continue
            difference = difference or self._step(self._world or World(), row)
            if difference is not None:
                break
            if first is None or row.seq >= first:
                seqs[1:] = [row.seq]
                replayed += 1
        else:
            difference = self._pass_marks(at + 1)
        return Outcome(
            seqs[0] if seqs else None,
            seqs[-1] if seqs else None,
            replayed,
            passed_over,
            tuple(self._gaps[:GAPS_MAX]),
            difference,
        )

    def _lose(self, gap: Mark) -> None:
        self._gaps.append(gap)
        self._world = None

    def _pass_marks(self, seq: int) -> Difference | None:
        """Take in what stands before a decision: a gap ends the world, a checkpoint makes or proves it."""
        while self._marks and self._marks[0].seq < seq:
            mark = self._marks.pop(0)
            if mark.gap:
                self._lose(mark)
            elif self._world is None or mark.run != self._run:
                self._world, self._run = self._recording.world(mark), mark.run
            elif (difference := _compare_worlds(mark, self._recording.world(mark), self._world)) is not None:
                return difference
        return None

    def _step(self, world: World, row: Row) -> Difference | None:
        try:
            decision = step(world, row.event, row.now)
        except Exception as error:  # noqa: BLE001 - whatever the core stumbles over is what we are here to find
            return Difference(row.seq, row.time, "error", repr(row.event), (), (repr(error),), ())
        difference = _compare(row, decision, world)
        world.apply(decision)
        return difference


def _compare(row: Row, decision: Decision, world: World) -> Difference | None:
    if row.actions != b"".join(action_pieces(decision.actions)):
        then, now = _unlike(row.decode_actions(), decision.actions)
        return _difference(row, "actions", then, now, world)
    if row.transitions != b"".join(transition_pieces(decision.transitions)):
        told, tells = _unlike(row.decode_transitions(), decision.transitions)
        return _difference(row, "transitions", told, tells, world)
    if row.answer != (answer := encode_answer(decision)):
        return _difference(row, "answer", [row.answer.decode(errors="replace")], [answer.decode()], world)
    if row.digest != (summary := digest(decision)):
        return _difference(row, "records", [row.digest], [summary], world, list(decision.records))
    return None


def _unlike(
    then: list[Action] | list[Transition], now: list[Action] | list[Transition]
) -> tuple[list[object], list[object]]:
    """Leave out what both begin with."""
    same = 0
    while same < min(len(then), len(now)) and then[same] == now[same]:
        same += 1
    return list(then[same:]), list(now[same:])


def _difference(
    row: Row, what: str, then: list[object], now: list[object], world: World, ids: list[ResourceId] | None = None
) -> Difference:
    concerned = dict.fromkeys([*_ids_in([row.event, *then, *now]), *(ids or ())])
    before = [str(world.records[id]) for id in concerned if id in world.records]
    return Difference(
        row.seq, row.time, what, repr(row.event), tuple(map(_said, then)), tuple(map(_said, now)), tuple(before)
    )


def _said(one: object) -> str:
    return one if isinstance(one, str) else repr(one)


def _ids_in(things: list[object]) -> Iterator[ResourceId]:
    for thing in things:
        for name in ("id", "target"):
            id = getattr(thing, name, None)
            if isinstance(id, ResourceId):
                yield id


def _compare_worlds(mark: Mark, recorded: World, now: World) -> Difference | None:
    pairs = zip_longest(world_pieces(snapshot(recorded)), world_pieces(snapshot(now)))
    if all(then == here for then, here in pairs):
        return None
    ids = [id for id in recorded.records | now.records if recorded.records.get(id) != now.records.get(id)]
    return Difference(
        mark.seq,
        mark.time,
        "world",
        "checkpoint",
        tuple(str(recorded.records.get(id)) for id in ids),
        tuple(str(now.records.get(id)) for id in ids),
        (),
    )
