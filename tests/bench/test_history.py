"""The benchmark of the journal: it measures what it says, in a world small enough for every run."""

from __future__ import annotations

from tests.bench.history import measure, table


def test_every_figure_is_measured() -> None:
    """Each figure is there and above zero, and the table has a line for each."""
    figures = measure(200, 50)
    assert all(each.value > 0 for each in figures)
    assert len(table(figures, 200).splitlines()) == 2 + len(figures)
