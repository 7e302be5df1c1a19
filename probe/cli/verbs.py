"""`looksalive online | offline | restart | terminate | upgrade`: ask for an operation, and follow it if wanted."""

from __future__ import annotations

import argparse
from typing import Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED, EXIT_OK
from probe.cli.output import complain, duration_text, print_json, safe
from probe.cli.session import Session, add_client_flags, parse_target, parse_timeout, run_session

DEFAULT_TIMEOUT_S = 200.0  # a little above the default pending_timeout_s of a resource
POLL_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target, how to follow the operation, and the flags of every client."""
    parser.add_argument("target", type=parse_target, metavar="GROUP[/NAME]", help="a resource, or a whole group")
    parser.add_argument("--wait", action="store_true", help="return when the operation has ended")
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=parse_timeout,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="with --wait: give up after so many seconds (200); the operation goes on",
    )
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Post the verb and tell what became of it."""
    if arguments.command in ("restart", "terminate", "upgrade") and "/" not in arguments.target:
        parser.error(f"{arguments.command} takes one resource; write {arguments.target}/NAME")
    return run_session(arguments, parser, _carry_out, control=True)


async def _carry_out(arguments: argparse.Namespace, session: Session) -> int:
    group, slash, name = arguments.target.partition("/")
    path = f"/api/v1/resources/{group}/{name}" if slash else f"/api/v1/groups/{group}"
    operation = await session.client.order(f"{path}/{arguments.command}")
    if not _is_operation(operation):
        return _garbled(arguments)
    if arguments.wait:
        return await _follow(arguments, session, operation)
    if arguments.json:
        print_json(operation)
    else:
        print(_told(operation))
    return EXIT_FAILED if operation["state"] == "failed" else EXIT_OK


async def _follow(arguments: argparse.Namespace, session: Session, operation: dict[str, Any]) -> int:
    clock = session.clock
    start = clock.now()
    while operation["state"] == "pending":
        if clock.now() - start > arguments.timeout_s:
            if arguments.json:
                print_json(operation)
            complain(
                arguments.command,
                f"operation {operation['operation']} is still pending after {duration_text(arguments.timeout_s)}; "
                f"it goes on, and looksalive status {arguments.target} shows how far it is",
            )
            return EXIT_FAILED
        await clock.sleep(POLL_S)
        operation = await session.client.ask(f"/api/v1/operations/{operation['operation']}")
        if not _is_operation(operation):
            return _garbled(arguments)
    if arguments.json:
        print_json(operation)
    else:
        print(f"{_told(operation)} after {duration_text(clock.now() - start)}")
    return EXIT_OK if operation["state"] == "done" else EXIT_FAILED


def _garbled(arguments: argparse.Namespace) -> int:
    complain(arguments.command, "the answer is no operation with its number and state; is that looksalive?")
    return EXIT_CANNOT_ASK


def _is_operation(document: Any) -> bool:
    if not isinstance(document, dict):
        return False
    return isinstance(document.get("operation"), int) and isinstance(document.get("state"), str)


def _told(operation: dict[str, Any]) -> str:
    reason = f": {operation['reason']}" if operation.get("reason") else ""
    what = f"{operation.get('verb')} {operation.get('target')} {operation['state']}"
    return safe(f"operation {operation['operation']}: {what}{reason}")
