"""`looksalive wait` against a real HTTP server."""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import ExitStack

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from probe.cli.client import connected
from probe.cli.session import Session
from probe.cli.wait import Progress, wait
from probe.environment.clock import LoopClock
from tests.cli.service import FakeService, refusal, resource, serving, status_of
from tests.cli.test_output import terminal

PENDING = resource("evs1/smtp", state="online-pending", alive=False, verdict="unknown", reason="not_yet")
ONLINE = resource("evs1/smtp")
FAILED = resource("evs1/smtp", state="failed", alive=False, verdict="failed", reason="banner_timeout")
DEAD_ONLINE = resource("evs1/smtp", alive=False, verdict="failed", reason="eof")
OFFLINE = resource("evs1/smtp", state="offline", alive=False)


def test_it_returns_when_the_edge_comes(capsys: pytest.CaptureFixture[str]) -> None:
    """The status is asked once, then by long poll from its revision, until the goal is reached."""
    with serving(FakeService(status_of(4, PENDING), status_of(5, PENDING), status_of(6, ONLINE))) as service:
        assert main(["wait", "--for", "online", "evs1/smtp", "--url", service.url]) == EXIT_OK
    assert service.asked == [
        "GET /api/v1/status",
        "GET /api/v1/status?wait=4",
        "GET /api/v1/status?wait=5",
    ]
    assert capsys.readouterr().out.startswith("evs1/smtp: online after ")


@pytest.mark.parametrize(
    ("goal", "reaching", "others"),
    [
        ("online", DEAD_ONLINE, (PENDING, FAILED, OFFLINE)),
        ("alive", ONLINE, (PENDING, FAILED, OFFLINE, DEAD_ONLINE)),
        ("failed", FAILED, (PENDING, ONLINE, OFFLINE, DEAD_ONLINE)),
        ("offline", OFFLINE, (PENDING, ONLINE, FAILED, DEAD_ONLINE)),
    ],
)
def test_what_each_goal_means(goal: str, reaching: dict[str, object], others: tuple[dict[str, object], ...]) -> None:
    """Online, offline and failed are states; alive is online and found alive. Nothing else ends the waiting."""
    statuses = [status_of(index, other) for index, other in enumerate(others)]
    with serving(FakeService(*statuses, status_of(99, reaching))) as service:
        assert main(["wait", "--for", goal, "evs1/smtp", "--url", service.url]) == EXIT_OK
        assert len(service.asked) == len(others) + 1


def test_a_group_means_all_in_it() -> None:
    """A bare GROUP is reached when every resource of it is, and of no other group."""
    other = resource("evs2/smtp", state="failed")
    half = status_of(1, ONLINE, resource("evs1/imap", state="online-pending"), other)
    whole = status_of(2, ONLINE, resource("evs1/imap"), other)
    with serving(FakeService(half, whole)) as service:
        assert main(["wait", "--for", "online", "evs1", "--url", service.url]) == EXIT_OK
        assert len(service.asked) == 2


def test_the_time_out_is_exit_1_and_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 1, with each resource that is not there yet and why."""
    with serving(FakeService(status_of(4, PENDING))) as service:
        words = ["wait", "--for", "online", "evs1/smtp", "--timeout", "0.3", "--url", service.url]
        assert main(words) == EXIT_FAILED
    err = capsys.readouterr().err
    assert err == "looksalive wait: not online after 300 ms: evs1/smtp is online-pending (not_yet)\n"


def test_a_resource_nobody_knows_is_waited_for(capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is not in the store yet may still come; at the time-out the nearest one is offered."""
    with serving(FakeService(status_of(4, ONLINE), status_of(5, ONLINE, resource("evs1/new")))) as service:
        assert main(["wait", "--for", "online", "evs1/new", "--url", service.url]) == EXIT_OK
        words = ["wait", "--for", "online", "evs1/smpt", "--timeout", "0.1", "--url", service.url]
        assert main(words) == EXIT_FAILED
    assert "evs1/smpt is not known to the service; did you mean evs1/smtp?" in capsys.readouterr().err


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    """--json tells how it ended, with the resources or what is missing."""
    with serving(FakeService(status_of(4, ONLINE, resource("evs2/a")))) as service:
        assert main(["wait", "--json", "--for", "online", "evs1", "--url", service.url]) == EXIT_OK
        reached = json.loads(capsys.readouterr().out)
        words = ["wait", "--json", "--for", "failed", "evs1", "--timeout", "0.1", "--url", service.url]
        assert main(words) == EXIT_FAILED
        missed = json.loads(capsys.readouterr().out)
    assert reached["reached"] is True
    assert reached["resources"] == [ONLINE]
    assert missed["reached"] is False
    assert missed["missing"] == ["evs1/smtp"]


