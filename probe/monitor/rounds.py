"""One round over a resource that has several bindings, or a name for one: ask each, then judge by the policy (S33)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from bindings.model import BindingPolicy
from probe.monitor.dial import Dial
from probe.monitor.engine import Engine
from probe.monitor.plan import ProbePlan
from probe.monitor.recording import unasked
from probe.monitor.resolve import Names
from probe.monitor.target import Name, Result, Target
from probe.values import Outcome, Stage, Verdict

Place = tuple[int, ...]  # the binding's number, and that of the address where its name has several

# What decides, in this order: under `all` a failure, then a doubt; otherwise one that is alive, then a doubt.
_ORDER: dict[Literal["all", "any", "first"], tuple[Outcome, ...]] = {
    "all": (Outcome.FAILED, Outcome.UNKNOWN, Outcome.ALIVE),
    "any": (Outcome.ALIVE, Outcome.UNKNOWN, Outcome.FAILED),
    "first": (Outcome.ALIVE, Outcome.UNKNOWN, Outcome.FAILED),
}


def judge(policy: BindingPolicy, results: Sequence[Result]) -> Result:
    """Make one result of those of all bindings, in their order: that of the first binding that decides."""
    outcomes = [result.verdict.outcome for result in results]
    decisive = next(outcome for outcome in _ORDER[policy] if outcome in outcomes)
    decided = results[outcomes.index(decisive)]
    return decided if len(results) == 1 else decided._replace(parts=tuple(results))


class Round:
    """Ask all bindings of a plan, at once, or (policy `first`) one after the other until one is alive."""

    __slots__ = ("_asked", "_dials", "_engine", "_names", "_on_closed", "_on_result", "_policy", "_results", "_todo",
                 "done")  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        names: Names,
        plan: ProbePlan,
        on_result: Callable[[Result], None],
        on_closed: Callable[[float], None],
    ) -> None:
        self._engine = engine
        self._names = names
        self._policy = plan.policy
        self._on_result = on_result
        self._on_closed = on_closed
        self._todo: deque[tuple[Place, Target, float]] = deque(
            ((number,), target, 0.0) for number, target in enumerate(plan.targets)
        )
        self._asked = 0  # not answered yet
        self._dials: dict[Place, Dial] = {}
        self._results: dict[Place, Result] = {}
        self.done = False

    def start(self) -> None:
        """Begin to ask. The result may come before this returns."""
        self._go_on()

    def cancel(self) -> None:
        """Stop asking and tell nothing."""
        self.done = True
        for dial in list(self._dials.values()):
            dial.cancel()

    def _go_on(self) -> None:
        self._asked += 1  # so that an answer at once does not end the round before the last is asked
        while self._todo and not (self._policy == "first" and self._asked > 1):
            self._ask(*self._todo.popleft())
        self._asked -= 1
        if not self._asked and not self.done:
            self.done = True
            self._on_result(judge(self._policy, [self._results[place] for place in sorted(self._results)]))

    @property
    def _decided(self) -> bool:
        return self._policy == "first" and any(
            result.verdict.outcome is Outcome.ALIVE for result in self._results.values()
        )

    def _ask(self, place: Place, target: Target, looked_up_s: float) -> None:
        self._asked += 1
        name = target.name
        if name is not None:
            self._names.look_up(name.text, target.timeout_s, partial(self._found, place, target, name))
            return
        dial = self._engine.dial(target, partial(self._answered, place, looked_up_s), self._on_closed)
        if not dial.done:
            self._dials[place] = dial

    def _found(
        self, place: Place, target: Target, name: Name, found: Sequence[tuple[int, str]] | Verdict, took_s: float
    ) -> None:
        if self.done:
            return
        if isinstance(found, Verdict):
            now = self._engine.clock.now()
            stages = ((Stage.RESOLVE, took_s),)
            self._results[place] = Result(target, found, now - took_s, now, stages, moments=unasked(took_s))
        else:
            self._todo.extendleft(reversed(_pinned(place, name, found, took_s)))
        self._asked -= 1
        self._go_on()

    def _answered(self, place: Place, looked_up_s: float, result: Result) -> None:
        if self.done:
            return
        self._dials.pop(place, None)
        if looked_up_s:
            stages = ((Stage.RESOLVE, looked_up_s), *result.stages)
            result = result._replace(started=result.started - looked_up_s, stages=stages)
        self._results[place] = result
        self._asked -= 1
        if self._decided:
            self._todo.clear()
        if not self._asked:
            self._go_on()


def _pinned(
    place: Place, name: Name, found: Sequence[tuple[int, str]], took_s: float
) -> list[tuple[Place, Target, float]]:
    return [((*place, number), name.pin(*one), took_s) for number, one in enumerate(name.fitting(found))]
