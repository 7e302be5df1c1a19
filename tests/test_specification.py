"""The table of promises and tests: complete, current, and made of numbers that exist."""

from __future__ import annotations

from tests.restated import RESTATED, SECTIONS
from tests.specification import PAGE, citations, citations_in, numbers_in, page, unknown, untested


def test_every_promise_has_a_test() -> None:
    """Every number is named by at least one test or scenario."""
    assert not untested(citations()), "no test names " + ", ".join(f"S{number}" for number in untested(citations()))


def test_no_test_names_what_is_not_promised() -> None:
    """A number beyond the list is a slip of the pen."""
    assert not unknown(citations())


def test_page_is_current() -> None:
    """The committed page is what `python -m tests.specification --write` writes."""
    assert PAGE.read_text() == page(citations()), "run python -m tests.specification --write"


def test_list_is_whole() -> None:
    """The numbers are 1 to 74, and each is in one section."""
    assert sorted(RESTATED) == list(range(1, 75))
    assert [number for _, first, last in SECTIONS for number in range(first, last + 1)] == sorted(RESTATED)


def test_numbers_are_read() -> None:
    """Single numbers and ranges count; the linter's rules, paths and longer words do not."""
    assert numbers_in("S3, S16: both (S47)") == {3, 16, 47}
    assert numbers_in("S36–S38 and S50-S51") == {36, 37, 38, 50, 51}  # noqa: RUF001 # an en dash
    assert numbers_in("x = 1  # noqa: S1\nAWS3 S311 PS1 tmp/S5") == set()


def test_tests_are_told_apart() -> None:
    """A number counts for the function it stands in, else for the file; a helper's file counts for nothing."""
    text = (
        '"""S1"""\n\n# S2\n@mark("S3")\ndef test_x() -> None:\n    """S4"""\n\n\ndef other() -> None:\n    """S5"""\n'
    )
    found = set(citations_in("test_a.py", text))
    assert found == {(1, "test_a.py", ""), (2, "test_a.py", ""), (5, "test_a.py", "")} | {
        (number, "test_a.py", "test_x") for number in (3, 4)
    }
    assert list(citations_in("laws.py", '"""S1"""')) == []
    assert list(citations_in("case.txt", "# S7: so")) == [(7, "case.txt", "")]


def test_faults_are_told() -> None:
    """A number that does not exist is told with its place; one without a test is listed."""
    assert unknown([(75, "test_a.py", "test_x")]) == ["test_a.py test_x: there is no S75"]
    assert untested([(number, "test_a.py", "") for number in range(2, 75)]) == [1]
