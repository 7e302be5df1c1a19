"""Collecting mistakes: where one is, what it is called, and which known name was probably meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection
from functools import lru_cache

from bindings.model import StoreProblem

PROBLEMS_MAX = 10_000  # more than anybody reads; the rest are counted
SHOWN_CHARS_MAX = 60
PLAIN_CHARS_MAX = 200  # longer than the longest id that is right
POINTER_CHARS_MAX = 1000
HINTS_MAX = 500  # finding the nearest name is slow, and a file that needs it this often needs something else
CANDIDATES_MAX = 2_000

Step = str | int
Steps = tuple[Step, ...]


def shown(value: str | float) -> str:
    """Write an untrusted text or number as bounded printable ASCII, the way JSON would."""
    text = json.dumps(value[:SHOWN_CHARS_MAX] if isinstance(value, str) else value, ensure_ascii=True)
    return text if len(text) <= SHOWN_CHARS_MAX else text[: SHOWN_CHARS_MAX - 3] + "..."


def kind_of(value: object) -> str:
    """Say what a decoded JSON value is, in a person's words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {shown(value)}"
    if isinstance(value, int | float):
        return f"the number {shown(value)}"
    return "a list" if isinstance(value, list) else "an object"


def plain(text: str) -> str:
    """Keep a name that is plain to read, quote and escape any other."""
    return text if text.isascii() and text.isprintable() and len(text) <= PLAIN_CHARS_MAX else shown(text)


def pointer_of(steps: Steps) -> str:
    """Write steps into a document as a JSON pointer (RFC 6901); what cannot be printed is escaped as JSON does."""
    pointer = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)
    if not (pointer.isascii() and pointer.isprintable()):
        pointer = json.dumps(pointer)[1:-1]
    return pointer if len(pointer) <= POINTER_CHARS_MAX else pointer[: POINTER_CHARS_MAX - 3] + "..."


@lru_cache(maxsize=1024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name[:SHOWN_CHARS_MAX], known, n=1, cutoff=0.6)
    return f'did you mean "{found[0]}"?' if found else ""


class Mistakes:
    """The mistakes of one file. `enter` says which part is being read; `steps` go on from there."""

    def __init__(self, file: str) -> None:
        self.problems: list[StoreProblem] = []
        self.count = 0
        self._file = file
        self._inside: Steps = ()
        self._place = ""
        self._hints = 0

    def enter(self, inside: Steps, place: str) -> None:
        """Read from here on the part at `inside`, which a person calls `place`."""
        self._inside = inside
        self._place = place

    def add(self, message: str, *steps: Step, hint: str = "") -> None:
        """Note a mistake at `steps` within the part entered."""
        self._note(message, steps, self._place_of(steps), hint)

    def add_syntax(self, message: str, line: int, column: int) -> None:
        """Note a place where the text is no JSON; there is no pointer into what cannot be read."""
        self._keep(StoreProblem(self._file, "", f"line {line} column {column}", message))

    def add_unknown(self, what: str, name: str, known: Collection[str], *steps: Step, hint: str = "") -> None:
        """Note a name that is not known at `steps`; the nearest known one is the hint."""
        hint = self.nearest(name, known) or hint
        self._note(f"unknown {what} {shown(name)}", (*steps, name), self._place_of(steps), hint)

    def nearest(self, name: str, known: Collection[str]) -> str:
        """Ask `did you mean "x"?` of the known name most like this one; empty when none is near."""
        self._hints += 1
        if self._hints > HINTS_MAX or len(known) > CANDIDATES_MAX:
            return ""
        return _nearest(name, tuple(known))

    def summary(self) -> list[StoreProblem]:
        """Return the mistakes kept, and one more that counts the others."""
        left = self.count - len(self.problems)
        if not left:
            return self.problems
        return [*self.problems, StoreProblem(self._file, "", "", f"and {left} more mistakes")]

    def _place_of(self, steps: Steps) -> str:
        inner = ""
        for step in steps:
            if isinstance(step, int):
                inner += f"[{step}]"
            else:
                inner += f".{plain(step)}" if inner else plain(step)
        return f"{plain(self._place)}: {inner}" if self._place and inner else plain(self._place) or inner

    def _note(self, message: str, steps: Steps, place: str, hint: str) -> None:
        pointer = pointer_of((*self._inside, *steps))
        self._keep(StoreProblem(self._file, pointer, place, message, hint))

    def _keep(self, problem: StoreProblem) -> None:
        self.count += 1
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(problem)
