"""Readings are the same on both sides of the wire, but for dialogues beyond the bound."""

from __future__ import annotations

import socket

import pytest

from probe.monitor.cache import Reading
from probe.monitor.plan import ProbePlan
from probe.monitor.recording import Moment
from probe.monitor.target import Result
from probe.monitor.tls import TlsFacts
from probe.values import Reason, Stage, Verdict
from probe.workers.readings import ANSWERS_MAX, MOMENTS_BYTES_MAX, answers_of, result_of
from tests.monitor.rig import plan_of, virtual_server
from tests.sim.environment import make_environment
from tests.sim.loop import run_virtual

V4 = int(socket.AF_INET)


def planned(*bindings: str, secure: tuple[str, ...] = ()) -> tuple[ProbePlan, ProbePlan]:
    """Make the same plan twice: the worker's and the main process's."""

    async def make() -> tuple[ProbePlan, ProbePlan]:
        environment, _ = make_environment(seed=1)
        server = virtual_server(*bindings, secure=secure)
        return plan_of(environment, server), plan_of(environment, server)

    return run_virtual(make(), 10)


def result(plan: ProbePlan, number: int, reason: Reason = Reason.MATCHED, data: bytes = b"") -> Result:
    """Make the result of one of a plan's bindings."""
    moments = (Moment("received", 0.1, data),) if data else ()
    verdict = Verdict(reason, "220 hello", Stage.BANNER)
    facts = TlsFacts("TLSv1.3", "X", (1.0, 2.0), True) if plan.targets[number].tls else None
    return Result(plan.targets[number], verdict, 1.0, 2.0, ((Stage.CONNECT, 0.1),), facts, (), moments)


def test_a_result_comes_back_with_our_own_target() -> None:
    """All but the target is equal; the target is the main process's own of the same binding."""
    theirs, ours = planned("127.0.0.1:25", secure=("127.0.0.1:25",))
    for number in range(2):
        sent = result(theirs, number, Reason.EOF, b"220-")
        back = result_of(answers_of(sent), ours, None)
        assert back is not None
        assert back.target is ours.targets[number]
        assert back[1:] == sent[1:]


def test_the_parts_come_in_their_order() -> None:
    """Of several bindings the one that decided is first, and all are in the parts."""
    theirs, ours = planned("127.0.0.1:25", "127.0.0.1:26")
    parts = (result(theirs, 0), result(theirs, 1, Reason.EOF))
    back = result_of(answers_of(parts[1]._replace(parts=parts)), ours, None)
    assert back is not None
    assert back.target is ours.targets[1]
    assert [part.target for part in back.parts] == list(ours.targets)
    assert [part.verdict.reason for part in back.parts] == [Reason.MATCHED, Reason.EOF]


def test_what_a_name_led_to_is_pinned_once() -> None:
    """The address that a name led to is told; the same one is not made a target of again, another one is."""
    theirs, ours = planned("mail.example.org:25")
    name = theirs.targets[0].name
    assert name is not None
    sent = result(theirs, 0)._replace(target=name.pin(V4, "192.0.2.1"))
    first = result_of(answers_of(sent), ours, None)
    assert first is not None
    assert (first.target.text, first.target.binding) == ("192.0.2.1:25", "mail.example.org:25")
    again = result_of(answers_of(sent), ours, Reading(True, first, 1, 10.0))
    assert again is not None
    assert again.target is first.target
    moved = sent._replace(target=name.pin(V4, "192.0.2.2"))
    other = result_of(answers_of(moved), ours, Reading(True, first, 1, 10.0))
    assert other is not None
    assert other.target.text == "192.0.2.2:25"
    _, replanned = planned("mail.example.org:25")
    anew = result_of(answers_of(sent), replanned, Reading(True, first, 1, 10.0))
    assert anew is not None
    assert anew.target.check is replanned.targets[0].check
    unresolved = result_of(answers_of(result(theirs, 0, Reason.DNS_NXDOMAIN)), ours, None)
    assert unresolved is not None
    assert unresolved.target is ours.targets[0]


def test_a_binding_that_is_gone_says_nothing() -> None:
    """A result about a binding that the plan in force does not have is none."""
    theirs, _ = planned("127.0.0.1:25")
    _, ours = planned("127.0.0.1:26")
    assert result_of(answers_of(result(theirs, 0)), ours, None) is None


@pytest.mark.parametrize("size", [100, MOMENTS_BYTES_MAX // 2 + 1])
def test_dialogues_are_bounded_together(size: int) -> None:
    """The dialogues of very many bindings are told as far as there is room; verdicts always."""
    theirs, ours = planned("127.0.0.1:25", "127.0.0.1:26")
    parts = tuple(result(theirs, number, Reason.EOF, b"x" * size) for number in range(2))
    back = result_of(answers_of(parts[0]._replace(parts=parts)), ours, None)
    assert back is not None
    kept = sum(len(part.moments[0].data) for part in back.parts if part.moments)
    assert kept == (200 if size == 100 else 0)
    assert len(back.moments) == 1
    assert [part.verdict.reason for part in back.parts] == [Reason.EOF, Reason.EOF]


def test_of_too_many_bindings_the_one_that_decided_is_told() -> None:
    """Beyond the bound of bindings only the decisive one travels."""
    theirs, _ = planned("127.0.0.1:25")
    many = result(theirs, 0)._replace(parts=(result(theirs, 0),) * ANSWERS_MAX)
    assert len(answers_of(many)) == 1
