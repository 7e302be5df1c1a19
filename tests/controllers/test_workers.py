"""The workers: one at a time a resource, every end told, a cancelled one too."""

from __future__ import annotations

import asyncio

import pytest

from probe.controllers.contract import ControllerError
from probe.controllers.workers import Answer, Workers
from probe.lifecycle.events import OperationFailed, Started, Stopped
from probe.values import OpId, Reason, ResourceId, Verdict

SMTP = ResourceId("evs1", "smtp")


class Stage:
    """A controller whose operations end when the test says so."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.doors: dict[str, asyncio.Event] = {}

    async def work(self, name: str) -> None:
        """Begin, and end when the door opens."""
        self.begun.append(name)
        await self.doors.setdefault(name, asyncio.Event()).wait()

    async def refuse(self) -> None:
        """Fail as a controller does."""
        raise ControllerError(Verdict(Reason.CAPACITY, "no room"))

    async def stumble(self) -> None:
        """Fail as a controller should not."""
        raise RuntimeError("a bug\x00")


async def turn() -> None:
    """Let every ready task go on."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_success_and_failure_are_answered() -> None:
    """S50: an operation's end comes back as an event that carries its id."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), lambda: stage.work("a"))
        await turn()
        stage.doors["a"].set()
        await turn()
        workers.begin(Stopped(SMTP, OpId(2)), stage.refuse)
    assert answers == [
        Started(SMTP, OpId(1)),
        OperationFailed(SMTP, OpId(2), Verdict(Reason.CAPACITY, "no room")),
    ]
    assert workers.count == 0


async def test_second_operation_waits_for_the_first() -> None:
    """S55: a resource never has two workers at work; the next begins when the previous has returned."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), lambda: stage.work("start"))
        await turn()
        workers.cancel(SMTP, OpId(1))
        workers.begin(Stopped(SMTP, OpId(2)), lambda: stage.work("stop"))
        assert stage.begun == ["start"]
        await turn()
        assert stage.begun == ["start", "stop"]
        stage.doors["stop"].set()
    assert answers == [
        OperationFailed(SMTP, OpId(1), Verdict(Reason.PROBE_INTERNAL, "cancelled")),
        Stopped(SMTP, OpId(2)),
    ]


async def test_worker_that_was_called_off_while_it_waited_lets_nobody_pass() -> None:
    """S55: behind a hung worker the second is called off; the third still waits for the hung one."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), lambda: stage.work("hung"))
        await turn()
        workers.begin(Stopped(SMTP, OpId(2)), lambda: stage.work("called off"))
        await turn()
        workers.cancel(SMTP, OpId(2))
        await turn()
        workers.begin(Stopped(SMTP, OpId(3)), lambda: stage.work("third"))
        await turn()
        assert stage.begun == ["hung"]
        assert workers.count == 2
        stage.doors["hung"].set()
        await turn()
        assert stage.begun == ["hung", "third"]
        stage.doors["third"].set()
    assert [type(answer) for answer in answers] == [OperationFailed, Started, Stopped]
    assert workers.count == 0


async def test_end_calls_every_worker_off() -> None:
    """When we end no worker is left, whichever it is."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), lambda: stage.work("a"))
        workers.begin(Stopped(SMTP, OpId(2)), lambda: stage.work("b"))
        await turn()
        workers.cancel_all()
    assert [type(answer) for answer in answers] == [OperationFailed, OperationFailed]


async def test_worker_cancelled_before_its_first_step_is_answered() -> None:
    """The core learns of the end of a worker that never came to run."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), lambda: stage.work("a"))
        workers.cancel(SMTP, OpId(1))
    assert [type(answer) for answer in answers] == [OperationFailed]
    assert stage.begun == []


async def test_cancelling_another_operation_changes_nothing() -> None:
    """A late cancel of an operation of the past does not hit the one at work."""
    answers: list[Answer] = []
    stage = Stage()
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(7)), lambda: stage.work("a"))
        await turn()
        workers.cancel(SMTP, OpId(6))
        stage.doors["a"].set()
    assert answers == [Started(SMTP, OpId(7))]


async def test_controllers_bug_is_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that no controller should raise is logged and answered; the service goes on."""
    answers: list[Answer] = []
    async with asyncio.TaskGroup() as tasks:
        workers = Workers(tasks.create_task, answers.append)
        workers.begin(Started(SMTP, OpId(1)), Stage().stumble)
    [answer] = answers
    assert isinstance(answer, OperationFailed)
    assert answer.verdict == Verdict(Reason.PROBE_INTERNAL, "RuntimeError: a bug\\x00")
    assert "should not" in caplog.text
