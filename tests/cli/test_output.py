"""What reaches the terminal."""

from __future__ import annotations

import io
import json

import pytest

from probe.cli.output import TEXT_CHARS_MAX, Style, duration_text, plural, print_json, safe


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def terminal(encoding: str = "utf-8") -> Terminal:
    """A terminal with that encoding."""
    return Terminal(io.BytesIO(), encoding=encoding, newline="")


def test_safe_escapes_what_moves_a_cursor() -> None:
    """Escapes, line ends and reordering marks become text; letters of any language stay."""
    assert safe("a\x1b[2Jb\nc\u202ed\x9b é 邮") == "a\\x1b[2Jb\\nc\\u202ed\\x9b é 邮"


def test_safe_is_bounded() -> None:
    """A long text is cut, with dots."""
    assert len(safe("x" * 10_000)) == TEXT_CHARS_MAX
    assert safe("x" * 10_000).endswith("...")
    assert safe("x" * TEXT_CHARS_MAX) == "x" * TEXT_CHARS_MAX


def test_json_is_one_printable_line(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON is one ASCII line and reads back as what it was."""
    value = {"a": "\x1b\x7f\u2028é\n"}
    print_json(value)
    text = capsys.readouterr().out
    assert text[:-1].isprintable()
    assert text.isascii()
    assert json.loads(text) == value


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colour_on_a_terminal_only_where_wanted(variables: dict[str, str], colour: bool) -> None:
    """A terminal gets colour unless NO_COLOR is set and not empty, or it is dumb."""
    assert Style(terminal(), variables).colour is colour


def test_no_colour_into_a_pipe() -> None:
    """What is no terminal gets no escapes."""
    assert Style(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), {}).paint("red", "x") == "x"


def test_shapes_the_terminal_can_encode() -> None:
    """A terminal without UTF-8 gets ASCII shapes."""
    assert Style(terminal("latin-1"), {}).unicode is False
    assert Style(terminal("UTF-8"), {}).unicode is True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.00021, "0.21 ms"),
        (0.0011, "1.1 ms"),
        (0.034, "34 ms"),
        (4.12, "4.1 s"),
        (42.4, "42 s"),
        (720.0, "12 min"),
        (3 * 3600.0, "3 h"),
        (2 * 86400.0, "2 d"),
    ],
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    """Two digits and the fitting unit."""
    assert duration_text(seconds) == text


def test_plural() -> None:
    """One is singular, none is not."""
    assert (plural(1, "group"), plural(0, "group")) == ("1 group", "0 groups")
