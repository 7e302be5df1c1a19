"""`looksalive drain`: say that the stops to come are planned, or no longer; made for a preStop hook."""

from __future__ import annotations

import argparse
from typing import Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK
from probe.cli.output import complain, print_json, resource_objects
from probe.cli.session import Session, add_client_flags, parse_timeout, run_session

DEFAULT_TIMEOUT_S = 20.0  # within the 30 s that a kubelet gives a pod to end, its hooks included
POLL_S = 0.2
NAMED_MAX = 3
PENDING = ("online-pending", "offline-pending")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is wanted, whether to wait, and the flags of every client."""
    parser.add_argument("--off", action="store_true", help="the planned stops are over: bring back what is down")
    parser.add_argument("--wait", action="store_true", help="return when no online or offline is under way any more")
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=parse_timeout,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="with --wait: give up after so many seconds (20); what was said stays said",
    )
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Say it, then tell how it ended."""
    return run_session(arguments, parser, _drain, control=True)


async def _drain(arguments: argparse.Namespace, session: Session) -> int:
    wanted = {"on": not arguments.off}
    answer = await session.client.order("/api/v1/drain", wanted)
    if answer != wanted:
        complain("drain", "the answer does not say what was asked; is that looksalive?")
        return EXIT_CANNOT_ASK
    under_way = await _settled(arguments, session) if arguments.wait else []
    if arguments.json:
        print_json({"on": wanted["on"], "pending": under_way})
    elif not under_way:
        print("the stops to come are no longer planned" if arguments.off else "the stops to come are planned")
    if under_way:
        more = f" and {len(under_way) - NAMED_MAX} more" if len(under_way) > NAMED_MAX else ""
        complain("drain", f"still under way after {arguments.timeout_s:g} s: {', '.join(under_way[:NAMED_MAX])}{more}")
        return EXIT_FAILED
    return EXIT_OK


async def _settled(arguments: argparse.Namespace, session: Session) -> list[str]:
    """Return once nothing is under way, or with the ids of what still is when the time is over."""
    until = session.clock.now() + arguments.timeout_s
    while True:
        status: Any = await session.client.ask("/api/v1/status")
        under_way = [one["id"] for one in resource_objects(status) if one.get("state") in PENDING]
        left = until - session.clock.now()
        if not under_way or left <= 0:
            return under_way
        await session.clock.sleep(min(left, POLL_S))
