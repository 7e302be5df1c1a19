"""A graph of what stands on what, drawn in layers: numbers in, coordinates out. Pure and deterministic.

The method is Sugiyama's: layers by the longest path from what stands on nothing; a line that passes a layer gets a bend
in it; the order within the layers is improved by sweeps that put each box at the mean place of its neighbours, and the
order with the fewest crossings is kept. Layers are columns: what stands on nothing is on the left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

BOXES_MAX = 80  # more are no picture any more
LINES_MAX = 300
BENDS_MAX = 200
SWEEPS = 8
KEPT_MAX = 128  # layouts

BOX_WIDTH, BOX_HEIGHT = 128, 42
ROW_GAP, COLUMN_GAP, BEND_HEIGHT, MARGIN = 12, 44, 10, 6

_Place = int | tuple[int, int, int]  # a box by its number, or the bend of a line (from, to) in a layer
_Order = list[list[_Place]]


@dataclass(frozen=True, slots=True)
class Box:
    """One node, by its name; x and y are of the upper left corner."""

    name: str
    layer: int
    x: int
    y: int


@dataclass(frozen=True, slots=True)
class Line:
    """One edge, from what is stood on to what stands on it; `path` as in SVG's attribute d."""

    provider: str
    dependent: str
    path: str


@dataclass(frozen=True, slots=True)
class Layout:
    """The picture: its size and what is in it, boxes in reading order (by layer, then from top to bottom)."""

    width: int
    height: int
    boxes: tuple[Box, ...]
    lines: tuple[Line, ...]


class TooLarge(ValueError):
    """There is more than a picture can show."""


@lru_cache(KEPT_MAX)
def arrange(names: tuple[str, ...], edges: tuple[tuple[str, str], ...]) -> Layout:
    """Lay out the graph of `names` with `edges` (provider, dependent) between them. Raises TooLarge.

    Edges to names that are not there and edges that close a circle are left out.
    """
    if len(names) > BOXES_MAX:
        raise TooLarge(f"{len(names)} resources; at most {BOXES_MAX} are drawn")
    number = {name: at for at, name in enumerate(names)}
    known = dict.fromkeys((number[a], number[b]) for a, b in edges if a in number and b in number and a != b)
    if len(known) > LINES_MAX:
        raise TooLarge(f"{len(known)} dependencies; at most {LINES_MAX} are drawn")
    layer_of, kept = _layers(len(names), list(known))
    order, links = _with_bends(layer_of, kept)
    order = _uncross(order, links)
    return _draw(names, layer_of, kept, order)


def describe(names: Sequence[str], edges: Sequence[tuple[str, str]]) -> str:
    """Say the picture in words: `store needs sa. smtp, pop3 and imap need store.`"""
    providers: dict[str, list[str]] = {name: [] for name in names}
    for provider, dependent in edges:
        if dependent in providers:
            providers[dependent].append(provider)
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, needed in providers.items():
        alike.setdefault(tuple(needed), []).append(name)
    sentences = (
        f"{_list(who)} {'needs' if len(who) == 1 else 'need'} {_list(needed) if needed else 'nothing'}."
        for needed, who in alike.items()
    )
    return " ".join(sentences)


