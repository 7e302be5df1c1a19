"""probe/checks/lines.py: lines out of pieces, within a bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.checks.conversation import LINE_BYTES_MAX
from probe.checks.lines import LineReader, LineTooLong
from tests.checks.drive import held_bytes


def taken(reader: LineReader) -> list[bytes]:
    """Take every whole line there is."""
    lines = []
    while (line := reader.take()) is not None:
        lines.append(line)
    return lines


@given(st.lists(st.binary(max_size=30)))
def test_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    """Whatever the pieces, the lines are those of the bytes run together, each without its LF and one CR before it."""
    reader = LineReader()
    lines: list[bytes] = []
    for piece in pieces:
        reader.feed(piece)
        lines += taken(reader)
    *whole, left = b"".join(pieces).split(b"\n")
    assert lines == [line.removesuffix(b"\r") for line in whole]
    assert (reader.peek(), reader.pending) == (left[:256], len(left))


def test_longest_line() -> None:
    """A line of exactly the bound, its end included, is taken; one byte more is too long, as soon as it is known."""
    reader = LineReader()
    reader.feed(b"x" * (LINE_BYTES_MAX - 1) + b"\n")
    assert taken(reader) == [b"x" * (LINE_BYTES_MAX - 1)]
    reader.feed(b"y" * (LINE_BYTES_MAX - 1))
    assert taken(reader) == []
    reader.feed(b"y")
    with pytest.raises(LineTooLong) as caught:
        reader.take()
    assert caught.value.seen == b"y" * 256
    whole = LineReader()
    whole.feed(b"z" * LINE_BYTES_MAX + b"\n")
    with pytest.raises(LineTooLong):  # in one piece as well, although its end is there
        whole.take()


def test_raw_bytes_between_lines() -> None:
    """Counted bytes can be taken between lines, line ends among them."""
    reader = LineReader()
    reader.feed(b"3\r\na\nb\r\n0\r\n")
    assert [reader.take(), reader.take_raw(3), reader.take(), reader.take(), reader.take_raw(9)] == [
        b"3", b"a\nb", b"", b"0", b""
    ]  # fmt: skip


def test_what_was_taken_is_not_held() -> None:
    """Counted bytes that were taken are let go at once: whoever takes them keeps them."""
    reader = LineReader()
    reader.feed(b"x" * 60_000)
    assert len(reader.take_raw(60_000)) == 60_000
    assert held_bytes(reader) == 0
