"""Rules for values: each reads a decoded JSON value into the model's, notes what is wrong, and knows its JSON Schema.

One rule serves the parser and the published schema, so the two cannot say different things. A rule returns what it
read; after a mistake the return value means nothing, because a store with a mistake is never built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Protocol

from bindings.mistakes import Mistakes, Steps, kind_of, shown

TEXT_CHARS_MAX = 4096
DEPTH_MAX = 32  # of parameters that are only carried
YEAR_S = 366 * 86400.0  # an upper bound that keeps every due time computable

Schema = dict[str, object]


class Rule(Protocol):
    """What a value must be."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> object:
        """Return the model's value; note mistakes at `steps`."""

    def schema(self) -> Schema:
        """Return the JSON Schema (draft 2020-12) that says the same, as far as a schema can."""


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number of seconds, at least `minimum` (more than 0 where that is 0 and `positive`)."""

    minimum: float = 0.0
    positive: bool = True

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            mistakes.add(f"must be a number of seconds, not {kind_of(value)}", *steps)
            return 0.0
        if value > YEAR_S:
            mistakes.add(f"{shown(value)} is above {YEAR_S:.0f}", *steps)
        elif value < self.minimum:
            mistakes.add(f"{shown(value)} is below {self.minimum:g}", *steps)
        elif value == 0 and self.positive:
            mistakes.add("must be more than 0", *steps)
        return float(value) if abs(value) <= YEAR_S else inf

    def schema(self) -> Schema:
        least = "exclusiveMinimum" if self.positive and not self.minimum else "minimum"
        return {"type": "number", least: self.minimum, "maximum": YEAR_S}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number between two bounds."""

    minimum: int
    maximum: int

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON has one kind of number: 2.0 is 2
        if isinstance(value, bool) or not isinstance(value, int):
            mistakes.add(f"must be a whole number, not {kind_of(value)}", *steps)
            return 0
        if value < self.minimum:
            mistakes.add(f"{shown(value)} is below {self.minimum}", *steps)
        elif value > self.maximum:
            mistakes.add(f"{shown(value)} is above {self.maximum}", *steps)
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True)
class Switch:
    """true or false."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> bool:
        if not isinstance(value, bool):
            mistakes.add(f"must be true or false, not {kind_of(value)}", *steps)
        return value is True

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> str:
        if isinstance(value, str) and value in self.words:
            return value
        words = ", ".join(f'"{word}"' for word in self.words)
        hint = mistakes.nearest(value, self.words) if isinstance(value, str) else ""
        mistakes.add(f"must be one of {words}, not {kind_of(value)}", *steps, hint=hint)
        return ""

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.words)}


class Text:
    """A text that matches `pattern` whole and passes `check`, which raises ValueError with what is wrong.

    `expected` completes "must be ...".
    """

    def __init__(
        self,
        expected: str,
        pattern: str | None = r"[^\x00-\x1f\x7f]+",
        check: Callable[[str], object] | None = None,
        chars_max: int = TEXT_CHARS_MAX,
    ) -> None:
        self._expected = expected
        self._pattern = pattern
        self._match = re.compile(pattern if pattern is not None else r"(?s:.)*").fullmatch
        self._check = check
        self._chars_max = chars_max

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> str:
        if not isinstance(value, str):
            mistakes.add(f"must be {self._expected}, not {kind_of(value)}", *steps)
            return ""
        if len(value) > self._chars_max:
            mistakes.add(f"is longer than {self._chars_max} characters", *steps)
        elif not self._match(value):
            mistakes.add(f"{shown(value)} is not {self._expected}", *steps)
        elif self._check is not None:
            try:
                self._check(value)
            except ValueError as error:
                mistakes.add(str(error), *steps)
        return value

    def schema(self) -> Schema:
        pattern = {} if self._pattern is None else {"pattern": f"^(?:{self._pattern})$"}
        return {"type": "string", **pattern, "maxLength": self._chars_max}


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one rule, read into a tuple."""

    item: Rule
    items_max: int
    expected: str = "a list"
    items_min: int = 0
    unique: bool = False

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> tuple[object, ...]:
        if not isinstance(value, list):
            mistakes.add(f"must be {self.expected}, not {kind_of(value)}", *steps)
            return ()
        if len(value) > self.items_max:
            mistakes.add(f"has {len(value)} entries, more than {self.items_max}", *steps)
            return ()
        if len(value) < self.items_min:
            mistakes.add(f"must be {self.expected}, not an empty list", *steps)
        read = tuple([self.item.read(inner, mistakes, (*steps, index)) for index, inner in enumerate(value)])
        if self.unique and len(set(read)) != len(read):
            for index, inner in enumerate(read):
                if inner in read[:index]:
                    mistakes.add(f"{shown(str(inner))} is given twice", *steps, index)
        return read

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema(), "maxItems": self.items_max}
        if self.items_min:
            schema["minItems"] = self.items_min
        return schema | ({"uniqueItems": True} if self.unique else {})


@dataclass(frozen=True, slots=True)
class OneOrMore:
    """One value or a list of them, read into a tuple."""

    many: ListOf

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> tuple[object, ...]:
        if isinstance(value, list):
            return self.many.read(value, mistakes, steps)
        return (self.many.item.read(value, mistakes, steps),)

    def schema(self) -> Schema:
        return {"anyOf": [self.many.item.schema(), self.many.schema()]}


@dataclass(frozen=True, slots=True)
class Fields:
    """An object of known names; `null` is kept as None, so that it can unset what was inherited."""

    rules: Mapping[str, Rule]

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> dict[str, object]:
        read: dict[str, object] = {}
        if not isinstance(value, dict):
            mistakes.add(f"must be an object, not {kind_of(value)}", *steps)
            return read
        for name, inner in value.items():
            rule = self.rules.get(name)
            if rule is None:
                mistakes.add_unknown("key", name, self.rules, *steps)
            else:
                read[name] = None if inner is None else rule.read(inner, mistakes, (*steps, name))
        return read

    def schema(self) -> Schema:
        properties = {name: or_null(rule.schema()) for name, rule in self.rules.items()}
        return {"type": "object", "properties": properties, "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Anything:
    """An object that is carried, not judged; only its depth is bounded."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> dict[str, object]:
        if not isinstance(value, dict):
            mistakes.add(f"must be an object, not {kind_of(value)}", *steps)
            return {}
        level: list[object] = [value]
        for _ in range(DEPTH_MAX):
            inside = [inner.values() if isinstance(inner, dict) else inner for inner in level]
            level = [inner for part in inside for inner in part if isinstance(inner, dict | list)]  # type: ignore[attr-defined] # level holds dicts and lists only
            if not level:
                return value
        mistakes.add(f"is nested more than {DEPTH_MAX} deep", *steps)
        return {}

    def schema(self) -> Schema:
        return {"type": "object"}


def or_null(schema: Schema) -> Schema:
    """Let a schema accept null as well."""
    return {"anyOf": [schema, {"type": "null"}]}


def name_text(expected: str, chars_max: int = 63) -> Text:
    """Make the rule of a name: a letter or digit, then letters, digits, dots, underscores and hyphens."""
    return Text(expected, rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{chars_max - 1}}}")