def _list(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _layers(count: int, edges: list[tuple[int, int]]) -> tuple[list[int], list[tuple[int, int]]]:
    """Give each node the length of the longest path to it; what is only reached in a circle begins anew."""
    into = [0] * count
    for _, dependent in edges:
        into[dependent] += 1
    layer, done, seen = [0] * count, [False] * count, 0
    ready = [at for at in range(count) if not into[at]]
    kept: list[tuple[int, int]] = []
    after: dict[int, list[int]] = {}
    for provider, dependent in edges:
        after.setdefault(provider, []).append(dependent)
    while seen < count:
        if not ready:
            ready = [next(at for at in range(count) if not done[at])]  # a circle: it is cut before its first node
        at = ready.pop(0)
        if done[at]:
            continue
        done[at], seen = True, seen + 1
        for dependent in after.get(at, ()):
            if not done[dependent]:
                kept.append((at, dependent))
                layer[dependent] = max(layer[dependent], layer[at] + 1)
                into[dependent] -= 1
                if not into[dependent]:
                    ready.append(dependent)
    return layer, kept


def _with_bends(layer_of: list[int], edges: list[tuple[int, int]]) -> tuple[_Order, list[tuple[_Place, _Place]]]:
    """List each layer's places in the order given, and the links between neighbouring layers. Raises TooLarge."""
    order: _Order = [[] for _ in range(max(layer_of, default=-1) + 1)]
    for at, layer in enumerate(layer_of):
        order[layer].append(at)
    links: list[tuple[_Place, _Place]] = []
    bends = 0
    for provider, dependent in edges:
        way: list[_Place] = [provider]
        for layer in range(layer_of[provider] + 1, layer_of[dependent]):
            order[layer].append(bend := (provider, dependent, layer))
            way.append(bend)
        bends += len(way) - 1
        if bends > BENDS_MAX:
            raise TooLarge(f"the lines have more than {BENDS_MAX} bends")
        links.extend(pairwise([*way, dependent]))
    return order, links


def _uncross(order: _Order, links: list[tuple[_Place, _Place]]) -> _Order:
    left: dict[_Place, list[_Place]] = {}
    right: dict[_Place, list[_Place]] = {}
    for one, other in links:
        right.setdefault(one, []).append(other)
        left.setdefault(other, []).append(one)
    best, fewest = order, _crossings(order, right)
    current = order
    for sweep in range(SWEEPS):
        if not fewest:
            break
        current = _swept(current, left if sweep % 2 == 0 else right, backwards=sweep % 2 == 1)
        crossings = _crossings(current, right)
        if crossings < fewest:
            best, fewest = current, crossings
    return best


def _swept(order: _Order, towards: Mapping[_Place, list[_Place]], *, backwards: bool) -> _Order:
    """Sort each layer by the mean place of each one's neighbours in the layer swept before; ties stay as they are."""
    swept = [list(layer) for layer in order]
    layers = list(reversed(swept)) if backwards else swept
    for before, layer in pairwise(layers):
        place = {each: at for at, each in enumerate(before)}

        def mean(each: _Place, own: int, place: dict[_Place, int] = place) -> float:
            found = [place[neighbour] for neighbour in towards.get(each, ())]
            return sum(found) / len(found) if found else float(own)

        wanted = {each: mean(each, at) for at, each in enumerate(layer)}
        layer.sort(key=wanted.__getitem__)
    return swept


def _crossings(order: _Order, right: Mapping[_Place, list[_Place]]) -> int:
    crossings = 0
    for layer, following in pairwise(order):
        place = {each: at for at, each in enumerate(following)}
        ends = [end for each in layer for end in sorted(place[other] for other in right.get(each, ()))]
        crossings += sum(earlier > later for at, later in enumerate(ends) for earlier in ends[:at])
    return crossings


def _draw(names: Sequence[str], layer_of: list[int], edges: list[tuple[int, int]], order: _Order) -> Layout:
    heights = [sum(map(_height, layer)) + ROW_GAP * (len(layer) - 1) for layer in order]
    tallest = max(heights, default=0)
    at: dict[_Place, tuple[int, int]] = {}  # left end and middle
    for column, layer in enumerate(order):
        y = MARGIN + (tallest - heights[column]) // 2
        for each in layer:
            at[each] = (MARGIN + column * (BOX_WIDTH + COLUMN_GAP), y + _height(each) // 2)
            y += _height(each) + ROW_GAP
    boxes = tuple(
        Box(names[each], layer_of[each], at[each][0], at[each][1] - BOX_HEIGHT // 2)
        for layer in order
        for each in layer
        if isinstance(each, int)
    )
    lines = tuple(
        Line(names[provider], names[dependent], _path(provider, dependent, layer_of, at))
        for provider, dependent in edges
    )
    width = 2 * MARGIN + len(order) * BOX_WIDTH + max(0, len(order) - 1) * COLUMN_GAP
    return Layout(width, tallest + 2 * MARGIN, boxes, lines)


def _height(place: _Place) -> int:
    return BOX_HEIGHT if isinstance(place, int) else BEND_HEIGHT


def _path(provider: int, dependent: int, layer_of: list[int], at: Mapping[_Place, tuple[int, int]]) -> str:
    """Draw a line as curves between the columns and straight through each column that it passes."""
    x, y = at[provider]
    x += BOX_WIDTH
    path = f"M{x} {y}"
    for layer in range(layer_of[provider] + 1, layer_of[dependent] + 1):
        there: _Place = dependent if layer == layer_of[dependent] else (provider, dependent, layer)
        to_x, to_y = at[there]
        middle = (x + to_x) // 2
        path += f"C{middle} {y} {middle} {to_y} {to_x} {to_y}"
        x, y = to_x, to_y
        if not isinstance(there, int):
            x += BOX_WIDTH
            path += f"H{x}"
    return path
