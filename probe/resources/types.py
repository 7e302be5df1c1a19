"""The table of all resource types there are (S13): ours, and those of whoever declares an entry point (S1, S14).

Rules:
1. A module is taken whole or not at all. One that cannot be imported, holds no table, or names a type that is there
   already disables itself and nobody else; why is in `failures`, for whoever logs it and for the error about a type
   that is missing because of it.
2. Ours come first and need no installed package, so that the sources run as they are; then the others by name.
3. Nothing is imported before the first look into the table: a command that needs no type pays nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import NamedTuple

from probe.resources.contract import ENTRY_POINTS, ResourceType
from probe.values import evidence_of

__all__ = ["OURS", "TYPES", "ModuleFailure", "ResourceType", "TypeTable"]

OURS = tuple(
    EntryPoint(name, f"probe.resources.{name}:TYPES", ENTRY_POINTS) for name in ("reference", "generic", "search")
)


class ModuleFailure(NamedTuple):
    """A module whose types are not there, and why."""

    name: str  # of its entry point
    value: str  # "my_package.types:TYPES"
    why: str

    def __str__(self) -> str:
        return f'the resource types of the module "{self.name}" ({self.value}) are not there: {self.why}'


class TypeTable(Mapping[str, ResourceType]):
    """All types by name, loaded at the first look."""

    def __init__(self, entries: Callable[[], Iterable[EntryPoint]]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> ResourceType:
        return self._loaded[0][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded[0])

    def __len__(self) -> int:
        return len(self._loaded[0])

    @property
    def failures(self) -> tuple[ModuleFailure, ...]:
        """The modules that did not load."""
        return self._loaded[1]

    @cached_property
    def _loaded(self) -> tuple[dict[str, ResourceType], tuple[ModuleFailure, ...]]:
        types: dict[str, ResourceType] = {}
        failures = []
        for entry in self._entries():
            try:
                types |= _table_of(entry, types)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - rule 1: whatever a foreign module does
                why = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
                failures.append(ModuleFailure(entry.name, entry.value, evidence_of(why)))
        return types, tuple(failures)


def _table_of(entry: EntryPoint, known: Mapping[str, ResourceType]) -> dict[str, ResourceType]:
    """Load a module's table. Raises whatever it raises, TypeError and ValueError for a table that is none."""
    table = entry.load()
    if not isinstance(table, Mapping):
        raise TypeError(f"it is no table of types but a {type(table).__name__}")
    for name, row in table.items():
        if not isinstance(row, ResourceType) or row.traits.type != name:
            raise TypeError(f"{name!r} is not the name of a ResourceType")
        if name in known:
            raise ValueError(f'the type "{name}" is there already')
    return dict(table)


def _installed() -> Iterator[EntryPoint]:
    """Name the modules: ours, then what the installed packages declare."""
    seen = {entry.value for entry in OURS}
    yield from OURS
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda entry: (entry.name, entry.value)):
        if entry.value not in seen:
            seen.add(entry.value)
            yield entry


TYPES = TypeTable(_installed)
