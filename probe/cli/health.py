"""`looksalive health`: whether the service beside us answers, as a container's HEALTHCHECK asks it every few seconds.

Without --url it asks where the variables of the service itself say: LOOKSALIVE_LISTEN, and over TLS with
LOOKSALIVE_WEB_CONFIG. Its certificate is then for the names that others call it by, so none is looked for in it, and
nobody has to vouch for it, unless a CA is named: what is asked is open to everybody, nothing secret is sent, and a
service that serves must not be restarted over a renewal that went wrong. For the same reason it is alive when it
carries a handshake through and then hangs up, as it does on who shows no client certificate: its event loop did that.

It asks `/livez` alone, whatever the watched services do. The rest of looksalive is not imported, nor is asyncio: a
HEALTHCHECK starts an interpreter each time.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, NoReturn
from urllib.parse import urlsplit

from probe.cli.commands import EXIT_FAILED, EXIT_OK
from probe.cli.output import complain, print_json, safe
from probe.cli.session import DEFAULT_URL, check_url, parse_timeout
from probe.cli.trust import HUNG_UP, add_trust_flags, context_of, explain

if TYPE_CHECKING:
    import ssl

TIMEOUT_S = 2.0
PATH = "/livez"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nothing is bound: who listens on all is near


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--url",
        help=f"the service (where LOOKSALIVE_LISTEN has it listen, else {DEFAULT_URL}; "
        "https:// where LOOKSALIVE_WEB_CONFIG is set)  [LOOKSALIVE_URL]",
    )
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        metavar="SECONDS",
        type=parse_timeout,
        default=TIMEOUT_S,
        help=f"for everything, from the connection to the answer ({TIMEOUT_S:g})",
    )
    add_trust_flags(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


class Outcome(NamedTuple):
    """What came of it: `status` None without an HTTP answer; `reason` is empty after a 200."""

    alive: bool
    status: int | None
    reason: str


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Ask once; 0 when the answer is 200."""
    given = arguments.url or os.environ.get("LOOKSALIVE_URL")
    try:
        url = check_url(given or _url_of(os.environ))
    except ValueError as error:
        parser.error(str(error))
    context = context_of(arguments, parser, url, ours=not given)
    outcome = _ask(url, context, arguments.timeout_s, ours=not given)
    if arguments.json:
        print_json({"url": url, **outcome._asdict()})
    elif outcome.alive:
        print(f"{url} is alive{outcome.reason and ': '}{outcome.reason}")
    if not outcome.alive:
        complain(arguments.command, f"{url} {outcome.reason}")
    return EXIT_OK if outcome.alive else EXIT_FAILED


def _url_of(variables: Mapping[str, str]) -> str:
    """Find the service by the variables that it was started with itself. Raises ValueError saying what to write."""
    scheme = "https" if variables.get("LOOKSALIVE_WEB_CONFIG") else "http"
    host, _, port = (variables.get("LOOKSALIVE_LISTEN") or urlsplit(DEFAULT_URL).netloc).rpartition(":")
    if port == "0":
        raise ValueError(f"LOOKSALIVE_LISTEN names no port (0 is any free one); pass --url {scheme}://127.0.0.1:PORT")
    return f"{scheme}://{ANY_ADDRESS.get(host, host)}:{port}"


def _ask(url: str, context: ssl.SSLContext | None, timeout_s: float, *, ours: bool) -> Outcome:
    """GET `/livez`. One deadline for the whole dialogue."""
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    parts = urlsplit(url)
    assert parts.hostname is not None, "check_url has looked"
    connection = (
        HTTPConnection(parts.hostname, parts.port or 80)
        if context is None
        else HTTPSConnection(parts.hostname, parts.port or 443, context=context)
    )
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    shaken = False
    try:
        connection.connect()
        shaken = context is not None
        connection.request("GET", parts.path + PATH, headers={"Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return Outcome(False, None, f"did not answer within {timeout_s:.3g} s")
    except ConnectionError as error:  # http.client's "closed without response" is one of them
        if shaken and ours:
            return Outcome(True, None, "it hangs up on who shows no client certificate")
        return Outcome(False, None, HUNG_UP if shaken else f"cannot be reached: {_said(error)}")
    except HTTPException as error:
        return Outcome(False, None, f"does not speak HTTP: {safe(error)}")
    except OSError as error:
        told = explain(error)
        return Outcome(False, None, f"cannot be asked: {told}" if told else f"cannot be reached: {_said(error)}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.close()
    return Outcome(status == 200, status, "" if status == 200 else f"answered {status}")


def _said(error: OSError) -> str:
    return error.strerror or safe(error)


def _too_late(number: int, frame: object) -> NoReturn:
    del number, frame
    raise TimeoutError
