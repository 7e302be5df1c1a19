"""What each kind of controller wants to be told, read from the store's raw parameters with every mistake named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from probe.controllers.contract import ParametersError
from probe.controllers.reading import Parameter, Reading
from probe.resources.checking import Problem

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


PROCESS_PARAMETERS = (
    Parameter("command", "argv", "the program and its arguments, in the foreground", required=True),
    Parameter("kill_after_s", "seconds", "how long its group has from TERM to KILL", "10"),
    Parameter("output", '`"file"` or `"inherit"`', "a bounded file in the state folder, or our own streams", '"file"'),
    Parameter("environment", "names and texts", "variables, added to ours"),
    Parameter("directory", "absolute path", "where it is started"),
)


def process_parameters(parameters: Mapping[str, object]) -> ProcessParameters:
    """Read the parameters of the process controller. Raises ParametersError with all problems at once."""
    reading = Reading(parameters)
    reading.unknown_keys(each.name for each in PROCESS_PARAMETERS)
    read = ProcessParameters(
        command=reading.argv("command", '["/usr/lib/postfix/sbin/master", "-c", "/etc/postfix", "-s"]'),
        kill_after_s=reading.seconds("kill_after_s", KILL_AFTER_S, 0, KILL_AFTER_S_MAX),
        output=_output(reading),
        environment=_environment(reading),
        directory=_directory(reading),
    )
    reading.finish()
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


def _output(reading: Reading) -> Output:
    value = reading.parameters.get("output", "file")
    if value == "inherit":
        return "inherit"
    if value != "file":
        reading.wrong("output", 'must be "file" or "inherit"')
    return "file"


def _environment(reading: Reading) -> Mapping[str, str] | None:
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


def _directory(reading: Reading) -> str | None:
    value = reading.parameters.get("directory")
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        reading.wrong("directory", "must be an absolute path")
        return None
    return value
