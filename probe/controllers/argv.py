"""Looks by running a program of the user's: its exit status is the verdict, its first line the evidence. Never a shell.

How an end is read (the monitoring plugins' statuses, where they have one):
0 is alive. 3 is unknown, and so is a program that a signal ended: that says something about the program. Any other, 1
(a warning) and 2 (critical) alike, is `not_serving`. One that takes too long is `step_timeout`, and is killed with its
process group. One that cannot be run at all says nothing about what it looks at: unknown, with the reason why.
"""

from __future__ import annotations

from collections.abc import Mapping

from probe.controllers.looking import doubt_of, read
from probe.environment import Environment, Finished
from probe.resources.parameters import read_argv
from probe.resources.reading import ParametersError
from probe.values import Reason, ResourceId, Verdict, evidence_of

ALIVE, UNKNOWN = 0, 3


class ArgvObserver:
    """Runs the programs that look."""

    overdue = Reason.STEP_TIMEOUT
    calls_off = True

    def __init__(self, environment: Environment) -> None:
        self._programs = environment.programs

    async def look(self, id: ResourceId, parameters: Mapping[str, object]) -> Verdict:
        """Run the program and judge its end."""
        try:
            argv = read(parameters, read_argv)
        except ParametersError as error:
            return Verdict(Reason.PROBE_INTERNAL, evidence_of(str(error)))
        try:
            finished = await self._programs.run(argv, environment={"LOOKSALIVE_RESOURCE": str(id)})
        except OSError as error:
            return doubt_of(error, f"cannot run {argv[0]}")
        return judge_end(finished)


def judge_end(finished: Finished) -> Verdict:
    """Judge how the program ended."""
    line = next((line.strip() for line in finished.output.splitlines() if line.strip()), b"")
    said = line.decode("utf-8", "backslashreplace")
    if finished.status == ALIVE:
        return Verdict(Reason.MATCHED, evidence_of(said or finished.text))
    reason = Reason.PROBE_INTERNAL if finished.status == UNKNOWN or finished.status < 0 else Reason.NOT_SERVING
    return Verdict(reason, evidence_of(f"{finished.text}: {said}" if said else finished.text))
