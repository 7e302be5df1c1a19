"""What a reader may see of the directory (S72, S73)."""

from __future__ import annotations

from dataclasses import dataclass

from probe.directory.drift import Difference

DIFFERENCES_SHOWN_MAX = 100


@dataclass(frozen=True, slots=True)
class DirectoryReport:
    """What the last look found. After a look that failed the differences are those of the last one that did not."""

    place: str
    pending: bool = False  # it has not been told everything yet (S72)
    differences: tuple[Difference, ...] = ()
    error: str = ""  # why the last look failed
