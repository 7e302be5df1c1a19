"""`looksalive delete`: remove a resource, or with the system-attendant its whole group (S19, S27, S41).

Refused unless what goes is offline. Whoever runs the store is asked (--url), and with --force told to take it offline
first; where nobody runs it, the state folder is held so that nobody begins to.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED
from probe.cli.changing import Opened, add_change_flags, change_store, on_terminal, open_store
from probe.cli.output import complain, print_json, resource_objects, safe
from probe.cli.session import Session, parse_target, parse_timeout, run_session
from probe.cli.trust import add_trust_flags

if TYPE_CHECKING:
    from probe.resources.changes import Change, Present

DEFAULT_TIMEOUT_S = 200.0  # a little above the default pending_timeout_s of a resource
POLL_S = 0.2
LOCK_WAIT_S = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target, what may go with it, and who is to be asked."""
    parser.add_argument("target", type=parse_target, metavar="GROUP[/NAME]", help="a resource, or a whole group")
    parser.add_argument("--cascade", action="store_true", help="delete what depends on it as well")
    parser.add_argument("--force", action="store_true", help="take it offline first (needs --url and a token)")
    parser.add_argument("--rehome-mta", metavar="GROUP", help="where the group's mta goes, which serves every group")
    parser.add_argument("--keep-virtual-servers", action="store_true", help="leave their keys in metabase.json")
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        type=parse_timeout,
        default=DEFAULT_TIMEOUT_S,
        metavar="S",
        help="with --force: give up after so many seconds (200)",
    )
    parser.add_argument("--url", help="the service that runs this store  [LOOKSALIVE_URL]")
    parser.add_argument("--token-file", metavar="FILE", help="file that holds the token alone  [LOOKSALIVE_TOKEN_FILE]")
    add_trust_flags(parser)
    add_change_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Plan the deletion, see that it is offline, and carry it out."""
    arguments.url = arguments.url or os.environ.get("LOOKSALIVE_URL")
    if arguments.force and not arguments.url:
        parser.error("--force takes it offline through the running service; pass --url URL (or set LOOKSALIVE_URL)")
    if not (arguments.yes or arguments.dry_run or on_terminal()):
        parser.error("nobody can be asked here; pass --yes to delete, or --dry-run to see what would go")
    opened = open_store(arguments, parser)

    def plan(present: Present) -> Change:
        from probe.resources.deletion import plan_deletion

        return plan_deletion(
            present,
            arguments.target,
            cascade=arguments.cascade,
            rehome_mta=arguments.rehome_mta,
            keep_servers=arguments.keep_virtual_servers,
        )

    def guard(change: Change, held: ExitStack) -> int | None:
        return _see_that_it_is_offline(arguments, parser, opened, change, held)

    return change_store(arguments, opened, plan, guard=guard, must_ask=True)


def _see_that_it_is_offline(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, opened: Opened, change: Change, held: ExitStack
) -> int | None:
    """Return None when the change may be made, else an exit code with the reason told."""
    from probe.resources.deletion import offline_needed

    ids = [str(id) for id in offline_needed(change)]
    if not ids:
        return None
    if arguments.url:
        outcome: list[str] = []

        async def talk(arguments: argparse.Namespace, session: Session) -> int:
            outcome.extend(await _still_there(arguments, session, ids))
            return 0

        code = run_session(arguments, parser, talk, control=arguments.force)
        if code:
            return code
        return _tell_running(arguments, outcome) if outcome else None
    try:
        held.enter_context(_lock_of(opened))
    except TimeoutError:
        message = f"a looksalive runs on the state folder {opened.state_dir}; pass --url URL so that it can be asked"
        return _refuse(arguments, "cannot_ask", message, EXIT_CANNOT_ASK)
    except OSError as error:
        message = f"cannot use the state folder {opened.state_dir}: {error.strerror or error}; pass --state-dir DIR"
        return _refuse(arguments, "cannot_ask", message, EXIT_CANNOT_ASK)
    if not arguments.json:
        print(f"note: no looksalive runs on {safe(opened.state_dir)}, so nobody could be asked whether it is offline")
    return None


def _lock_of(opened: Opened) -> Any:
    from probe.environment.files import RealFiles

    opened.files.make_folder(opened.state_dir)
    return RealFiles(LOCK_WAIT_S).lock(f"{opened.state_dir}/lock")


async def _still_there(arguments: argparse.Namespace, session: Session, ids: list[str]) -> list[str]:
    """Ask for what is not offline, and with --force have it taken offline first. Raises ServiceError."""
    clock = session.clock
    until = clock.now() + arguments.timeout_s
    running = await _not_offline(session, ids)
    if not (arguments.force and running):
        return [f"{id} is {state}" for id, state in running.items()]
    for id in running:
        group, _, name = id.partition("/")
        await session.client.order(f"/api/v1/resources/{group}/{name}/offline")
    while running and clock.now() < until:
        await clock.sleep(POLL_S)
        running = await _not_offline(session, ids)
    return [f"{id} is still {state}" for id, state in running.items()]


async def _not_offline(session: Session, ids: list[str]) -> dict[str, str]:
    """Return the states of those that are not offline; one that the service does not know runs nowhere."""
    group = ids[0].partition("/")[0]
    found = resource_objects(await session.client.ask("/api/v1/status", {"group": group}))
    states = {each["id"]: str(each.get("state")) for each in found}
    return {id: states[id] for id in ids if states.get(id, "offline") != "offline"}


def _tell_running(arguments: argparse.Namespace, running: list[str]) -> int:
    if arguments.force:
        mend = "nothing was deleted; looksalive terminate ends one at once"
    else:
        mend = f"take it offline first (looksalive offline {arguments.target} --wait), or pass --force"
    return _refuse(arguments, "not_offline", f"{'; '.join(running)}: {mend}", EXIT_FAILED)


def _refuse(arguments: argparse.Namespace, code: str, message: str, exit_code: int) -> int:
    if arguments.json:
        print_json({"error": {"code": code, "message": message}})
    complain(arguments.command, message)
    return exit_code
