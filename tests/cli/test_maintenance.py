"""`looksalive maintenance` against a real HTTP server."""

from __future__ import annotations

import argparse

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_USAGE
from probe.cli.maintenance import parse_duration
from tests.cli.service import FakeService, refusal, resource, serving, status_of

KEPT = {"owner": "anna", "since": 1.0, "until": None}


def answering(maintenance: object) -> FakeService:
    """Make a service that answers with the group as it is then."""
    service = FakeService(status_of(1, resource("evs1/smtp")))

    def answer(request: web.Request) -> web.Response:
        return web.json_response({"name": "evs1", "maintenance": maintenance})

    service.raw = answer
    return service


def test_it_begins_with_an_owner_and_an_end(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The group, the owner and the seconds are passed on, and what holds now is said."""
    words = ["maintenance", "evs1", "--for", "2h", "--owner", "anna", "--token-file", token_file]
    with serving(answering(KEPT)) as service:
        assert main([*words, "--url", service.url]) == EXIT_OK
    assert service.asked == ["POST /api/v1/groups/evs1/maintenance"]
    assert capsys.readouterr().out == "evs1 is let alone for 2 h (anna): nothing is done, whatever happens\n"


def test_it_ends(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--off ends it."""
    with serving(answering(None)) as service:
        assert main(["maintenance", "evs1", "--off", "--token-file", token_file, "--url", service.url]) == EXIT_OK
    assert capsys.readouterr().out == "the maintenance of evs1 is over\n"


def test_an_answer_that_says_something_else(token_file: str) -> None:
    """A group that is not let alone afterwards is no success."""
    with serving(answering(None)) as service:
        assert main(["maintenance", "evs1", "--token-file", token_file, "--url", service.url]) == EXIT_CANNOT_ASK


def test_a_refusal_is_passed_on(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The service's own words are shown, with exit 1."""
    service = answering(None)
    service.raw = lambda _: refusal(404, "not_found", "there is no group evs1")
    with serving(service):
        assert main(["maintenance", "evs1", "--token-file", token_file, "--url", service.url]) == EXIT_FAILED
    assert "there is no group evs1" in capsys.readouterr().err


def test_an_end_that_has_a_length_is_bad_usage(token_file: str) -> None:
    """--off and --for contradict each other."""
    assert main(["maintenance", "evs1", "--off", "--for", "1h", "--token-file", token_file]) == EXIT_USAGE


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("2h", 7200), ("1d", 86_400)])
def test_durations(text: str, seconds: float) -> None:
    """Seconds, minutes, hours and days are understood."""
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "h", "2w", "1e3", "2 h", "٣"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused with an example."""
    with pytest.raises(argparse.ArgumentTypeError, match="90s, 30m, 2h or 1d"):
        parse_duration(text)
