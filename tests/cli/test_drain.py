"""`looksalive drain` against a real HTTP server."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.cli.service import TOKEN, FakeService, refusal, resource, serving, status_of

ONLINE = resource("evs1/smtp")
STARTING = resource("evs1/smtp", state="online-pending", alive=False)
STOPPING = resource("evs1/imap", state="offline-pending", alive=False)


@pytest.mark.parametrize(("words", "on"), [([], True), (["--off"], False)])
def test_it_is_said_with_the_token(
    words: list[str], on: bool, token_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service is told once, as JSON with the bearer token, and nothing else is asked."""
    with serving(FakeService(status_of(1, STARTING))) as service:
        assert main(["drain", *words, "--url", service.url, "--token-file", token_file]) == EXIT_OK
    assert service.asked == ["POST /api/v1/drain"]
    assert service.authorizations == [f"Bearer {TOKEN}"]
    assert service.bodies == [("application/json", {"on": on})]
    assert capsys.readouterr().out == f"the stops to come are {'' if on else 'no longer '}planned\n"


def test_waiting_ends_when_nothing_is_under_way(token_file: str) -> None:
    """With --wait it returns as soon as no online and no offline is pending."""
    service = FakeService(status_of(1, STARTING, STOPPING))
    looks: list[str] = []

    def answer(request: web.Request) -> web.Response:
        looks.append(request.method)
        if request.method == "POST":
            return web.json_response({"on": True})
        return web.json_response(status_of(2, STARTING) if len(looks) < 3 else status_of(3, ONLINE))

    service.raw = answer
    with serving(service):
        assert main(["drain", "--wait", "--url", service.url, "--token-file", token_file]) == EXIT_OK
    assert looks == ["POST", "GET", "GET"]


def test_waiting_has_an_end(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is still under way at the time-out is named, and the exit code is 1."""
    with serving(FakeService(status_of(1, STARTING, STOPPING))) as service:
        words = ["drain", "--wait", "--timeout", "0.1", "--json", "--url", service.url, "--token-file", token_file]
        assert main(words) == EXIT_FAILED
    told = capsys.readouterr()
    assert json.loads(told.out) == {"on": True, "pending": ["evs1/smtp", "evs1/imap"]}
    assert told.err == "looksalive drain: still under way after 0.1 s: evs1/smtp, evs1/imap\n"


def test_without_a_token_it_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Draining is control: without the token the service's refusal is passed on with exit 1."""
    with serving(FakeService(status_of(1, ONLINE))) as service:
        assert main(["drain", "--url", service.url]) == EXIT_FAILED
    assert "control needs a token" in capsys.readouterr().err


def test_an_answer_of_something_else(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever does not say what was asked is not looksalive: exit 3."""
    service = FakeService(status_of(1))
    service.raw = lambda _: web.json_response({"status": "ok"})
    with serving(service):
        assert main(["drain", "--url", service.url, "--token-file", token_file]) == EXIT_CANNOT_ASK
    assert "is that looksalive?" in capsys.readouterr().err


def test_a_service_that_ends_refuses(token_file: str) -> None:
    """A service that is ending anyway says so; the exit code is that of every refusal."""
    service = FakeService(status_of(1))
    service.raw = lambda _: refusal(503, "draining", "looksalive is ending")
    with serving(service):
        assert main(["drain", "--url", service.url, "--token-file", token_file]) == EXIT_FAILED


def test_it_takes_no_target() -> None:
    """A drain is of the whole service; a name behind it is bad usage."""
    assert main(["drain", "evs1/smtp"]) == EXIT_USAGE
