"""`looksalive events` against a real HTTP server: pages, the stream, and what people see of an event."""

from __future__ import annotations

import io
import json
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_OK, EXIT_USAGE
from probe.cli.errors import Refused
from probe.cli.events import RETRY_S, RETRY_S_MAX, pause_of
from probe.cli.happenings import event_line
from probe.cli.output import Style
from tests.cli.service import FakeService, event_of, refusal, serving, status_of
from tests.e2e.command import COMMAND, surroundings

WAIT_S = 20.0


def frame(event: dict[str, Any]) -> bytes:
    """Write an event as the stream does."""
    return b"id: %d\nevent: state\ndata: %s\n\n" % (event["seq"], json.dumps(event).encode())


def told(capsys: pytest.CaptureFixture[str]) -> list[int]:
    """List the seqs that were printed as JSON."""
    return [json.loads(line)["seq"] for line in capsys.readouterr().out.splitlines()]


def test_all_that_is_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """More than a page is read to its end, in order."""
    service = FakeService(status_of(1))
    service.events = [event_of(seq) for seq in range(1, 2502)]
    with serving(service):
        assert main(["events", "--json", "--url", service.url]) == EXIT_OK
    assert told(capsys) == list(range(1, 2502))
    assert len(service.asked) == 3


def test_what_was_recorded_before_the_service_was_started_anew(capsys: pytest.CaptureFixture[str]) -> None:
    """Events of earlier runs come first, by --last and --since as well; --after is of the running service alone."""
    service = FakeService(status_of(1))
    service.recorded = [event_of(seq, time=1_600_000_000.0 + seq) for seq in range(1, 1502)]
    service.events = [event_of(1), event_of(2)]
    with serving(service):
        assert main(["events", "--json", "--url", service.url]) == EXIT_OK
        assert told(capsys) == [*range(1, 1502), 1, 2]
        assert main(["events", "--json", "--last", "4", "--url", service.url]) == EXIT_OK
        assert told(capsys) == [1500, 1501, 1, 2]
        assert main(["events", "--json", "--since", "1600001501", "--url", service.url]) == EXIT_OK
        assert told(capsys) == [1501, 1, 2]
        assert main(["events", "--json", "--after", "0", "--url", service.url]) == EXIT_OK
        assert told(capsys) == [1, 2]


def test_a_flood_is_cut_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    """More than a hundred pages are not read into memory: the last ones are told, and that there are more."""
    service = FakeService(status_of(1))
    page = [event_of(1)] * 1000
    service.raw = lambda _: web.json_response({"events": page, "next": 9, "previous": "9@1.5"})
    with serving(service):
        assert main(["events", "--json", "--url", service.url]) == EXIT_OK
    assert len(service.asked) == 100
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 100_000
    assert "only the last 100000; choose with --since" in printed.err


def test_what_is_remembered_is_told_when_the_history_cannot_be_read(capsys: pytest.CaptureFixture[str]) -> None:
    """A history that fails takes no event away that the service still remembers; it is said that there is no more."""
    service = FakeService(status_of(1))
    page = {"events": [event_of(1), event_of(2)], "next": 2, "previous": "1@1.5"}
    unusable = refusal(503, "history_unusable", "the history cannot be used: it is damaged")
    service.raw = lambda request: unusable if request.query["before"] else web.json_response(page)
    with serving(service):
        assert main(["events", "--json", "--url", service.url]) == EXIT_OK
    printed = capsys.readouterr()
    assert [json.loads(line)["seq"] for line in printed.out.splitlines()] == [1, 2]
    assert "only the last 2; what was before is not told: the history cannot be used" in printed.err


