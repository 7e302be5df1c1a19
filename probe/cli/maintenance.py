"""`looksalive maintenance`: have a group let alone for a while: no action at all, while watching goes on."""

from __future__ import annotations

import argparse
import getpass
import re
from typing import Any

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_OK
from probe.cli.output import complain, duration_text, print_json, safe
from probe.cli.session import Session, add_client_flags, run_session

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", re.ASCII)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the group, what is wanted, and the flags of every client."""
    parser.add_argument("group", metavar="GROUP", help="the group to let alone")
    parser.add_argument("--off", action="store_true", help="the maintenance is over: what it kept back happens now")
    parser.add_argument(
        "--for",
        dest="expires_s",
        type=parse_duration,
        default=None,
        metavar="TIME",
        help="it ends by itself after so long: 90s, 30m, 2h, 1d (without it, only by --off)",
    )
    parser.add_argument("--owner", default="", metavar="NAME", help="who is at work; your user name without it")
    add_client_flags(parser)


def parse_duration(text: str) -> float:
    """Read `90s`, `30m`, `2h` or `1d` as seconds; a number alone is seconds."""
    match = _DURATION.fullmatch(text)
    seconds = float(match[1]) * _UNITS_S[match[2] or "s"] if match else 0.0
    if seconds <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no time such as 90s, 30m, 2h or 1d")
    return seconds


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Say it, and tell what holds now."""
    if arguments.off and arguments.expires_s is not None:
        parser.error("--for is of a maintenance that begins; leave it out with --off")
    return run_session(arguments, parser, _maintain, control=True)


async def _maintain(arguments: argparse.Namespace, session: Session) -> int:
    wanted: dict[str, Any] = {"on": not arguments.off, "owner": arguments.owner or _user()}
    if arguments.expires_s is not None:
        wanted["expires_s"] = arguments.expires_s
    group = await session.client.order(f"/api/v1/groups/{arguments.group}/maintenance", wanted)
    if not isinstance(group, dict) or bool(group.get("maintenance")) is arguments.off:
        complain("maintenance", "the answer does not say what was asked; is that looksalive?")
        return EXIT_CANNOT_ASK
    if arguments.json:
        print_json(group)
    elif arguments.off:
        print(safe(f"the maintenance of {arguments.group} is over"))
    else:
        lasting = f"for {duration_text(arguments.expires_s)}" if arguments.expires_s else "until --off"
        who = group["maintenance"].get("owner")
        print(safe(f"{arguments.group} is let alone {lasting} ({who}): nothing is done, whatever happens"))
    return EXIT_OK


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user often has no name
        return ""
