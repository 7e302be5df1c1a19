"""`looksalive events`: what happened, and with --follow what happens."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from probe.cli.arguments import EXIT_OK
from probe.cli.errors import Refused, Unreachable
from probe.cli.output import Style, complain, print_json
from probe.cli.session import Session, add_client_flags, add_colour_flag, parse_since, parse_target, run_session

RETRY_S = 1.0
RETRY_S_MAX = 60.0  # however long the service would have us wait
LAST_WHEN_FOLLOWING = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which events are wanted, and the flags of every client."""
    parser.add_argument("target", nargs="?", type=parse_target, metavar="GROUP[/NAME]", help="only about this")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what happens, until Ctrl-C")
    parser.add_argument(
        "--after", type=_whole_number, metavar="SEQ", help="only behind this event of the running service"
    )
    parser.add_argument("--since", type=parse_since, metavar="TIME", help="only since then: 2h, 30d, a date")
    parser.add_argument(
        "--last", type=_whole_number, metavar="N", help=f"only the last N (all; {LAST_WHEN_FOLLOWING} with --follow)"
    )
    add_colour_flag(parser)
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print what there is, then follow if wanted."""
    return run_session(arguments, parser, tell)


async def tell(arguments: argparse.Namespace, session: Session) -> int:
    """Print the events that are wanted; with `follow` never return."""
    style = Style(sys.stdout, colour=arguments.color)
    events, following = await (_behind if arguments.after is not None else _back)(arguments, session)
    for event in events:
        _print(event, style, arguments.json)
    if arguments.follow:
        await _follow(arguments, session, style, str(following))
    return EXIT_OK


async def _behind(arguments: argparse.Namespace, session: Session) -> tuple[list[dict[str, Any]], int]:
    """Read what is wanted behind an event of this run, and the seq of the last."""
    from probe.cli.happenings import concerns, read_events

    events = await read_events(session.client, arguments.after)
    target, since, last = arguments.target or "", arguments.since or 0, arguments.last
    wanted = [one for one in events if concerns(one, target) and one["time"] >= since]
    following = events[-1]["seq"] if events else arguments.after
    return wanted if last is None else wanted[len(wanted) - min(last, len(wanted)) :], following


async def _back(arguments: argparse.Namespace, session: Session) -> tuple[list[dict[str, Any]], int]:
    """Read what is wanted of all that was recorded, and the seq behind which what happens from now on begins."""
    from probe.cli.happenings import read_back

    last = arguments.last
    if last is None and arguments.follow and arguments.since is None:
        last = LAST_WHEN_FOLLOWING
    events, following, left_out = await read_back(session.client, arguments.target or "", arguments.since, last)
    if left_out:
        complain("events", left_out)
    return events, following


async def _follow(arguments: argparse.Namespace, session: Session, style: Style, seen: str) -> None:
    """Follow for ever; a service that goes away or has no room is asked again, and nothing that it keeps is missed."""
    from probe.cli.happenings import concerns, follow, place_of

    trouble = ""
    while True:
        pause_s = RETRY_S
        try:
            async for event in follow(session.client, seen):
                trouble = ""
                if event is None:
                    complain("events", "some events are lost: the service was started anew, or we were too slow")
                    continue
                seen = place_of(event)
                if concerns(event, arguments.target or ""):
                    _print(event, style, arguments.json)
        except (Unreachable, Refused) as error:
            if isinstance(error, Refused):
                if not error.passing:
                    raise
                pause_s = pause_of(error)
            if not trouble:
                complain("events", f"{error} (asking on)")
            trouble = str(error)
        await session.clock.sleep(pause_s)


def pause_of(refused: Refused) -> float:
    """Say how many seconds to wait before asking again: what the service says, within bounds."""
    return min(max(refused.retry_after_s or RETRY_S, RETRY_S), RETRY_S_MAX)


def _print(event: dict[str, Any], style: Style, as_json: bool) -> None:
    from probe.cli.happenings import event_line

    if as_json:
        print_json(event)
    else:
        print(event_line(event, style))
    sys.stdout.flush()


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not a whole number")
    return int(text)