def test_a_history_that_cannot_be_read_with_nothing_remembered(capsys: pytest.CaptureFixture[str]) -> None:
    """When there is nothing to tell, why not is an error."""
    service = FakeService(status_of(1))
    service.raw = lambda _: refusal(503, "history_unusable", "the history cannot be used: it is damaged")
    with serving(service):
        assert main(["events", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "the history cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "seqs"),
    [
        (["--after", "3"], [4, 5]),
        (["--last", "2"], [4, 5]),
        (["--last", "0"], []),
        (["--last", "99"], [1, 2, 3, 4, 5]),
        (["--since", "1700000004"], [4, 5]),
        (["evs1"], [1, 2, 4, 5]),
        (["evs1/pop3"], [2, 5]),
        (["evs2", "--after", "3"], []),
    ],
)
def test_a_choice_of_them(arguments: list[str], seqs: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    """By number, by time, by resource or group (whose own events belong to each of its resources), or the last ones."""
    service = FakeService(status_of(1))
    service.events = [
        event_of(1),
        event_of(2, "evs1/pop3"),
        event_of(3, "evs2/smtp"),
        event_of(4),
        event_of(5, "evs1", kind="maintenance"),
    ]
    with serving(service):
        assert main(["events", *arguments, "--json", "--url", service.url]) == EXIT_OK
    assert told(capsys) == seqs


def test_a_line_for_people() -> None:
    """When, who, from what to what, why, because of whom, by whom; nothing from outside moves the terminal."""
    style = Style(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {})
    line = event_line(event_of(1, evidence="\x1b[2J\n", root_cause="evs1/store"), style)
    assert line.endswith('evs1/smtp  online → failed  eof  "\\x1b[2J\\n"  because of evs1/store  (probe)')
    assert line.isprintable()
    assert "restart done" in event_line(event_of(1, kind="operation", to="done", evidence="restart", reason=""), style)
    assert "maintenance on by anna" in event_line(event_of(1, kind="maintenance", to="on", evidence="anna"), style)


class Following:
    """A `looksalive events --follow` of its own process; its lines as they come."""

    def __init__(self, url: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, "events", "--follow", "--json", "--url", url, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=surroundings(),
        )
        self.lines: list[str] = []
        self._enough = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._enough:
                self.lines.append(line)
                self._enough.notify_all()

    def seqs(self, count: int) -> list[int]:
        """Wait for so many lines and give their numbers."""
        with self._enough:
            assert self._enough.wait_for(lambda: len(self.lines) >= count, WAIT_S), self.lines
        return [json.loads(line)["seq"] for line in self.lines]

    def end(self) -> tuple[int, str]:
        """End it as Ctrl-C does; its exit code and what it complained about."""
        self.process.send_signal(2)
        self._reader.join()
        assert self.process.stderr is not None
        complained = self.process.stderr.read()
        self.process.stderr.close()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(WAIT_S), complained


def test_follow_resumes_where_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    """A stream that ends is opened again behind the last event seen, in whatever pieces its frames came."""
    del capsys
    service = FakeService(status_of(1))
    service.events = [event_of(seq) for seq in range(1, 21)]
    whole = b"retry: 2000\n\n: keep-alive\n\n" + frame(event_of(21))
    cut = len(whole) - 5
    service.streams = [[whole[:cut], whole[cut:]], [b"event: overrun\ndata: {}\n\n", frame(event_of(22))]]
    with serving(service):
        following = Following(service.url)
        try:
            assert following.seqs(12) == [*range(11, 21), 21, 22], "the last ten, then what happens"
        finally:
            code, complained = following.end()
    assert code == 130
    assert "some events are lost" in complained
    streams = [asked for asked in service.asked if "/stream" in asked]
    assert streams[:2] == ["GET /api/v1/stream 20", "GET /api/v1/stream 21@1700000021.0"]


def test_follow_outlives_the_service() -> None:
    """A service that goes away is waited for; that is said once."""
    service = FakeService(status_of(1))
    service.events = [event_of(1)]
    with serving(service):
        port = int(service.url.rpartition(":")[2])
        following = Following(service.url)
        following.seqs(1)
    again = FakeService(status_of(1))
    again.streams = [[frame(event_of(2))]]
    with serving(again, port):
        try:
            assert following.seqs(2) == [1, 2]
        finally:
            code, complained = following.end()
    assert code == 130
    assert complained.count("asking on") <= 1


def test_follow_comes_again_where_there_is_no_room() -> None:
    """Too many readers (503), too many of one address (429): it is said once, and asked again when the service says."""
    service = FakeService(status_of(1))
    service.events = [event_of(1)]
    service.refusals = [(503, "1"), (429, "2"), (503, "soon")]
    service.streams = [[frame(event_of(2))]]
    begun = time.monotonic()
    with serving(service):
        following = Following(service.url)
        try:
            assert following.seqs(2) == [1, 2]
            assert time.monotonic() - begun >= 4.0, "asked before it was told to"
        finally:
            code, complained = following.end()
    assert code == 130
    assert complained.count("\n") == 1
    assert "are being served already (asking on)" in complained


@pytest.mark.parametrize(("told_s", "pause_s"), [(None, RETRY_S), (0.0, RETRY_S), (5.0, 5.0), (1e9, RETRY_S_MAX)])
def test_follow_waits_within_bounds(told_s: float | None, pause_s: float) -> None:
    """Nobody has it wait for days, or ask without a pause."""
    assert pause_of(Refused(503, "too_many_readers", "full", told_s)) == pause_s


def test_follow_of_what_is_refused_for_good_ends(capsys: pytest.CaptureFixture[str]) -> None:
    """An error that no waiting mends ends it with exit 3 and the reason."""
    service = FakeService(status_of(1))
    service.refusals = [(421, "1")]
    with serving(service):
        assert main(["events", "--follow", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "--allowed-host" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer",
    [
        lambda: web.json_response({"events": [{"seq": "x"}]}),
        lambda: web.json_response([]),
        lambda: web.Response(text="<html>"),
    ],
)
def test_something_else_that_answers(answer: Callable[[], web.Response], capsys: pytest.CaptureFixture[str]) -> None:
    """What is no list of events is exit 3, never a traceback."""
    service = FakeService(status_of(1))
    service.raw = lambda _: answer()
    with serving(service):
        assert main(["events", "--url", service.url]) == EXIT_CANNOT_ASK
    assert "is that looksalive?" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--after", "-1"], ["--last", "x"], ["--since", "tomorrow"], ["a b"]])
def test_bad_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What makes no sense is named, with what to write."""
    assert main(["events", *arguments]) == EXIT_USAGE
    assert "looksalive events: " in capsys.readouterr().err
