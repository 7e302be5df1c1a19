"""Bytes as printable text and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.monitor.escapes import escape, unescape


@given(st.binary(max_size=500))
def test_what_is_escaped_is_printable_bounded_and_comes_back(data: bytes) -> None:
    """Hostile bytes become printable ASCII of at most four characters each, and the same bytes again."""
    text = escape(data)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 4 * len(data)
    assert unescape(text) == data


@given(st.text(max_size=100))
def test_whatever_is_read_is_what_would_be_written(text: str) -> None:
    """Any text is either the escaped form of some bytes, the only one, or refused with a ValueError."""
    try:
        data = unescape(text)
    except ValueError:
        return
    assert escape(data) == text


@pytest.mark.parametrize("text", ["\\", "\\x", "\\x4", "\\xZZ", "\\x0A", "\\x41", "a\nb", "\xff", "\\n"])
def test_what_escape_never_writes_is_refused(text: str) -> None:
    """A lone backslash, an escape in capitals, one of a printable byte, raw control characters: all refused."""
    with pytest.raises(ValueError, match=r"printable|backslash"):
        unescape(text)


def test_lines_and_backslashes_are_spelt_out() -> None:
    """A line's end and a backslash are seen as what they are."""
    assert escape(b'a "b" \\x\r\n\x1b[31m\xff') == 'a "b" \\x5cx\\x0d\\x0a\\x1b[31m\\xff'
