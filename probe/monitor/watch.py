"""The watch of one resource: when it is asked, what its answers add up to, and who is told.

Rules:
1. The wheel starts every round. A round that says what is believed already wakes nobody: the next one is put into the
   wheel, the reading is replaced, and that is all. Anything else wakes the watch's task. While it is calm and alive the
   rounds are light ones (`flights.py`), as far as its target allows.
2. The task counts: `rise` good answers in a row make it alive, `fall` failures in a row make it dead, a definite one
   counts as `fall` (S67); `unknown` counts as nothing and never changes the level. Until the matter is decided it asks
   again after `fast_s`. The first failure of such a run is told as a suspicion, so that providers are asked meanwhile.
3. An edge is posted once (S64). While an online is being confirmed only the edge to alive is, and checks come quickly.
4. At most one round is under way (S65); the next regular one is put off until it has answered.
5. The regular rounds that piled up while we were stopped are not run all at once: each is left out, once, and comes in
   its next period, over which they are spread as ever. The same goes for one that was under way across the pause.
"""

from __future__ import annotations

import asyncio

from probe.lifecycle.events import Probed, Suspected, Trigger
from probe.monitor.cache import Reading, listener_gone
from probe.monitor.flight import Asking, Flight
from probe.monitor.measuring import Measuring
from probe.monitor.plan import ProbePlan
from probe.monitor.rounds import Round
from probe.monitor.surroundings import Surroundings
from probe.monitor.target import Result
from probe.monitor.wheel import NOWHERE
from probe.values import Incarnation, Outcome, Reason, Stage, Verdict

CONFIRM_FIRST_S = 0.05  # doubled until it reaches the plan's `fast_s`

_MATCHED = Reason.MATCHED


