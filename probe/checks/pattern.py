"""A user's pattern on a linear-time engine (RE2): no pattern and no text can make a search blow up. Pure."""

from __future__ import annotations

import re2

PATTERN_CHARS_MAX = 1024
PATTERN_MEMORY_BYTES_MAX = 4 * 1024 * 1024

# What asks about the text behind a match. Found as plain substrings, so that a literal `\\$` is taken for one too:
# that costs an early verdict, never a wrong one.
_LOOKS_AHEAD = ("$", "\\b", "\\B", "\\z")


class Pattern:
    """A compiled RE2 pattern over bytes, which are read as UTF-8.

    `settles_early`: a match in the beginning of a text is a match in the whole, whatever follows.
    Raises ValueError with RE2's own words for a pattern that it does not accept.
    """

    __slots__ = ("_regex", "settles_early")

    def __init__(self, text: str) -> None:
        if len(text) > PATTERN_CHARS_MAX:
            raise ValueError(f"the pattern is longer than {PATTERN_CHARS_MAX} characters")
        options = re2.Options()
        options.log_errors = False
        options.never_capture = True
        options.max_mem = PATTERN_MEMORY_BYTES_MAX
        try:
            self._regex = re2.compile(text, options)
        except re2.error as error:
            reason = error.args[0] if error.args else error
            words = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
            raise ValueError(f"{text!r} is no RE2 pattern: {words}") from error
        self.settles_early = not any(mark in text for mark in _LOOKS_AHEAD)

    def found_in(self, text: bytes | bytearray) -> bool:
        """Say whether the pattern matches anywhere in the text."""
        return self._regex.search(text) is not None
