"""What everybody is told of a decision: the journal of edges, the revision, the log's sentence, the counters."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from probe.environment import Clock
from probe.history import Recent
from probe.lifecycle.report import EventReport
from probe.lifecycle.world import Decision, GroupRecord, Record, Request, Transition, World
from probe.metrics import Metrics
from probe.runtime.tally import Tally
from probe.values import Reason, State

SUMS_S_MAX = 600.0  # a first round that is not over by then has its reasons, and single lines are wanted for them

_log = logging.getLogger("looksalive.state")


class Feed:
    """Tells edges; a steady round never comes here, so the revision rises on edges alone."""

    def __init__(self, clock: Clock, metrics: Metrics) -> None:
        self.revision = 1
        self.recent = Recent()
        self._clock = clock
        self._metrics = metrics
        self._waiters: set[asyncio.Future[None]] = set()
        self._tally: Tally | None = None

    def __repr__(self) -> str:
        return f"<Feed revision={self.revision} events={self.recent.last_seq} waiting={len(self._waiters)}>"

    def tell(self, world: World, decision: Decision) -> None:
        """Tell a decision before it is applied: the world still shows what was."""
        for transition in decision.transitions:
            self._tell_transition(transition)
        for id in decision.restarted:
            self._metrics.restarted(id)
        for request in decision.requests.values():
            if request.state != "pending":
                self._tell_request(request)
        for name, group in decision.groups.items():
            self._tell_maintenance(world.groups.get(name), group)
        if decision.transitions or decision.requests or _is_visible(world, decision):
            self._advance()

    async def wait_past(self, revision: int, timeout_s: float) -> int:
        """Return the revision once it is above `revision`, or what it is after `timeout_s`."""
        until = self._clock.now() + timeout_s
        while self.revision <= revision and self._clock.now() < until:  # it may be several edges away
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            timer = self._clock.call_at(until, partial(_wake, waiter))
            try:
                await waiter
            finally:
                timer.cancel()
                self._waiters.discard(waiter)
        return self.revision

    def count_up(self) -> None:
        """Log changes of state as sums from now on, all but failures: a large store begins (`tally.py`)."""
        self._tally = Tally(self._clock)

    def tell_counts(self, *, goes_on: bool) -> bool:
        """Log the sums so far; unless it `goes_on`, each change of state has a line of its own again.

        Returns whether there were to be sums.
        """
        if self._tally is None:
            return False
        self._tally.tell()
        if not goes_on or self._tally.age_s > SUMS_S_MAX:
            self._tally = None
        return True

    def advance(self) -> None:
        """Tell readers that something else that they see has changed."""
        self._advance()

    def _advance(self) -> None:
        self.revision += 1
        for waiter in self._waiters:
            _wake(waiter)

    def _tell_transition(self, transition: Transition) -> None:
        self._metrics.transition(transition.id, transition.from_, transition.to, transition.trigger)
        cause = None if transition.root_cause is None else str(transition.root_cause)
        event = EventReport(
            seq=self.recent.last_seq + 1,
            time=self._clock.wall(),
            id=str(transition.id),
            kind="state",
            from_=transition.from_,
            to=transition.to,
            reason=transition.reason,
            evidence=transition.evidence,
            root_cause=cause,
            trigger=transition.trigger,
            operation=transition.operation,
        )
        self.recent.add(event)
        if self._tally is not None and State.FAILED not in (transition.from_, transition.to):
            self._tally.add(transition.from_, transition.to)
        else:
            _log_edge(transition, event)

    def _tell_maintenance(self, before: GroupRecord | None, group: GroupRecord | None) -> None:
        was, now = (None if one is None else one.maintenance for one in (before, group))
        if group is None or was == now:
            return
        if now is None:
            _log.info("the maintenance of %s is over", group.name)
        else:
            _log.warning("%s is in maintenance by %s: nothing is done about it", group.name, now.owner or "somebody")
        self.recent.add(
            EventReport(
                seq=self.recent.last_seq + 1,
                time=self._clock.wall(),
                id=group.name,
                kind="maintenance",
                from_="on" if was else "off",
                to="on" if now else "off",
                reason="",
                evidence="" if now is None else now.owner,
                root_cause=None,
                trigger="operator",
                operation=None,
            )
        )

    def _tell_request(self, request: Request) -> None:
        self.recent.add(
            EventReport(
                seq=self.recent.last_seq + 1,
                time=self._clock.wall(),
                id=request.target,
                kind="operation",
                from_="pending",
                to=request.state,
                reason=request.reason,
                evidence=request.verb,
                root_cause=None,
                trigger="operator",
                operation=request.op,
            )
        )


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)


def _log_edge(transition: Transition, event: EventReport) -> None:
    """Log a change of state: a sentence for people, the fields of the event for machines."""
    level = logging.WARNING if transition.to is State.FAILED else logging.INFO
    if not _log.isEnabledFor(level):
        return
    fields = {
        "seq": event.seq,
        "id": event.id,
        "from": event.from_,
        "to": event.to,
        "reason": event.reason,
        "evidence": event.evidence,
        "root_cause": event.root_cause,
        "trigger": event.trigger,
        "operation": event.operation,
    }
    _log.log(level, _sentence(transition), extra={"fields": fields})


def _sentence(transition: Transition) -> str:
    """Say a change of state: `evs1/smtp went from online to failed: connect_refused (...) (by probe)`."""
    why = "" if transition.reason in (Reason.NOT_YET, Reason.MATCHED) else f": {transition.reason}"
    if why and transition.evidence:
        why += f" ({transition.evidence})"
    if transition.root_cause is not None:
        why += f", because {transition.root_cause} is down"
    return f"{transition.id} went from {transition.from_} to {transition.to}{why} (by {transition.trigger})"


def _is_visible(world: World, decision: Decision) -> bool:
    """Whether a reader would see a difference although no state changed."""
    if any(world.groups.get(name) != group for name, group in decision.groups.items()):
        return True
    return any(_seen(record) != _seen(world.records.get(id)) for id, record in decision.records.items())


def _seen(record: Record | None) -> tuple[object, ...]:
    """What of a record a reader is shown, but for what its state says."""
    if record is None:
        return ()
    return (
        record.spec,
        record.reason,
        record.evidence,
        record.root_cause,
        record.op,
        record.progress,
        record.wanted,
        record.attempts,
        record.restarts,
    )
