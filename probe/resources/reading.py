"""Reading parameters, a type's or a controller's: one table of them each, every mistake named with its mend.

Who takes parameters lists them as a tuple of `Parameter`; the reader takes its known keys from it and the page in
`deploy/` its rows, so that neither can say what the other does not.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

COMMAND_WORDS_MAX = 1024


class Problem(NamedTuple):
    """A mistake in a set of parameters: the key, what is wrong, what would mend it."""

    key: str
    message: str
    hint: str = ""
    inside: tuple[str | int, ...] = ()  # the way on from the key's value to what is wrong in it


class ParametersError(ValueError):
    """Parameters that cannot be used; `problems` holds all of them."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(f"{problem.key}: {problem.message}" for problem in problems))
        self.problems = problems


class Parameter(NamedTuple):
    """One parameter: a row of the documentation, and a question of whoever asks for it (S10)."""

    name: str
    value: str  # what it must be: `argv`, `seconds` ...
    about: str
    default: str = ""  # as JSON; empty: none
    required: bool = False


@dataclass(slots=True)
class Reading:
    """The parameters being read and what was found wrong so far."""

    parameters: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, key: str, message: str, hint: str = "", inside: tuple[str | int, ...] = ()) -> None:
        """Note a mistake; `inside` leads on from the key's value to it."""
        self.problems.append(Problem(key, message, hint, inside))

    def unknown_keys(self, known: Iterable[str]) -> None:
        """Note each key that is not known, with the nearest that is."""
        names = list(known)
        for key in self.parameters:
            if key not in names:
                self.wrong(key, f'unknown key "{key}"', did_you_mean(key, names))

    def finish(self) -> None:
        """Raise ParametersError with all mistakes, if there is one."""
        if self.problems:
            raise ParametersError(tuple(self.problems))

    def argv(self, key: str, example: str) -> tuple[str, ...]:
        """Read a list of words that is a program and its arguments; `()` when it is missing or wrong."""
        value = self.parameters.get(key)
        hint = f"write it as {example}"
        if value is None:
            self.wrong(key, "is missing", hint)
            return ()
        if not isinstance(value, list | tuple) or not value:
            self.wrong(key, "must be a list of words: no shell reads it", hint)
            return ()
        if len(value) > COMMAND_WORDS_MAX:
            self.wrong(key, f"has {len(value)} words, more than {COMMAND_WORDS_MAX}")
            return ()
        for index, word in enumerate(value):
            if not isinstance(word, str):
                self.wrong(key, f"word {index} is not a string", hint)
            elif "\0" in word:
                self.wrong(key, f"word {index} contains a NUL character")
        program = value[0]
        if program == "":
            self.wrong(key, "the program's name is empty", hint)
        elif isinstance(program, str) and "/" in program and not program.startswith("/"):
            self.wrong(key, f'"{program}" is relative', "write an absolute path, or a bare name found on PATH")
        return tuple(str(word) for word in value)

    def argv_if_any(self, key: str, example: str) -> tuple[str, ...] | None:
        """Read an argv that may be left out."""
        return None if self.parameters.get(key) is None else self.argv(key, example)

    def seconds(self, key: str, default_s: float, min_s: float, max_s: float) -> float:
        """Read a number of seconds between the two."""
        value = self.parameters.get(key, default_s)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self.wrong(key, "must be a number of seconds")
        elif not min_s <= value <= max_s:
            self.wrong(key, f"{value} is not between {min_s:g} and {max_s:g}")
        else:
            return float(value)
        return default_s

    def text(self, key: str, example: str) -> str:
        """Read a text that must be there; "" when it is missing or wrong."""
        value = self.parameters.get(key)
        if value is None:
            self.wrong(key, "is missing", f"for example {example}")
        elif not isinstance(value, str) or not value or "\0" in value:
            self.wrong(key, f"must be a text such as {example}")
        else:
            return value
        return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Name the nearest known word, if one is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f'did you mean "{near[0]}"?' if near else ""
