"""`python -m tests.truth`: ask every checker about every server and print the table; `--write` writes the page too."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.truth.ask import ask, standing
from tests.truth.ground import obstacle
from tests.truth.kit import Kit
from tests.truth.others.blackbox import Blackbox
from tests.truth.others.checker import Checker, Said, debian_version
from tests.truth.others.haproxy import HaProxy
from tests.truth.others.monit import Monit
from tests.truth.others.plugins import Plugins
from tests.truth.page import PAGE, page_of, said_cell, verdict_cell
from tests.truth.rows import Row
from tests.truth.sections import ROWS

CHECKERS: tuple[Checker, ...] = (Blackbox(), HaProxy(), Plugins(), Monit())


def main(words: Sequence[str] | None = None) -> int:
    """Exit 0 when every verdict of ours is right and all could be asked, 1 when not, 2 on usage."""
    parser = argparse.ArgumentParser(prog="python -m tests.truth", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}; needs all checkers and root")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose name holds TEXT")
    parser.add_argument("--words", action="store_true", help="print the others' own words as well")
    arguments = parser.parse_args(words)
    if arguments.write and arguments.only:
        parser.error("a page of some rows is no page")
    rows = [row for name, row in ROWS.items() if arguments.only in name]
    checkers = [checker for checker in CHECKERS if Path(checker.needs).exists()]
    missing = [checker.package for checker in CHECKERS if checker not in checkers]
    for package in missing:
        _complain(f"not installed, not asked: {package}")
    measured: dict[str, dict[str, Said | None]] = {}
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        kit = Kit(Path(folder))
        for row in rows:
            if reason := obstacle(row):
                _complain(f"{row.name}: cannot be asked here: {reason}")
                faults += 1
                continue
            right, measured[row.name] = _measure(row, kit, checkers)
            faults += not right
            _print(row, measured[row.name], right=right, words=arguments.words)
    if arguments.write:
        if faults or missing:
            _complain("the page is not written: the table is not whole")
            return 1
        versions = {checker.name: debian_version(checker.package) for checker in checkers}
        PAGE.write_text(page_of(measured, checkers, versions), encoding="utf-8")
        _say(f"{PAGE} written")
    return 1 if faults else 0


def _measure(row: Row, kit: Kit, checkers: Sequence[Checker]) -> tuple[bool, dict[str, Said | None]]:
    with standing(row, kit) as stood:
        ours = ask(stood)
        with ThreadPoolExecutor(len(checkers) or 1) as pool:
            said = list(pool.map(lambda checker: checker.ask(stood), checkers))
    right = (ours.reason, ours.stage) == (row.reason, row.stage)
    if not right:
        _complain(f"OURS IS WRONG: {row.name}: {ours}")
    return right, {checker.name: one for checker, one in zip(checkers, said, strict=True)}


def _print(row: Row, said: dict[str, Said | None], *, right: bool, words: bool) -> None:
    cells = [f"{name} {said_cell(row, one)}" for name, one in said.items()]
    _say(f"{row.name:40} {'' if right else 'WRONG '}{verdict_cell(row):50} {' | '.join(cells)}")
    if words:
        for name, one in said.items():
            if one is not None:
                _say(f"    {name}: {one.took_s:.2f} s {one.words!r}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
