"""Asking for everything that a resource can be told, each answer judged at once (S10).

The questions are the tables that the store is checked by: a type's parameters, a controller's, a virtual server's and a
resource's properties. An empty answer takes the default; what is seldom wanted is asked for only on request.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from bindings.cluster import RESOURCE_PROPERTIES
from bindings.properties import PROPERTIES, RULES, VOLATILE
from probe.cli.create import ATTENDANT, plan
from probe.cli.words import CONTROLLER_EXAMPLE, BadWord, Said, hear, read_controller
from probe.controllers import CONTROLLER_KINDS, PARAMETERS
from probe.resources.changes import Change, Present
from probe.resources.creation import LEAVABLE
from probe.resources.defaults import MEMBER_OF_TYPE, MEMBERS, parameters_by_default
from probe.resources.reading import Parameter
from probe.resources.types import TYPES

NAMED = ("bindings", "secure_bindings")  # of a virtual server: asked for always
ANSWERS_MAX = 100  # to one question: who answers that often is no person


class Wizard:
    """One talk; `ask` shows a question and returns the answer (EOFError: nobody answers), `tell` shows a line."""

    def __init__(self, ask: Callable[[str], str], tell: Callable[[str], None]) -> None:
        self._ask = ask
        self._tell = tell

    def ask(self, present: Present, arguments: argparse.Namespace) -> Change:
        """Ask for everything and plan it. Raises EOFError, BadWord, Refused."""
        group = arguments.target.partition("/")[0]
        if arguments.type != ATTENDANT:
            return plan(present, arguments, {arguments.type: self._resource(arguments.type, group)})
        said: dict[str, Said] = {}
        there = set(present.types(group).values())
        for member in MEMBERS:
            if member.type in there and member.type != ATTENDANT:
                continue
            if member.given and not self._yes(f"Does {group} have a {member.type}?", default=False):
                continue
            optional = member.type in LEAVABLE and not (member.type == "mta" and present.find("mta"))
            if optional and not self._yes(f"Make the {member.type}?", default=True):
                arguments.without.append(member.name)
            elif member.type != "mta" or not present.find("mta"):
                said[member.type] = self._resource(member.type, group)
        return plan(present, arguments, said)

    def _resource(self, type: str, group: str) -> Said:
        said = Said()
        self._tell(f"-- {type}")
        defaults = parameters_by_default(type, group)
        for parameter in TYPES[type].parameters:
            if parameter.name != "virtual_server":
                default = defaults.get(parameter.name, parameter.default)
                self._parameter(said, type, parameter, str(default))
        protocol = TYPES[type].virtual_server
        if protocol is not None:
            usual = MEMBER_OF_TYPE[type].binding if type in MEMBER_OF_TYPE else ""
            self._properties(said, type, NAMED, {"bindings": usual})
        self._controller(said)
        if protocol is not None and self._yes("More about how it is asked?", default=False):
            rules = [name for name in RULES[protocol] if name not in (*NAMED, *VOLATILE)]
            self._properties(said, type, [name for name in rules if name not in _RESOURCES], {})
        if self._yes("More about restarts and timings?", default=False):
            self._properties(said, type, [name for name in _RESOURCES if name not in _ASKED_ELSEWHERE], {})
        return said

    def _parameter(self, said: Said, type: str, parameter: Parameter, default: str) -> None:
        needed = parameter.required and not default
        about = f"{parameter.name}: {parameter.about} ({parameter.value})"
        self._until_good(about, default, needed, lambda text: hear(said, type, parameter.name, text))

    def _properties(self, said: Said, type: str, names: Iterable[str], defaults: dict[str, str]) -> None:
        for name in names:
            about = f"{name}: {_ABOUT[name]}"
            default = defaults.get(name, "")
            needed = name == NAMED[1] and not said.server and not defaults[NAMED[0]]  # one of the two

            def take(text: str, name: str = name) -> None:
                hear(said, type, name, text)

            self._until_good(about, default, needed, take)

    def _controller(self, said: Said) -> None:
        about = f"controller: who starts and stops it ({CONTROLLER_EXAMPLE}; {', '.join(CONTROLLER_KINDS)})"

        def take(text: str) -> None:
            kind, colon, _ = text.partition(":")
            if colon or kind not in PARAMETERS or not PARAMETERS[kind]:
                said.controller = read_controller(text)
            else:
                said.controller = self._controller_parameters(kind)

        self._until_good(about, "none", False, take, take_default=True)

    def _controller_parameters(self, kind: str) -> dict[str, object]:
        """Ask for every parameter of a kind of controller."""
        from probe.cli.words import parsed_parameter

        controller: dict[str, object] = {}
        for parameter in PARAMETERS[kind]:

            def take(text: str, parameter: Parameter = parameter) -> None:
                value = parsed_parameter(parameter, text)
                problems = CONTROLLER_KINDS[kind].problems({**controller, parameter.name: value})
                wrong = [each for each in problems if each.key == parameter.name]
                if wrong:
                    raise BadWord("; ".join(f"{each.message}; {each.hint}".rstrip("; ") for each in wrong))
                controller[parameter.name] = value

            about = f"{kind} {parameter.name}: {parameter.about} ({parameter.value})"
            self._until_good(about, parameter.default, parameter.required, take)
        return {"kind": kind, **controller}

    def _until_good(
        self, about: str, default: str, needed: bool, take: Callable[[str], Any], *, take_default: bool = False
    ) -> None:
        """Ask until the answer is taken; an empty one is the default, which need not be written."""
        hint = f" [{default}]" if default else "" if needed else " [-]"
        for _ in range(ANSWERS_MAX):
            text = self._ask(f"{about}{hint}: ").strip()
            if not text and not needed and not take_default:
                return
            if not (text or default):
                self._tell("   is missing; it has no default")
                continue
            try:
                take(text or default)
            except BadWord as wrong:
                self._tell(f"   {wrong}")
            else:
                return
        raise EOFError("no good answer")

    def _yes(self, question: str, *, default: bool) -> bool:
        answer = self._ask(f"{question} [{'Y/n' if default else 'y/N'}] ").strip().lower()
        return default if not answer else answer in ("y", "yes")


_RESOURCES = [row.name for row in RESOURCE_PROPERTIES]
_ASKED_ELSEWHERE = ("type", "controller", "parameters")
_ABOUT = {row.name: row.about for row in PROPERTIES} | {row.name: row.about for row in RESOURCE_PROPERTIES}
