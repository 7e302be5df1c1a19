"""Every behaviour that is promised, by number, and the tests that name it: `python -m tests.specification [--write]`.

A test names a number (`S16`) in its docstring, its comments or its messages; a scenario anywhere in its text. Without
`--write` the page is compared with the committed one: exit 0 when it is current and every number has a test, 1 when
not, with what is wrong on stderr. The numbered list is `restated.py`.
"""

from __future__ import annotations

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.house import ROOT
from tests.restated import RESTATED, SECTIONS

PAGE = ROOT / "tests" / "SPECIFICATION.md"
TESTS = ROOT / "tests"
CASES = TESTS / "scenarios" / "cases"
OURSELVES = ("tests/specification.py", "tests/test_specification.py", "tests/restated.py")
NUMBER = re.compile(r"(?<![\w./-])S(\d{1,2})(?!\w)(?:\s?(?:[–-]|to)\s?S(\d{1,2})(?!\w))?")  # noqa: RUF001 # an en dash
LINTED = re.compile(r"#\s*noqa:[^#]*")  # the linter's rules are called S... too
HEAD = """# What is promised, and which tests hold us to it

Written by `python -m tests.specification --write`; a test fails when this page is not current or a number has no test.
The names are those of tests, of scenarios (`scenarios/cases`), or of a file whose helpers name the number.
"""

Citation = tuple[int, str, str]  # number, file from tests/, test (or "" for the file itself)


def numbers_in(text: str) -> set[int]:
    """Find the numbers that a text names; `S36–S38` names all three."""  # noqa: RUF002 # an en dash
    found: set[int] = set()
    for match in NUMBER.finditer(LINTED.sub("", text)):
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, max(first, last) + 1))
    return found


def citations_in(path: str, text: str) -> Iterator[Citation]:
    """Yield what one file names: a scenario's as the file's, a module's by the test function that it stands in."""
    if not path.endswith(".py"):
        for number in sorted(numbers_in(text)):
            yield number, path, ""
        return
    lines = text.splitlines()
    for name, first, last in _tests_of(ast.parse(text)):
        for number in sorted(numbers_in("\n".join(lines[first - 1 : last]))):
            yield number, path, name
        lines[first - 1 : last] = [""] * (last - first + 1)
    if Path(path).name.startswith("test_"):
        for number in sorted(numbers_in("\n".join(lines))):
            yield number, path, ""


def _tests_of(tree: ast.Module) -> Iterator[tuple[str, int, int]]:
    """Yield each test function with its first and last line, decorators included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            yield node.name, first, node.end_lineno or node.lineno


def citations() -> list[Citation]:
    """Read all tests and scenarios."""
    found: list[Citation] = []
    for path in sorted([*TESTS.rglob("*.py"), *CASES.glob("*.txt")]):
        name = path.relative_to(ROOT).as_posix()
        if name not in OURSELVES:
            found += citations_in(name.removeprefix("tests/"), path.read_text())
    return found


def unknown(found: list[Citation]) -> list[str]:
    """Say which tests name a number that is not promised."""
    return [
        f"{path} {test}: there is no S{number}".replace(" :", ":")
        for number, path, test in found
        if not is_promised(number)
    ]


def is_promised(number: int) -> bool:
    """Whether there is such a number."""
    return number in RESTATED


def untested(found: list[Citation]) -> list[int]:
    """List the numbers that no test names."""
    return sorted(set(RESTATED) - {number for number, _, _ in found})


def page(found: list[Citation]) -> str:
    """Write the page: a table a section, a row a number."""
    by_number: dict[int, dict[str, dict[str, None]]] = {}
    for number, path, test in found:
        by_number.setdefault(number, {}).setdefault(path, {})[test] = None
    text = [HEAD]
    for title, first, last in SECTIONS:
        text += [f"## {title}\n", "| | behaviour | tests |", "|---|---|---|"]
        text += [_row(number, by_number.get(number, {})) for number in range(first, last + 1)]
        text.append("")
    return "\n".join(text)


def _row(number: int, files: dict[str, dict[str, None]]) -> str:
    cells = []
    for path, tests in files.items():
        names = ", ".join(f"`{test.removeprefix('test_')}`" for test in tests if test)
        cells.append(f"[{path.removesuffix('.py')}]({path})" + (f": {names}" if names else ""))
    return f"| S{number} | {RESTATED[number].replace('|', chr(92) + '|')} | {'<br>'.join(cells) or '**none yet**'} |"


def main(arguments: list[str]) -> int:
    """Write or check the page. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.specification", description=__doc__)
    parser.add_argument("--write", action="store_true", help="write tests/SPECIFICATION.md anew")
    write = parser.parse_args(arguments).write
    found = citations()
    faults = unknown(found) + [f"S{number} has no test: {RESTATED[number]}" for number in untested(found)]
    text = page(found)
    if write:
        PAGE.write_text(text)
    elif not PAGE.exists() or PAGE.read_text() != text:
        faults.append("tests/SPECIFICATION.md is not current: run python -m tests.specification --write")
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
