"""`looksalive init`: ask what listens on this machine what it speaks, and write a store of what answered."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probe.cli.arguments import EXIT_FAILED, EXIT_OK
from probe.cli.output import Style, complain, plural, print_json, safe
from probe.cli.session import add_colour_flag
from probe.cli.settings import DEFAULT_STORE, STORE_FILES

if TYPE_CHECKING:
    from probe.cli.listeners import Listener, Speech
    from probe.environment import Environment
    from probe.values import Verdict

ASK_S = 1.5  # for one question; a server that is slower is found by its port and asked again
PORTS_MAX = 200
PORTS_AT_ONCE = 8
ANY_STATUS = "any"
GREETED = ("matched", "banner_mismatch")
GOT = ", got "  # in the evidence of a mismatch: behind it, the greeting


@dataclass(frozen=True)
class Found:
    """Something that answered, and the properties with which it is alive."""

    protocol: str
    binding: str
    secure: bool
    evidence: str
    properties: dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the store, and whether to write it."""
    parser.add_argument(
        "--store", metavar="DIR", help=f"folder to write metabase.json into ({DEFAULT_STORE})  [LOOKSALIVE_STORE]"
    )
    parser.add_argument(
        "--port", type=_port, action="append", metavar="PORT", help="ask only this port; repeat it for more"
    )
    parser.add_argument("--dry-run", action="store_true", help="write nothing, show the store instead")
    add_colour_flag(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Look, ask, write, tell."""
    import asyncio

    from probe.cli.listeners import NOT_ASKED, read_listeners
    from probe.environment.files import RealFiles

    del parser
    files = RealFiles()
    store = Path(arguments.store or os.environ.get("LOOKSALIVE_STORE") or DEFAULT_STORE).expanduser()
    there = [name for name in STORE_FILES if files.stamp(str(store / name)) is not None]
    if there and not arguments.dry_run:
        return _refuse(arguments, f"{store / there[0]} is there already and stays as it is; pass another --store DIR")
    try:
        listeners = read_listeners(files.read)
    except OSError as error:
        return _refuse(arguments, f"cannot see what listens here: {error}; write the store by hand, as README.md shows")
    wanted = [one for one in listeners if (one.port in arguments.port if arguments.port else one.port not in NOT_ASKED)]
    found, silent = asyncio.run(_ask_all(wanted[:PORTS_MAX]))
    passed = [one.port for one in listeners if one not in wanted and not arguments.port]
    document = _metabase(found)
    written = False
    if found and not arguments.dry_run:
        try:
            files.make_folder(str(store))
            path = str(store / STORE_FILES[0])
            files.write(path, (json.dumps(document, indent=2) + "\n").encode())
            files.sync(path)
        except OSError as error:
            return _refuse(arguments, f"cannot write {store}: {error.strerror}; pass another --store DIR")
        written = True
    _tell(arguments, store, document, found, [one.port for one in silent], passed, written=written)
    return EXIT_OK if found else EXIT_FAILED


def _refuse(arguments: argparse.Namespace, message: str) -> int:
    if arguments.json:
        print_json({"error": {"code": "not_written", "message": message}})
    complain("init", message)
    return EXIT_FAILED


async def _ask_all(listeners: list[Listener]) -> tuple[list[Found], list[Listener]]:
    """Ask each port what it speaks, a few at once. Returns what answered, and what did not."""
    import asyncio

    from probe.environment import Environment
    from probe.environment.clock import LoopClock, SystemRandomness
    from probe.environment.files import RealFiles
    from probe.environment.network import RealNetwork
    from probe.environment.processes import RealProcesses

    environment = Environment(LoopClock(), SystemRandomness(), RealFiles(), RealNetwork(), RealProcesses())
    found: list[Found] = []
    silent: list[Listener] = []
    for begin in range(0, len(listeners), PORTS_AT_ONCE):
        batch = listeners[begin : begin + PORTS_AT_ONCE]
        answers = await asyncio.gather(*(_identify(environment, one) for one in batch))
        for one, answer in zip(batch, answers, strict=True):
            if answer is None:
                silent.append(one)
            else:
                found.append(answer)
    return found, silent


async def _identify(environment: Environment, listener: Listener) -> Found | None:
    """Find the first address and protocol that are alive; what is usual for the port is tried before all else."""
    from probe.cli.listeners import USUAL

    for address in listener.addresses:
        binding = f"{address}:{listener.port}"
        for speech in USUAL.get(listener.port, ()):
            if (found := await _try(environment, binding, speech)) is not None:
                return found
        if (found := await _listen(environment, binding)) is not None:
            return found
    return None


async def _listen(environment: Environment, binding: str) -> Found | None:
    """Tell by its greeting what a server speaks; one that says nothing may wait for us to begin, as HTTP does.

    One question after the other: a server that serves one client at a time must not be kept busy by our own others.
    """
    from probe.cli.listeners import HTTP, HTTPS, IMAP, POP3, SMTP

    verdict = await _ask(environment, binding, SMTP, {})
    if verdict.reason.value in GREETED:
        greeting = verdict.evidence.rpartition(GOT)[2]
        starts = (("+OK", POP3), ("* ", IMAP), ("220", SMTP))
        speech = next((speech for start, speech in starts if greeting.startswith(start)), None)
        return None if speech is None else await _try(environment, binding, speech)
    return await _try(environment, binding, HTTP) or await _try(environment, binding, HTTPS)


async def _try(environment: Environment, binding: str, speech: Speech) -> Found | None:
    """Ask one protocol of one binding, and once more where a certificate or a status stands in the way."""
    properties: dict[str, Any] = {}
    verdict = await _ask(environment, binding, speech, properties)
    if speech.secure and verdict.reason.value in ("tls_untrusted", "tls_hostname", "tls_expired"):
        properties["tls"] = {"verify": False}
        verdict = await _ask(environment, binding, speech, properties)
    if verdict.reason.value == "http_status":
        verdict = await _ask(environment, binding, speech, {**properties, "expect_status": ANY_STATUS})
        code = next((word for word in verdict.evidence.split()[1:2] if word.isdigit()), "")
        properties["expect_status"] = f"200-399,{code}" if code else ANY_STATUS
    if verdict.outcome.value != "alive":
        return None
    return Found(speech.protocol, binding, speech.secure, verdict.evidence, properties)


async def _ask(environment: Environment, binding: str, speech: Speech, properties: dict[str, Any]) -> Verdict:
    from bindings.addresses import read_binding
    from bindings.model import Tls, VirtualServer
    from probe.monitor.once import probe_once

    told: dict[str, Any] = {**properties, "tls": Tls(**properties["tls"])} if "tls" in properties else properties
    server = VirtualServer(
        key=f"/{speech.protocol}/found",
        protocol=speech.protocol,  # type: ignore[arg-type] # a word of our own table
        bindings=(read_binding(binding, speech.secure),),
        probe_timeout_s=ASK_S,
        **told,
    )
    (result, *_) = await probe_once(environment, server)
    return result.verdict


def _metabase(found: list[Found]) -> dict[str, Any]:
    keys: dict[str, Any] = {}
    numbers: dict[str, int] = {}
    for one in sorted(found, key=lambda one: one.protocol):  # stable: by port within a protocol
        numbers[one.protocol] = number = numbers.get(one.protocol, 0) + 1
        keys[f"/{one.protocol}/{number}"] = {
            "comment": f"answered: {safe(one.evidence)}",
            "secure_bindings" if one.secure else "bindings": [one.binding],
            **one.properties,
        }
    return {"schema_version": 1, "revision": 1, "keys": keys}


def _tell(
    arguments: argparse.Namespace,
    store: Path,
    document: dict[str, Any],
    found: list[Found],
    silent: list[int],
    passed: list[int],
    *,
    written: bool,
) -> None:
    from probe.cli.listeners import NOT_ASKED

    if arguments.json:
        answered = [
            {"protocol": one.protocol, "binding": one.binding, "secure": one.secure, "evidence": one.evidence}
            for one in found
        ]
        shown = {"found": answered, "silent": silent, "not_asked": passed, "metabase": document}
        print_json({"store": str(store), "written": written, **shown})
        return
    style = Style(sys.stdout, colour=arguments.color)
    for one in found:
        shape = style.paint("green", "●" if style.unicode else "*")
        secure = " with TLS" if one.secure else ""
        unverified = ", its certificate not verified" if "tls" in one.properties else ""
        print(f"{shape} {one.binding} speaks {one.protocol}{secure}{unverified}: {safe(one.evidence)}")
    if silent:
        print(f"no mail or web server answered on {plural(len(silent), 'other port')}: {', '.join(map(str, silent))}")
    if passed:
        print(f"not asked: {', '.join(f'{port} ({NOT_ASKED[port]})' for port in passed)}")
    if not found:
        complain("init", "no mail or web server answers on this machine; looksalive demo brings some of its own")
    elif written:
        told = "" if store == DEFAULT_STORE else f" --store {store}"
        print(f"\nwritten: {store / STORE_FILES[0]}\nnext:    looksalive run{told}")
    else:
        print(json.dumps(document, indent=2))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 0 < int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"{text!r:.20} is not a port from 1 to 65535")
    return int(text)
