"""`looksalive move`: have another node take a group, or be told why none can, before anything is offline (S46)."""

from __future__ import annotations

import argparse

from probe.cli.arguments import EXIT_OK
from probe.cli.output import print_json, safe
from probe.cli.session import Session, add_client_flags, run_session


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the group, the node, and the flags of every client."""
    parser.add_argument("group", metavar="GROUP", help="the group to move")
    parser.add_argument("--to", required=True, metavar="NODE", help="the node that is to own it")
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Ask for the move."""
    group, slash, _ = arguments.group.partition("/")
    if slash:
        parser.error(f"move takes a whole group, and a resource goes with its own; write looksalive move {group}")
    return run_session(arguments, parser, _move, control=True)


async def _move(arguments: argparse.Namespace, session: Session) -> int:
    operation = await session.client.order(f"/api/v1/groups/{arguments.group}/move", {"to": arguments.to})
    if arguments.json:
        print_json(operation)
    else:
        print(safe(f"{arguments.group} moves to {arguments.to}"))
    return EXIT_OK
