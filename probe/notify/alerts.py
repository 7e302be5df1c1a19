"""Which alerts there are and which of them have been told: the level, brought up to date by every decision. No I/O.

Rules:
1. A resource that failed by itself is an alert; one that is down because of another is none: its cause is. An alert
   stays while the resource is being brought back, and ends when it is online, is not wanted any more, or is put down to
   another one after all.
2. In maintenance and while stops are planned no alert begins; what still is down at their end begins then.
3. What was told is always taken back. An attempt that failed may have been heard, so it counts as told.
4. The queue holds ids, not messages: whoever comes back before it was told is never told of, and a receiver that is
   away for a day hears how it is then. Of more than `QUEUE_MAX` the oldest are dropped, counted, and, as far as they
   still hold, queued again once there is room.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from probe.lifecycle.events import Configured, Event
from probe.lifecycle.world import Decision, Record, Transition, World
from probe.values import ResourceId, State

QUEUE_MAX = 1000
BATCH_MAX = 64  # alerts in one message
DEPENDENTS_NAMED_MAX = 10


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it began; what it is told by stays the same until it is taken back."""

    id: ResourceId
    type: str
    reason: str
    evidence: str
    since: float  # wall clock
    dependents: int = 0  # how many stand on it, directly or not
    named: tuple[str, ...] = ()  # the first of them


class Notice(NamedTuple):
    """An alert to be told: firing, or over."""

    alert: Alert
    firing: bool


class Alerts:
    """The level of one node's alerts. Times are those of the clock's `now`, but for an alert's own."""

    def __init__(self, told: Iterable[Alert] = (), *, after_s: float = 0.0) -> None:
        """Begin with what an earlier run told: it holds until the resource is seen to be well."""
        self.told: dict[ResourceId, Alert] = {alert.id: alert for alert in told}
        self.dropped_total = 0
        self._down = dict(self.told)
        self._confirmed = set(self.told)
        self._queue: dict[ResourceId, float] = {}  # when to tell, oldest first
        self._after_s = after_s
        self._world = World()
        self._planned = False
        self._incomplete = False  # something was dropped from the queue

    def __repr__(self) -> str:
        return f"<Alerts down={len(self._down)} told={len(self.told)} queued={len(self._queue)}>"

    @property
    def waiting(self) -> int:
        """How many are to be told, now or later."""
        return len(self._queue)

    def note(self, world: World, event: Event, decision: Decision, *, now: float, wall: float) -> None:
        """Take over a decision that `world` has taken over already; costs what the decision touched."""
        self._world = world
        touched: Mapping[ResourceId, object] = decision.records
        if isinstance(event, Configured) or decision.planned != self._planned:
            touched = dict.fromkeys([*touched, *self._down])
        elif decision.groups:
            touched = dict.fromkeys([*touched, *(id for id in self._down if id.group in decision.groups)])
        self._planned = decision.planned
        failures = {each.id: each for each in decision.transitions if each.to is State.FAILED and not each.root_cause}
        for id in touched:
            self._consider(id, failures.get(id), now, wall)

    def next_due(self) -> float | None:
        """Return when the next alert is to be told."""
        return min(self._queue.values(), default=None)

    def take(self, now: float) -> list[Notice]:
        """Take what is due, of one group, off the queue; it counts as told from now on."""
        first = next((id for id, due in self._queue.items() if due <= now), None)
        if first is None:
            return []
        due = [id for id, at in self._queue.items() if at <= now and id.group == first.group][:BATCH_MAX]
        notices = []
        for id in due:
            del self._queue[id]
            firing = id in self._down
            if firing:
                self.told.setdefault(id, self._down[id])
            notices.append(Notice(self.told[id], firing))
        return notices

    def delivered(self, notices: Iterable[Notice], now: float) -> None:
        """Note that the receiver has taken them."""
        for alert, firing in notices:
            if firing:
                self._confirmed.add(alert.id)
            else:
                self.told.pop(alert.id, None)
                self._confirmed.discard(alert.id)
            self._enqueue(alert.id, now)
        if self._incomplete and not self._queue:
            self._incomplete = False
            for id in {**self._down, **self.told}:
                self._enqueue(id, now)

    def undelivered(self, notices: Iterable[Notice], now: float) -> None:
        """Note that nobody knows whether the receiver has them: they are told again as far as they still hold."""
        for alert, _ in notices:
            self._enqueue(alert.id, now)

    def _consider(self, id: ResourceId, failure: Transition | None, now: float, wall: float) -> None:
        """Look at one resource; its failure may be of this very step, in which its restart has begun already."""
        record = self._world.records.get(id)
        if record is None or not _is_down(record, was=id in self._down or failure is not None):
            self._down.pop(id, None)
        elif id not in self._down:
            self._down[id] = self.told.get(id) or self._alert(record, failure or record, wall)
        self._enqueue(id, now)

    def _alert(self, record: Record, why: Transition | Record, wall: float) -> Alert:
        found: dict[ResourceId, None] = {}
        queue = deque([record.id])
        while queue:
            for id in self._world.dependents.get(queue.popleft(), ()):
                if id not in found:
                    found[id] = None
                    queue.append(id)
        named = tuple(map(str, list(found)[:DEPENDENTS_NAMED_MAX]))
        kind = record.spec.traits.type
        return Alert(record.id, kind, str(why.reason), why.evidence, wall, len(found), named)

    def _enqueue(self, id: ResourceId, now: float) -> None:
        """Queue what the receiver does not know yet, and nothing else."""
        told, down = id in self.told, id in self._down
        unknown = (id not in self._confirmed and (told or not self._is_let_alone(id))) if down else told
        if not unknown:
            self._queue.pop(id, None)
        elif id not in self._queue:
            self._queue[id] = now if told else now + self._after_s
            if len(self._queue) > QUEUE_MAX:
                del self._queue[next(iter(self._queue))]
                self.dropped_total += 1
                self._incomplete = True

    def _is_let_alone(self, id: ResourceId) -> bool:
        group = self._world.groups.get(id.group)
        return self._world.planned or (group is not None and group.maintenance is not None)


def _is_down(record: Record, *, was: bool) -> bool:
    if record.root_cause is not None:
        return False
    if record.state is State.FAILED:
        return True
    return was and record.wanted and record.state is not State.ONLINE
