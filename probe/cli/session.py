"""What the commands that ask a running service share: their flags, the token, the event loop and the exit code 3."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from probe.cli.arguments import EXIT_CANNOT_ASK, EXIT_FAILED
from probe.cli.errors import Refused, ServiceError
from probe.cli.output import complain, print_json
from probe.cli.trust import add_trust_flags, context_of
from probe.secret import Secret

if TYPE_CHECKING:
    from probe.cli.client import Client
    from probe.environment import Clock

DEFAULT_URL = "http://127.0.0.1:9810"
TIMEOUT_MAX_S = 7 * 86_400.0
TOKEN_BYTES_MAX = 4096
_HASHED_TOKEN = re.compile(r"[^:\s]+:(viewer|operator|admin):[0-9a-fA-F]{64}")
_TARGET = re.compile(r"[\w.-]{1,253}(/[\w.-]{1,253})?", re.ASCII)


class Session(NamedTuple):
    """One command's talk with one service."""

    client: Client
    clock: Clock


Conduct = Callable[[argparse.Namespace, Session], Awaitable[int]]


def add_client_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that every client takes."""
    parser.add_argument("--url", help=f"the service ({DEFAULT_URL})  [LOOKSALIVE_URL]")
    parser.add_argument("--token-file", metavar="FILE", help="file that holds the token alone  [LOOKSALIVE_TOKEN_FILE]")
    add_trust_flags(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_colour_flag(parser: argparse.ArgumentParser) -> None:
    """Add --color, for what is drawn."""
    parser.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: on a terminal, unless NO_COLOR is set (auto)",
    )


def parse_since(text: str) -> float:
    """Read a time in the past: 30d, 12h, a date, or seconds since the epoch. Raises ArgumentTypeError."""
    from probe.environment.clock import LoopClock
    from probe.history.since import read_since

    try:
        return read_since(text, LoopClock.wall())
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_target(text: str) -> str:
    """Check that it reads GROUP or GROUP/NAME. Raises ArgumentTypeError."""
    if not _TARGET.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not GROUP or GROUP/NAME, as in evs1/smtp")
    return text


def parse_timeout(text: str) -> float:
    """Read a number of seconds above zero. Raises ArgumentTypeError."""
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= TIMEOUT_MAX_S:  # also NaN
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0 (and at most a week)")
    return seconds


def nearest(word: str, known: Iterable[str]) -> str:
    """Make the hint for a name that does not exist, empty when nothing is near."""
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(word, sorted(known), 1)
    return f"; did you mean {near[0]}?" if near else ""


def check_url(text: str) -> str:
    """Return the service's URL without a trailing slash. Raises ValueError saying what to write."""
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text!r} is not the URL of a service; write http://127.0.0.1:9810")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{text!r}: leave out user, query and fragment; a token goes into --token-file")
    _ = parts.port  # raises ValueError itself
    return parts.geturl().rstrip("/")  # the scheme in small letters


def token_from(raw: bytes, name: str) -> str:
    """Take the token out of a client's token file. Raises ValueError when it holds something else."""
    text = raw.decode("ascii", "replace").strip()
    if _HASHED_TOKEN.match(text):
        raise ValueError(f"{name} is the service's own file of hashes; a client's file holds one token alone")
    if not text or not text.isprintable() or not text.isascii():
        raise ValueError(f"{name} must hold one token on one line and nothing else")
    return text


def run_session(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, conduct: Conduct, *, control: bool = False
) -> int:
    """Settle URL, token and trust, open the client and let the command talk. `control`: the command needs its token."""
    import asyncio

    url = _url(arguments, parser)
    token = _token(arguments, parser, control=control)
    context = context_of(arguments, parser, url)

    async def talk() -> int:
        from probe.cli.client import connected
        from probe.environment.clock import LoopClock

        async with connected(url, token, context) as client:
            return await conduct(arguments, Session(client, LoopClock()))

    try:
        return asyncio.run(talk())
    except ServiceError as error:
        refused = isinstance(error, Refused)
        if arguments.json:
            code = error.code if isinstance(error, Refused) else "cannot_ask"
            print_json({"error": {"code": code, "message": str(error)}})
        complain(arguments.command, str(error))
        return EXIT_FAILED if refused and control else EXIT_CANNOT_ASK


def _url(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> str:
    try:
        return check_url(arguments.url or os.environ.get("LOOKSALIVE_URL") or DEFAULT_URL)
    except ValueError as error:
        parser.error(f"{'--url' if arguments.url else 'LOOKSALIVE_URL'}: {error}")


def _token(arguments: argparse.Namespace, parser: argparse.ArgumentParser, *, control: bool) -> Secret[str] | None:
    """Read the token. Reading is open: without `control` only the flag counts, as beside the service the variable may
    well name the service's own file of hashes."""
    from probe.environment.files import RealFiles

    path = arguments.token_file or (control and os.environ.get("LOOKSALIVE_TOKEN_FILE"))
    if not path:
        return None
    where = "--token-file" if arguments.token_file else "LOOKSALIVE_TOKEN_FILE"
    try:
        return Secret(token_from(RealFiles().read(path, TOKEN_BYTES_MAX), path))
    except OSError as error:
        parser.error(f"{where}: cannot read {path}: {error.strerror or error}")
    except ValueError as error:
        parser.error(f"{where}: {error}")
