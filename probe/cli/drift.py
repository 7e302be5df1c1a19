"""`looksalive drift`: what another tool changed in the directory (S73): shown, pulled into the store, or undone."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK, EXIT_STORE
from probe.cli.output import complain, plural, print_json, safe
from probe.cli.settings import DIRECTORY_FLAGS, FLAGS, add_flags, default_state_dir, directory_of, told

if TYPE_CHECKING:
    from bindings.model import Store, StoreProblem
    from bindings.store import StoreFolder
    from probe.directory.contract import Directory
    from probe.directory.drift import Difference
    from probe.environment.files import RealFiles

POLICIES = ("report", "pull", "push")
VALUE_CHARS_MAX = 60  # of a value in the table; --json has all of it

_OWN = (*(flag for flag in FLAGS if flag.name in ("--store", "--state-dir")), *DIRECTORY_FLAGS)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the folders, the directory's flags and the policy."""
    add_flags(parser, _OWN)
    parser.add_argument(
        "--policy",
        choices=POLICIES,
        default="report",
        help="report: only show (default); pull: write the directory's values into cluster.json; "
        "push: make the directory equal to the store",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Look, do what the policy says, and show what still differs."""
    from bindings.errors import StoreError, WriteRefused
    from bindings.store import StoreFolder
    from probe.directory.contract import DirectoryError
    from probe.directory.opening import open_directory
    from probe.environment.files import RealFiles
    from probe.environment.streams import RealStreams

    values = told(arguments, os.environ, parser, _OWN)
    if values["store"] is None:
        parser.error("--store DIR is missing (or set LOOKSALIVE_STORE)")
    files, store_dir = RealFiles(), str(values["store"])
    state_dir = str(_state_dir(values, parser))
    try:
        directory = open_directory(directory_of(values), files, RealStreams(), store_dir, state_dir)
    except DirectoryError as error:
        parser.error(str(error))
    mending = _Mending(files, StoreFolder(files, store_dir, state_dir), directory, state_dir)
    try:
        found, left = mending.carry_out(arguments.policy)
    except StoreError as error:
        return _tell_problems(error.problems, as_json=arguments.json)
    except WriteRefused as error:
        complain("drift", f"nothing was pulled: {error}")
        return EXIT_FAILED
    except DirectoryError as error:
        complain("drift", str(error))
        return EXIT_CANNOT_ASK
    _tell(directory.place, arguments.policy, found, left, as_json=arguments.json)
    return EXIT_FAILED if left else EXIT_OK


class _Mending:
    """One run of the command."""

    def __init__(self, files: RealFiles, folder: StoreFolder, directory: Directory, state_dir: str) -> None:
        from probe.directory.mending import Looks
        from probe.directory.pending import Pending

        self._folder = folder
        self._directory = directory
        self._looks = Looks(files, state_dir)
        self._pending = Pending(files, state_dir)

    def carry_out(self, policy: str) -> tuple[Sequence[Difference], Sequence[Difference]]:
        """Return what differed, and what still does. Raises StoreError, WriteRefused, DirectoryError."""
        from probe.directory.mending import pull, push

        if policy != "report":  # our own unfinished steps first: what they leave behind is nobody's edit
            self._pending.settle(self._directory, self._load)
        store, found = self._look()
        if policy == "report" or not found:
            return found, found
        if policy == "push":
            push(self._directory, store, found)
        else:
            pull(self._folder, found, _check)
        return found, self._look()[1]

    def _look(self) -> tuple[Store, tuple[Difference, ...]]:
        from probe.environment.clock import LoopClock

        store = self._load()
        return store, self._looks.look(self._directory, store, LoopClock.wall())

    def _load(self) -> Store:
        return self._folder.load()


def _check(store: Store) -> list[StoreProblem]:
    from probe.controllers import CONTROLLER_KINDS
    from probe.resources import check_store

    return check_store(store, CONTROLLER_KINDS)


def _state_dir(values: dict[str, Any], parser: argparse.ArgumentParser) -> Path:
    try:
        return Path(values["state_dir"] or default_state_dir(values["store"], os.environ))
    except RuntimeError:
        parser.error("this user has no home folder for state; pass --state-dir DIR (or set LOOKSALIVE_STATE_DIR)")


def _tell_problems(problems: Sequence[StoreProblem], *, as_json: bool) -> int:
    if as_json:
        names = ("file", "pointer", "place", "message", "hint")
        print_json({"problems": [{name: getattr(problem, name) for name in names} for problem in problems]})
    for problem in () if as_json else problems:
        print(safe(problem), file=sys.stderr)
    return EXIT_STORE


def _tell(place: str, policy: str, found: Sequence[Difference], left: Sequence[Difference], *, as_json: bool) -> None:
    from probe.directory.drift import as_object

    if as_json:
        mended = len(found) - len(left)
        drift = [as_object(one) for one in left]
        print_json({"directory": place, "policy": policy, "mended": mended, "drift": drift})
        return
    if policy != "report" and found:
        print(f"{plural(len(found) - len(left), 'difference')} {policy}ed")
    if not left:
        print(f"no difference between the store and {safe(place)}")
        return
    for line in _table(left):
        print(line)
    if policy == "pull":
        print("what exists and of what type is decided in the store: --policy push makes the directory follow")


def _table(differences: Sequence[Difference]) -> Iterator[str]:
    rows = [("RESOURCE", "PROPERTY", "STORE", "DIRECTORY", "SINCE")]
    for one in differences:
        whole = not one.property
        values = (f"({one.kind})" if whole else safe(one.property), _shown(one.in_store), _shown(one.in_directory))
        rows.append((safe(one.id), *values, _time(one.since)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _shown(value: object) -> str:
    from probe.directory.drift import ABSENT

    if value is ABSENT:
        return "-"
    text = json.dumps(value, ensure_ascii=False)[: VALUE_CHARS_MAX + 1]
    return safe(text if len(text) <= VALUE_CHARS_MAX else text[: VALUE_CHARS_MAX - 3] + "...")


def _time(seconds: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
