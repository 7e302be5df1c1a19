"""What each kind of controller wants to be told, read from the store's raw parameters with every mistake named."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from probe.controllers.contract import ParametersError
from probe.resources.checking import Problem

COMMAND_WORDS_MAX = 1024
ENVIRONMENT_NAMES_MAX = 256
KILL_AFTER_S = 10.0
KILL_AFTER_S_MAX = 3600.0

Output = Literal["file", "inherit"]


@dataclass(frozen=True, slots=True)
class ProcessParameters:
    """How the process controller runs a service."""

    command: tuple[str, ...]  # argv; its first word is absolute or looked up on PATH
    kill_after_s: float = KILL_AFTER_S  # from TERM to KILL
    output: Output = "file"
    environment: Mapping[str, str] | None = None  # added to ours
    directory: str | None = None


@dataclass(slots=True)
class _Reading:
    """The parameters being read and what was found wrong so far."""

    parameters: Mapping[str, object]
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, key: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(key, message, hint))

    def unknown_keys(self, known: tuple[str, ...]) -> None:
        for key in self.parameters:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                self.wrong(key, f'unknown key "{key}"', f'did you mean "{near[0]}"?' if near else "")


PROCESS_KEYS = ("command", "kill_after_s", "output", "environment", "directory")


def process_parameters(parameters: Mapping[str, object]) -> ProcessParameters:
    """Read the parameters of the process controller. Raises ParametersError with all problems at once."""
    reading = _Reading(parameters)
    reading.unknown_keys(PROCESS_KEYS)
    read = ProcessParameters(
        command=_command(reading),
        kill_after_s=_kill_after_s(reading),
        output=_output(reading),
        environment=_environment(reading),
        directory=_directory(reading),
    )
    if reading.problems:
        raise ParametersError(tuple(reading.problems))
    return read


def process_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List what is wrong with the parameters of the process controller."""
    try:
        process_parameters(parameters)
    except ParametersError as error:
        return error.problems
    return ()


def none_problems(parameters: Mapping[str, object]) -> tuple[Problem, ...]:
    """List the parameters of the controller none, which takes none."""
    return tuple(Problem(key, "controller none takes no parameters") for key in parameters)


def _command(reading: _Reading) -> tuple[str, ...]:
    example = 'write it as ["/usr/sbin/postfix", "start-fg"]'
    value = reading.parameters.get("command")
    if value is None:
        reading.wrong("command", "is missing", example)
        return ()
    if not isinstance(value, list | tuple) or not value:
        reading.wrong("command", "must be a list of words: no shell reads it", example)
        return ()
    if len(value) > COMMAND_WORDS_MAX:
        reading.wrong("command", f"has {len(value)} words, more than {COMMAND_WORDS_MAX}")
        return ()
    for index, word in enumerate(value):
        if not isinstance(word, str):
            reading.wrong("command", f"word {index} is not a string", example)
        elif "\0" in word:
            reading.wrong("command", f"word {index} contains a NUL character")
    program = value[0]
    if program == "":
        reading.wrong("command", "the program's name is empty", example)
    elif isinstance(program, str) and "/" in program and not program.startswith("/"):
        reading.wrong("command", f'"{program}" is relative', "write an absolute path, or a bare name found on PATH")
    return tuple(str(word) for word in value)


def _kill_after_s(reading: _Reading) -> float:
    value = reading.parameters.get("kill_after_s", KILL_AFTER_S)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        reading.wrong("kill_after_s", "must be a number of seconds")
    elif not 0 <= value <= KILL_AFTER_S_MAX:
        reading.wrong("kill_after_s", f"{value} is not between 0 and {KILL_AFTER_S_MAX:g}")
    else:
        return float(value)
    return KILL_AFTER_S


def _output(reading: _Reading) -> Output:
    value = reading.parameters.get("output", "file")
    if value == "inherit":
        return "inherit"
    if value != "file":
        reading.wrong("output", 'must be "file" or "inherit"')
    return "file"


def _environment(reading: _Reading) -> Mapping[str, str] | None:
    value = reading.parameters.get("environment")
    if value is None:
        return None
    if not isinstance(value, Mapping) or len(value) > ENVIRONMENT_NAMES_MAX:
        reading.wrong("environment", f"must be an object of at most {ENVIRONMENT_NAMES_MAX} names and values")
        return None
    for name, text in value.items():
        if not isinstance(name, str) or not name or "=" in name or "\0" in name:
            reading.wrong("environment", f"{name!r} cannot be the name of a variable")
        if not isinstance(text, str) or "\0" in text:
            reading.wrong("environment", f"the value of {name!r} must be a string without NUL")
    return {str(name): str(text) for name, text in value.items()}


def _directory(reading: _Reading) -> str | None:
    value = reading.parameters.get("directory")
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        reading.wrong("directory", "must be an absolute path")
        return None
    return value
