"""`looksalive wait`: return when resources have reached a state; also waits for the service itself to come up."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from typing import Any, TextIO

from probe.cli.arguments import EXIT_FAILED, EXIT_OK
from probe.cli.errors import Unreachable
from probe.cli.output import complain, duration_text, print_json, resource_objects, safe
from probe.cli.session import Session, add_client_flags, nearest, parse_target, parse_timeout, run_session

GOALS = ("online", "offline", "alive", "failed")
DEFAULT_TIMEOUT_S = 60.0
ANSWER_TIMEOUT_S = 10.0  # of a question that is to be answered at once
LONG_POLL_S = 25.0  # one question stays open this long; below what proxies cut off
RETRY_S = 0.25  # while nobody answers
FLOOR_S = 0.05  # between two questions, also when the revision races ahead


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the goal, the targets, the time-out and the flags of every client."""
    parser.add_argument("targets", nargs="+", type=parse_target, metavar="GROUP[/NAME]", help="a group means all in it")
    parser.add_argument(
        "--for", dest="goal", required=True, choices=GOALS, help="a state to reach, or alive: online and found alive"
    )
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=parse_timeout,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="give up after so many seconds (60)",
    )
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Wait, then tell how it ended."""
    return run_session(arguments, parser, wait)


async def wait(arguments: argparse.Namespace, session: Session) -> int:
    """Follow the status by long poll until every target has reached the goal or the time is over."""
    clock = session.clock
    start = clock.now()
    deadline = start + arguments.timeout_s
    progress = Progress(arguments.goal)
    status: Any = None
    trouble = ""
    while True:
        try:
            status = await _ask(session, status, deadline - clock.now())
            trouble = ""
        except Unreachable as error:
            if not (trouble and error.timed_out):  # the last question has little time: the reason before it says more
                trouble = str(error)
        missing = _missing(arguments.targets, arguments.goal, status)
        if not trouble and not missing:
            progress.clear()
            return _reached(arguments, status, clock.now() - start)
        progress.show(trouble or _sentence(missing, status), clock.now() - start)
        left = deadline - clock.now()
        if left <= FLOOR_S:
            progress.clear()
            return _gave_up(arguments, status, missing, trouble)
        await clock.sleep(min(left, RETRY_S if trouble else FLOOR_S))


async def _ask(session: Session, status: Any, left_s: float) -> Any:
    """Ask at once the first time, then by long poll; an answer that never comes counts as "nothing has changed"."""
    revision = status.get("revision") if isinstance(status, dict) else None
    if not isinstance(revision, int):
        return await session.client.ask("/api/v1/status", timeout_s=max(0.0, min(left_s, ANSWER_TIMEOUT_S)))
    try:
        return await session.client.ask("/api/v1/status", {"wait": str(revision)}, max(0.0, min(left_s, LONG_POLL_S)))
    except Unreachable as error:
        if error.timed_out:
            return status
        raise


def _missing(targets: Sequence[str], goal: str, status: Any) -> list[str]:
    """List what keeps the goal from being reached: resources not there yet, and targets that match none."""
    resources = resource_objects(status)
    missing: list[str] = []
    for target in targets:
        matching = [r for r in resources if r["id"] == target or r["id"].partition("/")[0] == target]
        if not matching:
            missing.append(target)
        missing.extend(r["id"] for r in matching if not _reaches(r, goal))
    return list(dict.fromkeys(missing))


def _reaches(resource: dict[str, Any], goal: str) -> bool:
    return resource.get("alive") is True if goal == "alive" else resource.get("state") == goal


def _sentence(missing: Sequence[str], status: Any) -> str:
    states = {resource["id"]: resource for resource in resource_objects(status)}
    parts = []
    for name in missing[:3]:
        resource = states.get(name)
        if resource is None:
            known = set(states) if "/" in name else {known.partition("/")[0] for known in states}
            parts.append(f"{name} is not known to the service{nearest(name, known)}")
        else:
            parts.append(f"{name} is {resource.get('state')} ({resource.get('reason')})")
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return ", ".join(parts) + more


def _reached(arguments: argparse.Namespace, status: Any, waited_s: float) -> int:
    ids = [r for r in resource_objects(status) if r["id"] in arguments.targets or _group(r) in arguments.targets]
    if arguments.json:
        print_json({"reached": True, "for": arguments.goal, "waited_s": round(waited_s, 3), "resources": ids})
    else:
        print(f"{', '.join(map(safe, arguments.targets))}: {arguments.goal} after {duration_text(waited_s)}")
    return EXIT_OK


def _group(resource: dict[str, Any]) -> str:
    return str(resource["id"]).partition("/")[0]


def _gave_up(arguments: argparse.Namespace, status: Any, missing: list[str], trouble: str) -> int:
    why = trouble or _sentence(missing, status)
    if arguments.json:
        print_json({"reached": False, "for": arguments.goal, "missing": missing, "message": why})
    complain("wait", f"not {arguments.goal} after {duration_text(arguments.timeout_s)}: {why}")
    return EXIT_FAILED


class Progress:
    """One line on stderr that is written over, only where stderr is a terminal."""

    def __init__(self, goal: str, stream: TextIO | None = None) -> None:
        self._goal = goal
        self._stream = sys.stderr if stream is None else stream
        self._shown = self._stream.isatty()

    def show(self, what: str, waited_s: float) -> None:
        """Write over the line."""
        if self._shown:
            line = safe(f"waiting for {self._goal} ({duration_text(waited_s)}): {what}")
            print(f"\r\x1b[K{line[: get_terminal_size().columns - 1]}", end="", file=self._stream, flush=True)

    def clear(self) -> None:
        """Take the line away again."""
        if self._shown:
            print("\r\x1b[K", end="", file=self._stream, flush=True)
