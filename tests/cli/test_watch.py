"""`looksalive watch` on a real terminal, and where there is none."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
from pathlib import Path

import pytest

from probe.cli import main
from probe.cli.arguments import EXIT_CANNOT_ASK
from probe.cli.causes import cause_sentences
from probe.cli.output import Style, clip
from tests.cli.service import FakeService, event_of, resource, serving, status_of
from tests.cli.tmux import terminal
from tests.e2e.command import COMMAND, PROJECT, surroundings

STORE = resource("evs1/store", evidence="* OK")
SMTP = resource("evs1/smtp", depends_on=["evs1/store"])
DOWN = resource(
    "evs1/store", state="failed", alive=False, verdict="failed", reason="process_gone", evidence="", age_s=0.1
)
BELOW = resource(
    "evs1/smtp",
    state="failed",
    alive=False,
    reason="dependency_down",
    root_cause="evs1/store",
    depends_on=["evs1/store"],
)


def program(url: str, *arguments: str) -> list[str]:
    """Run watch in a shell that stays, and says how it ended."""
    line = shlex.join([*COMMAND, "watch", "--url", url, *arguments])
    return ["sh", "-c", f"trap : INT; {line}; echo ended with $?; stty -a; exec sh"]


def variables() -> dict[str, str]:
    """What the program in the window needs to know."""
    return {"PYTHONPATH": str(PROJECT), "LANG": "C.UTF-8", "NO_COLOR": "1"}


def test_live_until_q(tmp_path: Path) -> None:
    """An edge is on the screen without a key; an outage is said over the old picture; q ends as it began."""
    service = FakeService(status_of(1, STORE, SMTP), status_of(2, DOWN, BELOW))
    service.events = [event_of(1, "evs1/store", reason="process_gone")]
    with serving(service):
        window = terminal(tmp_path, program(service.url), variables())
        screen = window.__enter__()
        try:
            screen.wait(
                "evs1  on node-1",
                "✖ evs1/store",
                "smtp is down because of store, which is failed: process_gone",
                "evs1/store  online → failed  process_gone",
                "0 of 2 resources alive",
            )
            assert screen.asked("#{alternate_on} #{cursor_flag}") == "1 0"
        except BaseException:
            window.__exit__(None, None, None)
            raise
    try:
        screen.wait("old: cannot reach", "✖ evs1/store")
        screen.type("q")
        ended = screen.wait("ended with 0", " icanon")
        assert " echo " in ended
        assert "evs1" not in ended, "what was on the screen before is there again"
        assert screen.asked("#{alternate_on} #{cursor_flag}") == "0 1"
    finally:
        window.__exit__(None, None, None)


@pytest.mark.parametrize(("key", "code"), [("C-c", 130), ("C-d", 0)])
def test_other_ways_to_end(tmp_path: Path, key: str, code: int) -> None:
    """Ctrl-C and Ctrl-D leave the terminal as it was, too."""
    with (
        serving(FakeService(status_of(1, STORE))) as service,
        terminal(tmp_path, program(service.url), variables()) as screen,
    ):
        screen.wait("1 of 1 resource alive")
        screen.press(key)
        screen.wait(f"ended with {code}", " icanon", " echo ")
        assert screen.asked("#{alternate_on} #{cursor_flag}") == "0 1"


def test_more_than_fits_is_scrolled(tmp_path: Path) -> None:
    """A small window shows a part, says which, and goes down and up by keys; another size is drawn anew."""
    many = [resource(f"evs1/r{at:03}") for at in range(100)]
    with (
        serving(FakeService(status_of(1, *many))) as service,
        terminal(tmp_path, program(service.url), variables(), (60, 12)) as screen,
    ):
        screen.wait("lines 1 to 10 of 102", "evs1/r008")
        screen.type("j")
        screen.wait("lines 2 to 11 of 102", "evs1/r009")
        screen.press("Down")
        screen.wait("lines 3 to 12 of 102")
        screen.press("Up")
        screen.type("k")
        screen.wait("lines 1 to 10 of 102")
        screen.press(*["NPage"] * 9)
        screen.wait("lines 93 to 102 of 102", "100 of 100 resources alive")
        screen.tmux("resize-window", "-x", "70", "-y", "20")
        screen.wait("to 102 of 102", "evs1/r084")


def test_elsewhere_it_is_lines() -> None:
    """Without a terminal: the tree once, then a line an event; no escape, no key is waited for."""
    service = FakeService(status_of(1, STORE))
    service.events = [event_of(1)]
    service.streams = [[b"data: " + json.dumps(event_of(2, "evs1/store")).encode() + b"\n\n"]]
    with serving(service):
        process = subprocess.Popen(
            [*COMMAND, "watch", "--url", service.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=surroundings(LANG="C.UTF-8", PYTHONUTF8="1"),
        )
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        process.send_signal(2)
        process.stdout.close()
        assert process.wait(30) == 130
    assert lines[0] == "evs1  on node-1\n"
    assert lines[2] == "1 of 1 resource alive\n"
    assert "evs1/store  online → failed" in lines[3]
    assert "\x1b" not in "".join(lines)


def test_a_service_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody to ask is exit 3 at once, not an empty screen."""
    with serving(FakeService(status_of(1))) as service:
        url = service.url
    assert main(["watch", "--url", url]) == EXIT_CANNOT_ASK
    assert "is looksalive running there?" in capsys.readouterr().err


def test_sentences_of_causes() -> None:
    """One for each cause; many names are counted, other groups named in full; who is alive is not told of."""
    below = [resource(f"evs1/r{at}", alive=False, root_cause="evs1/store") for at in range(7)]
    other = resource("evs2/smtp", alive=False, root_cause="evs1/store")
    well = resource("evs3/a", root_cause="evs3/b")
    assert cause_sentences([DOWN, *below, well]) == [
        "r0, r1, r2, r3, r4 and 2 more are down because of store, which is failed: process_gone"
    ]
    assert cause_sentences([other]) == ["evs2/smtp is down because of evs1/store"]
    assert cause_sentences([STORE, SMTP]) == []


@pytest.mark.parametrize(
    ("line", "columns", "clipped"),
    [
        ("abcdef", 4, "abcd"),
        ("abc", 3, "abc"),
        ("\x1b[31mabcdef\x1b[0m", 4, "\x1b[31mabcd\x1b[0m"),
        ("\x1b[31mabc\x1b[0m", 3, "\x1b[31mabc\x1b[0m"),
        ("日本語", 5, "日本"),
        ("e\u0301e\u0301x", 2, "e\u0301e\u0301"),
    ],
)
def test_lines_are_cut_by_columns(line: str, columns: int, clipped: str) -> None:
    """Escapes take no column, wide characters two, combining ones none; colour ends with the line."""
    assert clip(line, columns) == clipped


@pytest.mark.parametrize(
    ("said", "variable", "painted"),
    [("auto", {}, False), ("always", {}, True), ("always", {"NO_COLOR": "1"}, True), ("never", {}, False)],
)
def test_colour_is_the_flag_s(said: str, variable: dict[str, str], painted: bool) -> None:
    """--color goes before NO_COLOR; by itself there is none where there is no terminal."""
    style = Style(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), variable, colour=said)
    assert ("\x1b" in style.paint("red", "x")) is painted
