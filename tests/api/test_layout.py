"""The graph's layout: layers, crossings, bounds, and that the same graph is always the same picture."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.api.page.layout import (
    BOX_HEIGHT,
    BOX_WIDTH,
    BOXES_MAX,
    LINES_MAX,
    MARGIN,
    Box,
    Layout,
    TooLarge,
    arrange,
    describe,
)

REFERENCE = ("sa", "store", "smtp", "pop3", "imap", "http")
STANDS = (("sa", "store"), *(("store", name) for name in REFERENCE[2:]))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Draw an acyclic graph: everyone stands on some of those before it."""
    names = tuple(f"r{number}" for number in range(draw(st.integers(0, 12))))
    pairs = list(combinations(names, 2))
    return names, tuple(draw(st.lists(st.sampled_from(pairs), unique=True, max_size=25))) if pairs else ()


def _ends(path: str) -> tuple[int, int, int, int]:
    x, y, *_, to_x, to_y = map(int, re.findall(r"-?\d+", path))
    return x, y, to_x, to_y


def _overlap(one: Box, other: Box) -> bool:
    return abs(one.x - other.x) < BOX_WIDTH and abs(one.y - other.y) < BOX_HEIGHT


def _check(layout: Layout, names: tuple[str, ...]) -> None:
    boxes = {box.name: box for box in layout.boxes}
    assert set(boxes) == set(names)
    for one, other in combinations(layout.boxes, 2):
        assert not _overlap(one, other), (one, other)
    for box in layout.boxes:
        assert MARGIN <= box.x <= layout.width - MARGIN - BOX_WIDTH
        assert MARGIN <= box.y <= layout.height - MARGIN - BOX_HEIGHT
    for line in layout.lines:
        provider, dependent = boxes[line.provider], boxes[line.dependent]
        assert provider.layer < dependent.layer
        middle = BOX_HEIGHT // 2
        begin = (provider.x + BOX_WIDTH, provider.y + middle)
        assert _ends(line.path) == (*begin, dependent.x, dependent.y + middle)


@given(graphs())
def test_every_line_leads_to_the_right_and_nothing_overlaps(
    graph: tuple[tuple[str, ...], tuple[tuple[str, str], ...]],
) -> None:
    """Every box is there once and inside, every line goes from a provider's right to a dependent's left, further on."""
    names, edges = graph
    layout = arrange(names, edges)
    _check(layout, names)
    assert {(line.provider, line.dependent) for line in layout.lines} == set(edges)
    arrange.cache_clear()
    assert arrange(names, edges) == layout


def test_the_reference_group_has_three_layers() -> None:
    """S15: sa, then store, then the protocols, in the order of the store."""
    layout = arrange(REFERENCE, STANDS)
    assert [(box.name, box.layer) for box in layout.boxes] == [
        ("sa", 0),
        ("store", 1),
        ("smtp", 2),
        ("pop3", 2),
        ("imap", 2),
        ("http", 2),
    ]


def test_a_layer_is_the_longest_way() -> None:
    """Who needs both a provider and the provider's provider stands behind both; its long line bends around."""
    layout = arrange(("a", "b", "c"), (("a", "b"), ("b", "c"), ("a", "c")))
    assert [box.layer for box in layout.boxes] == [0, 1, 2]
    bent = next(line.path for line in layout.lines if (line.provider, line.dependent) == ("a", "c"))
    assert bent.count("C") == 2


def test_crossings_are_taken_out() -> None:
    """Two providers with crossed dependents are drawn without a crossing."""
    layout = arrange(("a", "b", "x", "y"), (("a", "y"), ("b", "x")))
    at = {box.name: box.y for box in layout.boxes}
    assert (at["a"] < at["b"]) == (at["y"] < at["x"])


def test_a_circle_is_cut() -> None:
    """A store never has one, and still it would be a picture, not an endless loop."""
    names = ("a", "b", "c")
    layout = arrange(names, (("a", "b"), ("b", "c"), ("c", "a"), ("a", "a"), ("a", "elsewhere")))
    _check(layout, names)
    assert len(layout.lines) == 2


def test_too_much_is_refused() -> None:
    """More boxes or lines than a picture can show are refused, with how many there are."""
    names = tuple(map(str, range(BOXES_MAX + 1)))
    with pytest.raises(TooLarge, match=f"{BOXES_MAX + 1} resources"):
        arrange(names, ())
    lines = tuple(combinations(names[:BOXES_MAX], 2))[: LINES_MAX + 1]
    with pytest.raises(TooLarge, match="dependencies"):
        arrange(names[:BOXES_MAX], lines)
    chain = names[:60]
    with pytest.raises(TooLarge, match="bends"):
        arrange(chain, (*pairwise(chain), *((chain[0], each) for each in chain[10:30])))


def test_the_picture_in_words() -> None:
    """Whoever cannot see the picture is told it, those alike together."""
    assert describe(REFERENCE, STANDS) == ("sa needs nothing. store needs sa. smtp, pop3, imap and http need store.")
