"""Readings on their way from a worker to the main process, which has plans, and with them targets, of its own.

What a result says of its target is the binding as the store writes it, whether TLS comes first, and, where the binding
has a name, the address that the name led to. Dialogues of failures travel with their result, within a bound.
"""

from __future__ import annotations

from probe.monitor.cache import Reading
from probe.monitor.plan import ProbePlan
from probe.monitor.recording import Moments
from probe.monitor.target import Result, Target
from probe.workers.wire import Answer

MOMENTS_BYTES_MAX = 512 * 1024  # of one reading; the dialogues of further bindings are left out
ANSWERS_MAX = 1024  # of one reading; of more bindings only the one that decided is told


def answers_of(result: Result) -> tuple[Answer, ...]:
    """Write down a result: the one that decided, then, where there are several, all of them in their order."""
    results = (result, *result.parts) if len(result.parts) < ANSWERS_MAX else (result,)
    left, answers = MOMENTS_BYTES_MAX, []
    for one in results:
        moments = one.moments
        if moments:
            left -= sum(len(moment.data) for moment in moments)
            moments = moments if left >= 0 else ()
        answers.append(_answer_of(one, moments))
    return tuple(answers)


def _answer_of(result: Result, moments: Moments) -> Answer:
    target = result.target
    family, address = 0, ""
    if target.name is None and isinstance(target.address, tuple):
        family, address = target.family, str(target.address[0])
    return Answer(
        target.binding,
        target.tls is not None,
        result.verdict,
        result.started,
        result.ended,
        result.stages,
        family,
        address,
        result.tls,
        moments,
    )


def result_of(answers: tuple[Answer, ...], plan: ProbePlan, before: Reading | None) -> Result | None:
    """Make the result again, of the plan's own targets; None when it is about bindings that the plan does not have.

    What a name led to last time is taken from the reading `before` where it is the same.
    """
    results = [_result_of(answer, plan, before) for answer in answers]
    first, parts = results[0], tuple(result for result in results[1:] if result is not None)
    return first._replace(parts=parts) if first is not None and parts else first


def _result_of(answer: Answer, plan: ProbePlan, before: Reading | None) -> Result | None:
    target = _target_of(answer, plan, before)
    if target is None:
        return None
    return Result(target, answer.verdict, answer.started, answer.ended, answer.stages, answer.tls, (), answer.moments)


def _target_of(answer: Answer, plan: ProbePlan, before: Reading | None) -> Target | None:
    called = [target for target in plan.targets if target.binding == answer.binding]
    target = next((one for one in called if (one.tls is not None) is answer.secure), called[0] if called else None)
    if target is None or target.name is None or not answer.address:
        return target
    known = () if before is None else before.result.each
    for result in known:
        one = result.target
        if one.check is target.check and isinstance(one.address, tuple) and one.address[0] == answer.address:
            return one
    return target.name.pin(answer.family, answer.address)
