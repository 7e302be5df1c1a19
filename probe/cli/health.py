"""`looksalive health`: whether the service beside us answers, as a container's HEALTHCHECK asks it every few seconds.

It asks `/livez` alone, whatever the watched services do. The rest of looksalive is not imported, nor is asyncio: a
HEALTHCHECK starts an interpreter each time.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Mapping
from typing import NoReturn
from urllib.parse import urlsplit

from probe.cli.commands import EXIT_FAILED, EXIT_OK
from probe.cli.output import complain, print_json, safe
from probe.cli.session import DEFAULT_URL, check_url, parse_timeout

TIMEOUT_S = 2.0
PATH = "/livez"
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104 - nothing is bound: who listens on all is near


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--url", help=f"the service (where LOOKSALIVE_LISTEN has it listen, else {DEFAULT_URL})  [LOOKSALIVE_URL]"
    )
    parser.add_argument(
        "--timeout",
        dest="timeout_s",
        metavar="SECONDS",
        type=parse_timeout,
        default=TIMEOUT_S,
        help=f"for everything, from the connection to the answer ({TIMEOUT_S:g})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Ask once; 0 when the answer is 200."""
    try:
        url = _plain(check_url(arguments.url or _url_of(os.environ)))
    except ValueError as error:
        parser.error(str(error))
    status, reason = _ask(url, arguments.timeout_s)
    alive = status == 200
    if arguments.json:
        print_json({"url": url, "alive": alive, "status": status, "reason": reason})
    elif alive:
        print(f"{url} is alive")
    if not alive:
        complain(arguments.command, f"{url} {reason}")
    return EXIT_OK if alive else EXIT_FAILED


def _url_of(variables: Mapping[str, str]) -> str:
    """Find the service by the variables that it was started with itself. Raises ValueError saying what to write."""
    if url := variables.get("LOOKSALIVE_URL"):
        return url
    listen = variables.get("LOOKSALIVE_LISTEN")
    if not listen:
        return DEFAULT_URL
    host, _, port = listen.rpartition(":")
    if port == "0":
        raise ValueError("LOOKSALIVE_LISTEN names no port (0 is any free one); pass --url http://127.0.0.1:PORT")
    return f"http://{ANY_ADDRESS.get(host, host)}:{port}"


def _plain(url: str) -> str:
    if not url.startswith("http:"):
        raise ValueError(f"{url!r}: the service itself speaks plain HTTP; write http://")
    return url


def _ask(url: str, timeout_s: float) -> tuple[int | None, str]:
    """GET `/livez`; return the status, None without any, and what was wrong. One deadline for the whole dialogue."""
    from http.client import HTTPConnection, HTTPException

    parts = urlsplit(url)
    assert parts.hostname is not None, "check_url has looked"
    connection = HTTPConnection(parts.hostname, parts.port or 80)
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        connection.request("GET", parts.path + PATH, headers={"Connection": "close"})
        status = connection.getresponse().status
    except TimeoutError:
        return None, f"did not answer within {timeout_s:.3g} s"
    except HTTPException as error:
        return None, f"does not speak HTTP: {safe(error)}"
    except OSError as error:
        return None, f"cannot be reached: {error.strerror or error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        connection.close()
    return status, "" if status == 200 else f"answered {status}"


def _too_late(number: int, frame: object) -> NoReturn:
    del number, frame
    raise TimeoutError
