"""`looksalive move` against a real HTTP server."""

from __future__ import annotations

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tests.cli.service import FakeService, refusal, resource, serving, status_of


def test_a_move_is_asked_for(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The group and the node are passed on."""
    service = FakeService(status_of(1, resource("evs1/smtp")))
    service.raw = lambda _: web.json_response({"operation": 3, "state": "pending"}, status=202)
    with serving(service):
        words = ["move", "evs1", "--to", "node2", "--token-file", token_file, "--url", service.url]
        assert main(words) == EXIT_OK
    assert service.asked == ["POST /api/v1/groups/evs1/move"]
    assert capsys.readouterr().out == "evs1 moves to node2\n"


def test_a_node_that_there_is_not(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S46: the refusal comes before anything is taken offline, and is passed on."""
    service = FakeService(status_of(1, resource("evs1/smtp")))
    service.raw = lambda _: refusal(409, "no_such_node", "there is no other node than node1")
    with serving(service):
        words = ["move", "evs1", "--to", "node2", "--token-file", token_file, "--url", service.url]
        assert main(words) == EXIT_FAILED
    assert "there is no other node than node1" in capsys.readouterr().err


def test_a_move_needs_a_node(token_file: str) -> None:
    """Without --to it is bad usage."""
    assert main(["move", "evs1", "--token-file", token_file]) == EXIT_USAGE


def test_a_move_is_of_a_whole_group(token_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """S26: one resource, the mta too, is not moved; the sentence names the group that can be."""
    assert main(["move", "evs1/mta", "--to", "node2", "--token-file", token_file]) == EXIT_USAGE
    assert "move takes a whole group" in capsys.readouterr().err
