"""Running the programs of an operation: hooks of the user, OCF agents. Argv only, output kept small, errors said.

What an operation writes goes to the resource's own file in the state folder, as a process's output does: a daemon that
a hook leaves behind goes on writing there, and would die of a closed pipe. What a look writes is read and thrown away.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping, Sequence

from probe.controllers.contract import ControllerError, verdict_of
from probe.controllers.output import Outputs
from probe.controllers.records import path_under
from probe.environment import Environment, Finished
from probe.values import Reason, ResourceId

KILL_WITHIN_S = 10.0  # nobody waits for a kill, so it has a bound of its own


class Hooks:
    """The programs of one kind of controller."""

    def __init__(self, environment: Environment, state_dir: str) -> None:
        self._programs = environment.programs
        self._outputs = Outputs(environment.processes, environment.clock)
        self._folder = f"{state_dir}/output"

    async def run(self, id: ResourceId, argv: Sequence[str], variables: Mapping[str, str]) -> Finished:
        """Run a program of an operation. Raises ControllerError when it cannot be started."""
        path = path_under(self._folder, id, ".log")
        self._outputs.watch(path)
        return await _told(self._programs.run(argv, environment=variables, output=path), argv)

    async def ask(self, argv: Sequence[str], variables: Mapping[str, str]) -> Finished:
        """Run a program that looks and changes nothing. Raises ControllerError when it cannot be started."""
        return await _told(self._programs.run(argv, environment=variables), argv)

    def rest(self, id: ResourceId) -> None:
        """Look after the resource's output no more: nothing of it runs."""
        self._outputs.unwatch(path_under(self._folder, id, ".log"))

    def close(self) -> None:
        """Look after no output any more."""
        self._outputs.close()


async def _told(run: Coroutine[object, object, Finished], argv: Sequence[str]) -> Finished:
    try:
        return await run
    except OSError as error:
        raise ControllerError(verdict_of(error, f"cannot run {argv[0]}", Reason.SERVICE_STOPPED)) from error


def complaint_of(finished: Finished) -> str:
    """Take the last line that says something, as the end of a sentence: `: no such user`; empty without one."""
    lines = [line.strip() for line in finished.output.splitlines()]
    last = next((line for line in reversed(lines) if line), b"")
    return f": {last.decode('utf-8', 'backslashreplace')}" if last else ""