class HelpfulClock(LoopClock):
    """A clock on which the first wait is when something happens outside."""

    def __init__(self, happen: Callable[[], object]) -> None:
        super().__init__()
        self._happen: Callable[[], object] | None = happen

    async def sleep(self, seconds: float) -> None:
        """Wait as told; before the first wait it happens."""
        happen, self._happen = self._happen, None
        if happen is not None:
            happen()
        await super().sleep(seconds)


def test_it_waits_for_the_service_itself() -> None:
    """A refused connection is tried again: the service may still be starting."""
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port = reserved.getsockname()[1]
    service = FakeService(status_of(1, ONLINE))
    arguments = argparse.Namespace(goal="online", targets=["evs1/smtp"], timeout_s=20.0, json=False, command="wait")

    async def talk(stack: ExitStack) -> int:
        clock = HelpfulClock(lambda: stack.enter_context(serving(service, port)))
        async with connected(f"http://127.0.0.1:{port}") as client:
            return await wait(arguments, Session(client, clock))

    with ExitStack() as stack:
        assert asyncio.run(talk(stack)) == EXIT_OK
    assert service.asked == ["GET /api/v1/status"]


def test_a_service_that_never_comes_is_exit_1(capsys: pytest.CaptureFixture[str]) -> None:
    """The time-out also ends the wait for the service itself, and says that nobody answers."""
    with serving(FakeService(status_of(1))) as service:
        url = service.url
    assert main(["wait", "--for", "online", "g/a", "--timeout", "0.1", "--url", url]) == EXIT_FAILED
    assert f"cannot reach {url}" in capsys.readouterr().err


def test_a_lost_answer_is_asked_for_again() -> None:
    """A connection cut in the middle does not end the wait."""
    service = FakeService(status_of(1, ONLINE))

    def cut(request: web.Request) -> web.Response:
        service.raw = None
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    service.raw = cut
    with serving(service):
        assert main(["wait", "--for", "online", "evs1/smtp", "--url", service.url]) == EXIT_OK
    assert len(service.asked) == 2


def test_a_refusal_is_exit_3(capsys: pytest.CaptureFixture[str]) -> None:
    """A service that says no will go on saying no: exit 3 at once."""
    service = FakeService(status_of(1))
    service.raw = lambda _: refusal(421, "misdirected", "this Host is not ours")
    with serving(service):
        assert main(["wait", "--for", "online", "g/a", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "--allowed-host" in capsys.readouterr().err


@pytest.mark.parametrize("timeout", ["0", "-1", "nan", "inf", "soon", "1e9"])
def test_a_bad_timeout_is_bad_usage(timeout: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A time-out is a number of seconds above zero, and not endless."""
    assert main(["wait", "--for", "online", "g/a", f"--timeout={timeout}"]) == EXIT_USAGE
    assert "--timeout: " in capsys.readouterr().err


def test_progress_is_one_line_and_for_terminals_only(
    capsys: pytest.CaptureFixture[str], variables: pytest.MonkeyPatch
) -> None:
    """On a terminal one line is written over and taken away again; elsewhere nothing is said."""
    stream = terminal()
    progress = Progress("online", stream)
    progress.show("evs1/smtp is \x1b[31mred " + "x" * 500, 2.0)
    progress.clear()
    stream.seek(0)
    text = stream.read()
    assert text.startswith("\r\x1b[Kwaiting for online (2.0 s): evs1/smtp is \\x1b[31mred xxx")
    assert text.endswith("x\r\x1b[K")
    assert len(text) < 120
    Progress("online").show("evs1/smtp", 2.0)
    assert capsys.readouterr().err == ""
