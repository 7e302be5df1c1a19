"""Looking at what is no conversation: one round of a resource whose plan has a look (`observe`) in place of targets.

Rules, those of a dialogue:
1. At most one look of a resource is under way (S65). One that does not return in time is a failure, with the plan's
   `overdue` as its reason. What can be called off is called off then; what cannot hangs on, the next rounds wait for it
   and begin no other, and when it returns between two rounds one is asked for at once, so that the recovery is noted.
2. The deadline begins with the look. So many looks are begun at once for all resources (`LOOKS_AT_ONCE_MAX`); what
   waits its turn is late, never failed. A look that hangs has given its turn back with its deadline.
3. The time that our own loop lost is credited, up to `STALL_CREDIT_MAX` time-outs; beyond that, and for what failed
   across a pause of ours, the verdict is `prober_stalled`.
4. A look that raises is a mistake of ours: `probe_internal` (unknown), logged once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NoReturn, Self

from probe.monitor.dial import CLOSE_ENOUGH_S, STALL_CREDIT_MAX
from probe.monitor.engine import Engine
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Result, Target
from probe.monitor.wheel import NOWHERE
from probe.values import Outcome, Reason, Stage, Verdict, evidence_of

LOOKS_AT_ONCE_MAX = 32

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class _NoDialogue:
    """The `Check` of what is not conversed with."""

    speaks_first = False
    glances = False

    def begin(self) -> NoReturn:
        """Refuse."""
        raise AssertionError("nothing is said to what is looked at")

    def glance(self, data: bytes) -> None:
        """Have nothing to judge."""


class Turns:
    """Who may look: so many at once, the others in the order in which they came."""

    __slots__ = ("_taken", "_waiting")

    def __init__(self) -> None:
        self._taken = 0
        self._waiting: deque[Looking] = deque()

    def take(self, looking: Looking) -> None:
        """Let it begin, now or when there is room."""
        if self._taken < LOOKS_AT_ONCE_MAX:
            self._taken += 1
            looking.begin()
        else:
            self._waiting.append(looking)

    def give_back(self) -> None:
        """Let the next begin."""
        while self._waiting:
            looking = self._waiting.popleft()
            if looking.wants_turn:
                looking.begin()
                return
        self._taken -= 1


class Looking:
    """The looks at one resource, one round after the other; an entry of the wheel for the deadline.

    `on_result` gets the result of a round; `on_return` is called when a look that had been overdue returns while no
    round waits for it.
    """

    __slots__ = ("_began", "_called_off", "_engine", "_look", "_lost", "_on_result", "_on_return", "_plan", "_spawn",
                 "_started", "_target", "_turn", "_turns", "_waiting", "tick", "wants_turn")  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        turns: Turns,
        spawn: Spawn,
        plan: ProbePlan,
        on_result: Callable[[Result], None],
        on_return: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._turns = turns
        self._spawn = spawn
        self._plan = plan
        self._target = Target("", plan.protocol, _NoDialogue(), plan.timeout_s)
        self._on_result = on_result
        self._on_return = on_return
        self._look: asyncio.Task[None] | None = None  # under way, overdue or not
        self._began = 0.0  # the look, which may be older than the round
        self._started = 0.0  # the round
        self._lost = 0.0
        self._called_off = False  # since the look was overdue
        self._waiting = False  # a round waits for the look
        self._turn = False  # the look has one of the turns
        self.wants_turn = False
        self.tick = NOWHERE

    def __repr__(self) -> str:
        state = "idle" if self._look is None else "looking" if self._waiting else "hangs"
        return f"<Looking at {self._plan.id}: {state}>"

    @property
    def look(self) -> asyncio.Task[None] | None:
        """The look under way."""
        return self._look

    def start(self) -> Self:
        """Begin a round: look, or wait for the look that still hangs (rule 1). Returns itself: it can be cancelled."""
        if self._look is not None:
            self._wait()
        else:
            self.wants_turn = True
            self._turns.take(self)
        return self

    def begin(self) -> None:
        """Look: it is our turn."""
        self.wants_turn = False
        self._turn = True
        self._called_off = False
        self._began = self._engine.clock.now()
        self._wait()
        look = self._look = self._spawn(self._ask(self._plan.observe))
        look.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Give up the round and the look, and tell nothing more. Idempotent."""
        self.wants_turn = False
        self._rest()
        if self._look is not None:
            look, self._look = self._look, None
            look.cancel()
        self._give_turn_back()

    def _wait(self) -> None:
        engine = self._engine
        now = self._started = engine.clock.now()
        self._waiting = True
        engine.looks += 1
        self._lost = engine.stall.watch(now)
        engine.wheel.add(self, now + self._plan.timeout_s)

    def _rest(self) -> None:
        if self._waiting:
            self._waiting = False
            self._engine.looks -= 1
            self._engine.wheel.cancel(self)

    def _give_turn_back(self) -> None:
        if self._turn:
            self._turn = False
            self._turns.give_back()

    # --- the answer ---

    async def _ask(self, observe: Callable[[], Awaitable[Verdict]] | None) -> None:
        look = asyncio.current_task()
        assert observe is not None, f"{self._plan.id} is not looked at"
        try:
            verdict = await observe()
        except Exception as error:  # noqa: BLE001 - rule 4
            self._engine.bug(error)
            verdict = Verdict(Reason.PROBE_INTERNAL, evidence_of(f"{type(error).__name__}: {error}"))
        if self._look is look:  # else the round was given up
            self._look = None
            self._answered(verdict)

    def _ended(self, look: asyncio.Task[None]) -> None:
        """Take the end of a look that was cancelled: it has answered nothing."""
        if self._look is not look:
            return
        self._look = None
        self._give_turn_back()
        if self._waiting and self._called_off:
            self._rest()  # it took so long to end that the next round has waited for it: that one still has to look
            self.start()
        elif self._waiting:
            self._answered(Verdict(Reason.PROBE_INTERNAL, "the look was cancelled"))

    def _answered(self, verdict: Verdict) -> None:
        self._give_turn_back()
        if not self._waiting:
            self._on_return()
            return
        now = self._engine.clock.now()
        if verdict.outcome is Outcome.FAILED:
            paused_s = self._engine.stall.paused_s(self._started, now)
            if paused_s > self._plan.timeout_s:
                verdict = _stalled(paused_s, f"then {verdict.reason}")
        self._tell(verdict, now)

    # --- the deadline ---

    def due(self, now: float) -> None:
        """Judge the deadline (rule 3)."""
        timeout_s, stall = self._plan.timeout_s, self._engine.stall
        lost_s = stall.lost(now) - self._lost
        credit_max_s = timeout_s * STALL_CREDIT_MAX
        rest_s = timeout_s - (now - self._started) + min(lost_s, credit_max_s)
        if rest_s > CLOSE_ENOUGH_S:
            self._engine.wheel.add(self, now + rest_s)
            return
        paused_s = stall.paused_s(self._started, now)
        if lost_s > credit_max_s or paused_s > timeout_s:
            verdict = _stalled(max(lost_s, paused_s), "more than can be credited")
        else:
            verdict = Verdict(self._plan.overdue, evidence_of(f"no answer within {now - self._began:.1f} s"))
        if self._plan.calls_off and self._look is not None:
            self._called_off = True
            self._look.cancel()
        self._give_turn_back()
        self._tell(verdict, now)

    def _tell(self, verdict: Verdict, now: float) -> None:
        self._rest()
        staged = Verdict(verdict.reason, verdict.evidence, verdict.stage or Stage.RESPONSE)
        stages = ((Stage.RESPONSE, now - self._started),)
        self._on_result(Result(self._target, staged, self._started, now, stages))


def _stalled(lost_s: float, what: str) -> Verdict:
    return Verdict(Reason.PROBER_STALLED, f"our own loop lost {lost_s:.3f} s, {what}")
