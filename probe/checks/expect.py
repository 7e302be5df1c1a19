"""What an answer must look like, and words for what came instead. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from bindings.model import DEFAULT_EXPECT, VirtualServer
from probe.values import evidence_of

STATUS_SET_CHARS_MAX = 1024
EXPECTATIONS_MAX = 1024  # kept to be shared
EXPECTED_SHOWN_CHARS_MAX = 80  # of what was expected, so that what came still fits into the evidence


@dataclass(frozen=True, slots=True)
class Expectation:
    """One of several starts of a line (S31).

    `whole_words`: the start must not run on into a longer word: `220` is met by `220 ` and `220-`, not by `2200`.
    `any_case`: the prefixes are upper case, letters compare without case (IMAP's status words, RFC 3501 section 9).
    """

    prefixes: tuple[bytes, ...]
    whole_words: bool = False
    any_case: bool = False

    def meets(self, line: bytes) -> bool:
        """Say whether the line begins as expected."""
        if self.any_case:
            line = line.upper()
        if not line.startswith(self.prefixes):
            return False
        if not self.whole_words:
            return True
        return any(line.startswith(prefix) and not _runs_on(line, len(prefix)) for prefix in self.prefixes)

    def __str__(self) -> str:
        text = " or ".join(f'"{prefix.decode("utf-8", "replace")}"' for prefix in self.prefixes)
        return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= EXPECTED_SHOWN_CHARS_MAX else text[: EXPECTED_SHOWN_CHARS_MAX - 3] + "..."


def _runs_on(line: bytes, at: int) -> bool:
    following = line[at : at + 1]
    return following.isalnum() or following == b"_"


def begins_with_word(line: bytes, word: bytes) -> bool:
    """Say whether the line begins with the word, and the word ends there; ASCII case does not count."""
    return line[: len(word)].upper() == word and not _runs_on(line, len(word))


def expectation_of(server: VirtualServer) -> Expectation:
    """Take the user's plain prefixes, or the protocol's own, which must end at a word boundary."""
    return _expectation(server.protocol, server.expect)


@lru_cache(maxsize=EXPECTATIONS_MAX)
def _expectation(protocol: str, expect: tuple[str, ...] | None) -> Expectation:
    """Make an expectation once for all virtual servers that say the same: a large store has a few different ones."""
    if expect:
        return Expectation(tuple(text.encode("utf-8", "surrogateescape") for text in expect))
    defaults = tuple(text.encode("ascii") for text in DEFAULT_EXPECT[protocol])
    return Expectation(defaults, whole_words=True, any_case=protocol == "imap")


def expected_but_got(expected: object, got: bytes) -> str:
    """Word a mismatch as evidence: what should have come, then what came."""
    return evidence_of(f"expected {expected}, got ".encode("utf-8", "surrogateescape") + got)


class StatusSet:
    """The HTTP statuses that mean alive: `any`, or codes and ranges with commas (`200-399,401`).

    Raises ValueError for anything else.
    """

    __slots__ = ("_codes", "text")

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(self.text) > STATUS_SET_CHARS_MAX:
            raise ValueError(f"expect_status is longer than {STATUS_SET_CHARS_MAX} characters")
        self._codes = frozenset(range(100, 1000)) if self.text == "any" else _codes_of(self.text)

    def __contains__(self, status: int) -> bool:
        return status in self._codes

    def __str__(self) -> str:
        return _shortened(self.text)


def _codes_of(text: str) -> frozenset[int]:
    codes: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = first.strip(), last.strip() if dash else first.strip()
        if not all(len(code) == 3 and code.isascii() and code.isdigit() for code in (low, high)):
            raise ValueError(f"expect_status: {part.strip()[:80]!r} is no status code (100-999), range or `any`")
        if not 100 <= int(low) <= int(high):
            raise ValueError(f"expect_status: {part.strip()[:80]!r} is an empty range or below 100")
        codes.update(range(int(low), int(high) + 1))
    return frozenset(codes)