class Watch(Flight):
    """One watched resource; an entry of the wheel, and the state of its task."""

    __slots__ = ("_again", "_around", "_bad", "_calm", "_confirm_s", "_good", "_good_at", "_left_out", "_light",
                 "_looking", "_measuring", "_news", "_single", "_told_at", "_trigger", "_unknown", "_wake",
                 "confirming", "gone", "incarnation", "task")  # fmt: skip

    def __init__(
        self, around: Surroundings, plan: ProbePlan, incarnation: Incarnation, alive: bool | None, confirming: bool
    ) -> None:
        super().__init__(plan, alive)
        self._around = around
        self._single = plan.single
        self._light = self.aim_at(plan, self._single)
        self._looking = around.looking(plan, self.answered, self.check_now)
        self.incarnation = incarnation
        self.confirming = confirming
        self.task: asyncio.Task[None] | None = None
        self.gone = False
        self._calm = False  # nothing is being counted: the level is what the last rounds said
        self._again = False  # once more, right after the round under way
        self._good = self._bad = self._unknown = 0
        self._confirm_s = CONFIRM_FIRST_S
        self._trigger = Trigger.PROBE
        self._told_at: float | None = None  # when the event came that made us look
        self._good_at: float | None = None  # the last good answer before the one that is news
        self._news: Result | None = None
        self._wake: asyncio.Future[None] | None = None
        self._left_out = False  # the last regular round
        self._measuring = Measuring(around)

    def __repr__(self) -> str:
        level = {None: "undecided", True: "alive", False: "not alive"}[self.alive]
        return f"<Watch {self.plan.id} {level} after {self.rounds} rounds{', gone' if self.gone else ''}>"

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """What runs for this resource: its task, and a look that has not returned."""
        look = None if self._looking is None else self._looking.look
        return [task for task in (self.task, look) if task is not None]

    # --- what the monitors ask ---

    def check_now(self) -> None:
        """Put a round at the head of the wheel, unless one is under way."""
        self._around.wheel.cancel(self)
        self._put(self._around.clock.now())

    def check_at_once(self) -> None:
        """Begin a round without waiting for the wheel's tick: for a few at a time."""
        self._around.wheel.cancel(self)
        self.when = now = self._around.clock.now()
        self.due(now)

    def verify(self, trigger: Trigger, at: float | None = None, *, suspected: bool = True, anew: bool = False) -> None:
        """Check ahead of the schedule; an event that `suspected` this resource is the first of `fall` (S67).

        `anew`: a dialogue under way is begun again, unless a failure counts already; a look is not, it may hang on.
        """
        if anew and self._looking is None and self.alive and not self._bad:
            self._call_off()
        if self.alive and suspected:
            self._bad = max(self._bad, 1)
        if trigger is not Trigger.PROBE and trigger is not self._trigger:  # the first word of several counts
            self._trigger, self._told_at = trigger, at
        self._calm = False
        self._around.engine.flights.give_way(self)
        if self.under_way:
            self._again = True  # the round under way may have had its answer before the event
        elif trigger is Trigger.KERNEL:
            self.check_at_once()
        else:
            self.check_now()

    def go_on(self, alive: bool | None, confirming: bool) -> None:
        """Take over what the core believes by now; cache, counters and schedule stay."""
        if self.confirming and not confirming:
            self._calm = False
        self.confirming = confirming
        if alive is not None and alive is not self.alive:
            self._set_level(alive)
            self._calm = False
            self._around.engine.flights.give_way(self)  # its good answer would count for nothing

    def replan(self, plan: ProbePlan) -> None:
        """Ask by another plan from now on; cache, counters and, unless the period changed, the due time stay."""
        now = self._around.clock.now()
        changed = plan.period_s != self.plan.period_s
        self.plan = plan
        self._single = plan.single
        asked = self.under_way
        self._call_off()
        self.whole = self.reading  # that of a light round is put together from what is asked until now
        self._light = self.aim_at(plan, self._single)
        if self._looking is not None:
            self._looking.cancel()  # what hangs is not waited for by the new plan
        self._looking = self._around.looking(plan, self.answered, self.check_now)
        if self.whole is not None:
            self.whole = self.whole._replace(fresh_s=plan.fresh_s)
            if changed:
                self.phase = self._around.phase(now, plan.period_s)
        if asked:
            self._put(now)
        elif changed and self._calm and self.tick != NOWHERE:
            self._around.wheel.cancel(self)
            self._put(self.phase)

    def end(self) -> None:
        """Stop: no check after this (S68)."""
        self.gone = True
        self._measuring.believe(self.plan)
        self._around.wheel.cancel(self)
        self._call_off()
        for task in self.tasks:
            task.cancel()

    def _call_off(self) -> None:
        """End the round under way, if there is one; it tells nothing."""
        self._around.engine.flights.call_off(self)
        if self.asking is not None:
            self.asking.cancel()
            self.asking = None

    # --- the steady round ---

    def due(self, now: float) -> None:
        """Begin a round."""
        around, rounds = self._around, self.rounds
        if self.when < around.stall.resumed_at and self._leave_out(now):
            return
        if self._calm and self.shape and self.alive and around.engine.flights.add(self):
            return
        asking: Asking
        if self._single is not None:
            asking = around.engine.dial(self._single, self.answered, self.parted)
        elif self._looking is not None:
            asking = self._looking.start()
        else:
            asking = several = Round(around.engine, around.names, self.plan, self.answered, self.parted)
            several.start()
        if self.rounds == rounds:  # else it has answered already
            self.asking = asking

    def _leave_out(self, now: float) -> bool:
        """Put a regular round off to its next period (rule 5): never the same watch twice in a row."""
        piled_up = self._calm and self._around.stall.paused_s(self.when, now) > self.plan.timeout_s
        self._left_out = piled_up and not self._left_out
        if self._left_out:
            self._put(self.next_phase(now))
        return self._left_out

    def answered(self, result: Result) -> None:
        """Take the answer of a round that was no light one."""
        before = self.verdict if self.rounds else None
        answered_at = self.ended
        self.asking = None
        self.rounds += 1
        if before is None:
            self.phase = self._around.phase(result.ended, self.plan.period_s)
            result = result._replace(verdict=self._around.engine.shared.verdict(result.verdict))
            self._around.first_read()
        try:
            if result.verdict.reason is not _MATCHED or result.parts:
                result = self._around.evidence.keep(self.plan.id, result)
            alive, confirming = bool(self.alive), self.confirming
            self._measuring.count(self.plan, result, self.when, may_be_doubted=alive, confirming=confirming)
        except Exception as error:  # noqa: BLE001 - what is kept of an answer must not cost the answer, and the next ones
            self._around.engine.bug(error)
        self.whole = Reading(self.alive, result, self.rounds, self.plan.fresh_s)
        self.verdict, self.started, self.ended = result.verdict, result.started, result.ended
        self.known = b""
        if self._light and not self.shape and result.verdict.reason is _MATCHED:
            self._around.learn(self, result)
        if self._calm and (
            result.verdict.reason is _MATCHED
            if self.alive
            else self.alive is False and result.verdict.outcome is Outcome.FAILED
        ):
            self._put(self.next_phase(result.ended))
            return
        if before is not None and before.reason is _MATCHED:
            self._good_at = answered_at
        self._calm = False  # until the task has judged it, the next answer must not take the short cut
        self._news = result
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _put(self, when: float) -> None:
        self.when = when
        self._around.wheel.add(self, when)

    def parted(self, seconds: float) -> None:
        """Time a goodbye."""
        if seconds:
            self._around.metrics.stage(self.plan.protocol, Stage.QUIT, seconds)

    # --- the task ---

    async def run(self) -> None:
        """Weigh every answer that is news, and ask again as long as it takes to be sure."""
        while not self.gone:
            news, self._news = self._news, None
            if news is None:
                self._wake = asyncio.get_running_loop().create_future()
                await self._wake  # here, in no coroutine of its own: 200 bytes a resource
                continue
            self._weigh(news.verdict)
            if not self.gone:
                self._ask_again()

    def _weigh(self, verdict: Verdict) -> None:
        plan = self.plan
        match verdict.outcome:
            case Outcome.ALIVE:
                self._measuring.believe(self.plan)
                self._bad = self._unknown = 0
                self._good += 1
                if not self.alive and self._good >= plan.rise:
                    self._edge(True, verdict)
            case Outcome.FAILED:
                first = not self._bad
                self._good = self._unknown = 0
                self._bad += plan.fall if verdict.definite else 1
                if self.alive is not False and not self.confirming and self._bad >= plan.fall:
                    self._edge(False, verdict)
                elif first and self.alive:
                    self._around.post(Suspected(plan.id, self.incarnation))
            case Outcome.UNKNOWN:
                self._unknown += 1

    def _edge(self, alive: bool, verdict: Verdict) -> None:
        self.confirming = False
        trigger, seen_at = self._trigger, self._told_at
        if trigger is Trigger.KERNEL:
            if alive:
                trigger = Trigger.PROBE  # the kernel tells deaths; that it lives we found by asking
            elif verdict.reason is Reason.CONNECT_REFUSED:
                verdict = listener_gone(verdict, self.reading)
        if trigger is Trigger.PROBE:
            seen_at = None if alive else self._good_at
        edge = Probed(self.plan.id, self.incarnation, alive, verdict, trigger, seen_at)
        if alive or self._looking is not None or not self._around.common.hold(self, edge):
            self._measuring.believe(self.plan)
            self._set_level(alive)
            self._around.post(edge)

    def publish(self, edge: Probed) -> None:
        """Tell a failure that was held (`common.py`), unless it is out of date."""
        self._measuring.believe(self.plan)
        if self._fails and self.alive is not False:
            self._set_level(False)
            self._around.post(edge)

    def doubt(self, verdict: Verdict) -> None:
        """Take a failure that was held, with the ones that led to it, for unknown; ask again in the next period."""
        around, reading = self._around, self._fails
        if reading is None:
            return
        self._measuring.doubt(self.plan, verdict.reason)
        self.whole = reading._replace(result=reading.result._replace(verdict=verdict))
        self.verdict = verdict
        if not self.under_way:
            around.wheel.cancel(self)
            self._rest(around.clock.now())

    @property
    def _fails(self) -> Reading | None:
        reading = self.reading
        return reading if reading and reading.outcome is Outcome.FAILED and not self.gone else None

    def _set_level(self, alive: bool) -> None:
        self.alive = alive
        self._good = self._bad = 0
        if self.whole is not None:
            self.whole = self.whole._replace(alive=alive)

    def _ask_again(self) -> None:
        """Choose when: at once, quickly while something is open, else at the next regular time."""
        if self.under_way or self.tick != NOWHERE:
            return  # somebody asked for a check meanwhile
        now = self._around.clock.now()
        wait_s = self._wait_s()
        if wait_s == 0.0 and self._trigger is Trigger.KERNEL:
            self.check_at_once()
            return
        if wait_s is not None:
            self._put(now + wait_s)
            return
        self._rest(now)

    def _rest(self, now: float) -> None:
        self._calm = True
        self._measuring.believe(self.plan)
        self._trigger, self._told_at = Trigger.PROBE, None
        self._good = self._bad = 0
        self._put(self.next_phase(now))

    def _wait_s(self) -> float | None:
        if self._again:
            self._again = False
            return 0.0
        if self.confirming and not self.alive:
            wait_s = min(self._confirm_s, self.plan.fast_s)
            self._confirm_s = min(self._confirm_s * 2, self.plan.fast_s)
            return wait_s
        counting = (self._bad if self.alive else self._good) > 0 or (self.alive is None and self._bad > 0)
        stalled = self.rounds > 0 and self.verdict.reason is Reason.PROBER_STALLED
        if counting or (self._unknown == 1 and not (self.alive is not None and stalled)):
            return self.plan.fast_s
        return None
