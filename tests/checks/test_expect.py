"""probe/checks/expect.py: prefixes, whole words, statuses."""

from __future__ import annotations

import pytest

from probe.checks.expect import Expectation, StatusSet, begins_with_word, expectation_of, expected_but_got
from probe.values import EVIDENCE_CHARS_MAX
from tests.checks.drive import server_of


@pytest.mark.parametrize(
    ("expectation", "line", "met"),
    [
        (Expectation((b"220",)), b"2200", True),
        (Expectation((b"220",), whole_words=True), b"2200", False),
        (Expectation((b"220",), whole_words=True), b"220-x", True),
        (Expectation((b"220",), whole_words=True), b"220", True),
        (Expectation((b"220",), whole_words=True), b"220_", False),
        (Expectation((b"+O", b"+OK"), whole_words=True), b"+OK", True),
        (Expectation((b"* OK",), any_case=True), b"* ok", True),
        (Expectation((b"* OK",)), b"* ok", False),
        (Expectation((b"220",)), b"", False),
        (Expectation(()), b"220", False),
    ],
)
def test_expectation(expectation: Expectation, line: bytes, met: bool) -> None:
    """S31: one of the prefixes; the default ones end at a word boundary."""
    assert expectation.meets(line) is met


def test_defaults_are_whole_words_and_the_users_are_not() -> None:
    """The store's default prefixes end at a word boundary, a user's own is plain."""
    assert expectation_of(server_of("smtp")) == Expectation((b"220",), whole_words=True)
    assert expectation_of(server_of("smtp", expect=("22",))) == Expectation((b"22",))


@pytest.mark.parametrize(("line", "begins"), [(b"-ERR", True), (b"-err x", True), (b"-ERRx", False), (b"-ER", False)])
def test_begins_with_word(line: bytes, begins: bool) -> None:
    """A status word counts when it is whole, in any case."""
    assert begins_with_word(line, b"-ERR") is begins


def test_statuses_beyond_counting() -> None:
    """A list of statuses has a bound, and what is shown of it too."""
    with pytest.raises(ValueError, match="longer"):
        StatusSet(",".join(["200"] * 1000))
    many = StatusSet(",".join(str(code) for code in range(200, 299)))
    evidence = expected_but_got(many, b"HTTP/1.1 500 Internal Server Error")
    assert evidence.endswith("got HTTP/1.1 500 Internal Server Error")
    assert len(evidence) < EVIDENCE_CHARS_MAX
