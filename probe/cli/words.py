"""What `create` and `set` are told in words: KEY=VALUE, each key looked up where it belongs.

Of a resource's keys some are its own (`restart_threshold`), some its type's parameters (`health`), some those of the
virtual server that is made with it (`bindings`, `tls.ca_file`). A value is JSON where that is what the key takes, else
the text itself; lists may be written with commas, programs as on a command line.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from bindings.cluster import RESOURCE_RULES
from bindings.mistakes import Mistakes
from bindings.properties import RULES, VOLATILE
from bindings.rules import ListOf, OneOrMore, Rule
from probe.controllers import CONTROLLER_KINDS, PARAMETERS
from probe.resources.creation import Wanted
from probe.resources.reading import Parameter, Reading, did_you_mean
from probe.resources.types import TYPES

CONTROLLER_EXAMPLE = "systemd:dovecot.service, 'process:/usr/sbin/dovecot -F', none, or an object"


class BadWord(ValueError):
    """A word that cannot be meant; the text says what to write."""


@dataclass(slots=True)
class Said:
    """What was said of one resource, sorted by where it belongs."""

    parameters: dict[str, object] = field(default_factory=dict)
    controller: dict[str, object] | None = None
    properties: dict[str, object] = field(default_factory=dict)
    server: dict[str, object] = field(default_factory=dict)

    def wanted(self) -> Wanted:
        """Hand it to creation."""
        return Wanted(self.parameters, self.controller, self.properties, self.server)


def hear(said: Said, type: str, key: str, text: str) -> None:
    """Put one KEY=VALUE where it belongs. Raises BadWord with the mend."""
    row = TYPES[type]
    parameters = {parameter.name: parameter for parameter in row.parameters}
    server_rules = RULES.get(row.virtual_server or "", {})
    first, dot, rest = key.partition(".")
    if key == "controller":
        said.controller = read_controller(text)
    elif key in parameters:
        said.parameters[key] = read_parameter(type, parameters[key], text)
    elif key in RESOURCE_RULES and key not in ("type", "parameters"):
        said.properties[key] = read_value(RESOURCE_RULES[key], key, text)
    elif key in server_rules and key not in VOLATILE:
        value = read_value(server_rules[key], key, text)
        before = said.server.get(key)
        said.server[key] = [*before, *value] if isinstance(before, list) and isinstance(value, list) else value
    elif dot and first in server_rules:
        inner = said.server.setdefault(first, {})
        if not isinstance(inner, dict):
            raise BadWord(f"{key}: {first} was given whole already")
        inner[rest] = _candidates(text)[0]
    else:
        known = [*parameters, "controller", *(set(RESOURCE_RULES) - {"type", "parameters"}), *server_rules]
        hint = did_you_mean(key, known)
        raise BadWord(
            f"{key!r} is nothing of {type}{'; ' + hint if hint else ''}; it has {', '.join(sorted(set(known)))}"
        )


def hear_all(words: Iterable[tuple[str, Said, str, str, str]]) -> None:
    """Put every word where it belongs: (whose, what is said of it, its type, KEY, VALUE). Raises BadWord with all."""
    wrong = []
    for whose, said, type, key, text in words:
        try:
            hear(said, type, key, text)
        except BadWord as error:
            wrong.append(f"{whose}{error}")
    if wrong:
        raise BadWord("; ".join(wrong))


def split_word(word: str) -> tuple[str, str]:
    """Take KEY=VALUE apart. Raises BadWord."""
    key, equals, value = word.partition("=")
    if not equals or not key:
        raise BadWord(f"{word!r} is not KEY=VALUE, for example restart_threshold=3")
    return key, value


def read_controller(text: str) -> dict[str, object]:
    """Read `KIND`, `KIND:SERVICE` or an object. Raises BadWord with every mistake in it."""
    if text.lstrip().startswith("{"):
        try:
            controller = json.loads(text)
        except ValueError as error:
            raise BadWord(f"controller: not JSON: {error}") from None
        kind = str(controller.get("kind")) if isinstance(controller, dict) else ""
    else:
        kind, _, rest = text.partition(":")
        controller = {"kind": kind}
        main = next((parameter for parameter in PARAMETERS.get(kind, ()) if parameter.required), None)
        if rest and main is not None:
            controller[main.name] = shlex.split(rest) if "argv" in main.value else rest
        elif rest:
            raise BadWord(f"controller: {kind} has nothing to be told after the colon; write it as an object")
    if kind not in CONTROLLER_KINDS:
        kinds = ", ".join(sorted(CONTROLLER_KINDS))
        raise BadWord(f"controller: there is no kind {kind!r}; the kinds are {kinds}; write {CONTROLLER_EXAMPLE}")
    inside = {name: value for name, value in controller.items() if name != "kind"}
    problems = [f"{each.key}: {each.message}" for each in CONTROLLER_KINDS[kind].problems(inside)]
    if problems:
        raise BadWord(f"controller {kind}: {'; '.join(problems)}")
    return dict(controller)


def read_parameter(type: str, parameter: Parameter, text: str) -> object:
    """Read a parameter of a type, as the type itself judges it. Raises BadWord."""
    meanings = _meanings(parameter, text)
    return _first_good(meanings, lambda value: parameter_mistakes(type, parameter.name, value), parameter.name)


def parsed_parameter(parameter: Parameter, text: str) -> object:
    """Read a parameter whose judge is somebody else, by what it says that it takes. Raises BadWord."""
    return _meanings(parameter, text)[0]


def _meanings(parameter: Parameter, text: str) -> list[object]:
    """What a text may mean to a parameter, the likeliest first."""
    if parameter.value == "argv":
        return [*(value for value in _candidates(text) if isinstance(value, list)), _split(parameter.name, text)]
    return _candidates(text)


def parameter_mistakes(type: str, name: str, value: object) -> list[str]:
    """List what a type finds wrong with one of its parameters."""
    reading = Reading({name: value})
    TYPES[type].reads(reading)
    return [_sentence(each.message, each.hint) for each in reading.problems if each.key == name]


def read_value(rule: Rule, name: str, text: str) -> Any:
    """Read a property by its rule. Raises BadWord."""
    candidates = _candidates(text)
    several = [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(rule, ListOf):
        candidates = [*(value for value in candidates if not isinstance(value, str)), several]
    elif isinstance(rule, OneOrMore):
        candidates = [*candidates, several]
    return _first_good(candidates, lambda value: rule_mistakes(rule, value), name)


def rule_mistakes(rule: Rule, value: object) -> list[str]:
    """List what a rule finds wrong with a value."""
    mistakes = Mistakes("")
    rule.read(value, mistakes, ())
    return [_sentence(each.message, each.hint) for each in mistakes.problems]


def _candidates(text: str) -> list[object]:
    """What a text may mean: the JSON that it is, if it is any, then the text itself."""
    try:
        return [json.loads(text), text]
    except (ValueError, RecursionError):
        return [text]


def _first_good(candidates: Iterable[object], mistakes_in: Callable[[object], list[str]], name: str) -> Any:
    """Take the first meaning that has no mistake; else tell those of the first."""
    told: list[str] = []
    for value in candidates:
        mistakes = mistakes_in(value)
        if not mistakes:
            return value
        told = told or mistakes
    raise BadWord(f"{name}: {'; '.join(told)}")


def _split(name: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise BadWord(f"{name}: {error}") from None


def _sentence(message: str, hint: str) -> str:
    return f"{message}; {hint}" if hint else message


def patch_of(said: Said) -> dict[str, object]:
    """Write what was said as a patch of a resource (RFC 7396)."""
    patch: dict[str, object] = dict(said.properties)
    if said.parameters:
        patch["parameters"] = said.parameters
    if said.controller is not None:
        patch["controller"] = said.controller
    return patch
