"""Random objects and directories for the property tests, and a directory that fails where it is told to."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from probe.directory.contract import DirectoryError, DirectoryObject
from probe.values import ResourceId

NAMES = st.sampled_from(["a", "b", "B", "c.d", "e-f", "G_1"])
WORDS = st.text(alphabet=st.characters(codec="utf-8"), max_size=6)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, width=32), WORDS)
JSON = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=6,
)
PROPERTIES = st.dictionaries(st.one_of(st.sampled_from(["address", "name", "Name"]), WORDS.filter(bool)), JSON)


def objects(
    ids: st.SearchStrategy[ResourceId] = st.builds(ResourceId, NAMES, NAMES),  # noqa: B008 - a strategy is a value
) -> st.SearchStrategy[DirectoryObject]:
    """Make objects with any properties that JSON can say."""
    return st.builds(DirectoryObject, ids, st.sampled_from(["smtp", "tcp", "exec"]), PROPERTIES)


class Shelf:
    """`Directory` in memory; `before` is called with each change and may raise."""

    def __init__(self, *kept: DirectoryObject, before: Callable[[ResourceId], None] = lambda _: None) -> None:
        self.kept = {one.id: one for one in kept}
        self.before = before

    @property
    def place(self) -> str:
        """Where it is."""
        return "a shelf"

    def get(self, id: ResourceId) -> DirectoryObject | None:
        """Return an object."""
        return self.kept.get(id)

    def put(self, object: DirectoryObject) -> None:
        """Keep an object."""
        self.before(object.id)
        self.kept[object.id] = object

    def remove(self, id: ResourceId) -> None:
        """Drop an object."""
        self.before(id)
        self.kept.pop(id, None)

    def objects(self) -> tuple[DirectoryObject, ...]:
        """Return all."""
        return tuple(sorted(self.kept.values(), key=lambda one: one.id))


class FailingAt:
    """Fails the change of this number, counted from 1."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, id: ResourceId) -> None:
        """Count, and fail at the number."""
        self._left -= 1
        if not self._left:
            raise DirectoryError(f"no room for {id}")
