"""What can go wrong with a store, and whose fault it is.

Exception
|-- StoreError            the text is wrong: every mistake in it at once; the last good store stays in force
`-- WriteRefused          the text is right, the write is not; `code` is a stable word for other programs
    |-- RevisionConflict  revision_conflict: somebody wrote since; read again, then write
    |-- StoreReadOnly     store_read_only: the folder cannot be written (a ConfigMap); change it where it is made
    `-- StoreBusy         store_busy: another program holds the store's lock
"""

from __future__ import annotations

from collections.abc import Sequence

from bindings.model import StoreProblem


class StoreError(Exception):
    """The store's text is wrong; `problems` has every mistake, in the order of the files."""

    def __init__(self, problems: Sequence[StoreProblem]) -> None:
        super().__init__(tuple(problems))
        self.problems: tuple[StoreProblem, ...] = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class WriteRefused(Exception):
    """A write of a sound store that was not carried out."""

    code = "write_refused"


class RevisionConflict(WriteRefused):
    """The write was based on a revision that is not the present one."""

    code = "revision_conflict"

    def __init__(self, based_on: int, current: int) -> None:
        super().__init__(
            f"the change is based on revision {based_on}, the store is at revision {current}: somebody has changed it "
            "meanwhile; look at it, and try again"
        )
        self.based_on = based_on
        self.current = current


class StoreReadOnly(WriteRefused):
    """The store's folder cannot be written."""

    code = "store_read_only"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} cannot be written ({why}); change the store where it is made")


class StoreBusy(WriteRefused):
    """Another program holds the store's lock."""

    code = "store_busy"

    def __init__(self, path: str) -> None:
        super().__init__(f"another program is writing {path}; try again")


class StoreWriteFailed(WriteRefused):
    """The operating system failed the write; the store is as before, or as wanted but perhaps not yet durable."""

    code = "store_write_failed"

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"writing {path} failed: {why}")
