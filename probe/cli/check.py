"""`looksalive check URL…`: ask servers once, exit as monitoring plugins do; and judge a kept dialogue anew."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from probe.cli.arguments import EXIT_OK, EXIT_PROBE_FAILED, EXIT_PROBE_UNKNOWN
from probe.cli.output import Style, print_json, safe
from probe.cli.properties import Said, add_property_options, key_of, place_of, said_properties
from probe.cli.urls import SCHEMES, UNIX, Asked, read_url

if TYPE_CHECKING:
    from bindings.model import StoreProblem, VirtualServer
    from probe.values import Outcome

URLS_MAX = 1000
URLS_AT_ONCE = 32  # each has an engine of its own
NAME = "check"  # of the virtual server that a URL becomes
BEYOND_THE_STORE = ("subject", "body_json")  # properties that come from a resource's type, not from metabase.json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the URLs and an option for every property of a virtual server."""
    schemes = ", ".join(f"{scheme}://" for scheme in SCHEMES)
    parser.add_argument("urls", nargs="*", metavar="URL", help=f"{schemes}; SCHEME{UNIX}:///path for a unix socket")
    parser.add_argument("--json", action="store_true", help="print one JSON object per URL, each on a line of its own")
    parser.add_argument(
        "--explain", action="store_true", help="show the dialogue as well: every piece with its time, secrets masked"
    )
    parser.add_argument(
        "--replay",
        metavar="FILE",
        help="ask nobody: judge the dialogues of FILE anew (what --explain --json printed, or the API's transcript; "
        "- is standard input) by the properties of then, changed as the options say",
    )
    add_property_options(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Ask every URL and print each answer in the order of the URLs; or replay a file."""
    if arguments.replay is not None:
        if arguments.urls or arguments.explain:
            parser.error("--replay asks nobody: leave out the URLs and --explain")
        return _replay(arguments, parser)
    if not arguments.urls:
        parser.error("the following arguments are required: URL (or --replay FILE)")
    if len(arguments.urls) > URLS_MAX:
        parser.error(f"{len(arguments.urls)} URLs are more than {URLS_MAX}")
    asked = [_asked(url, parser) for url in arguments.urls]
    said = said_properties(arguments)
    _refuse_useless(said, {one.protocol for one in asked}, "URL given", parser)
    import asyncio

    servers = [_server(one, said, parser) for one in asked]
    return asyncio.run(_ask(asked, servers, as_json=arguments.json, explains=arguments.explain))


def _replay(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Judge every dialogue of a file anew, without any network, and print the verdicts of then and now."""
    from probe.cli.answers import worst
    from probe.cli.transcripts import read_transcripts, replay_line, replay_object
    from probe.monitor.replay import replay
    from probe.monitor.transcript import ASKED

    place = f"--replay: {safe(arguments.replay)}"
    try:
        transcripts = read_transcripts(arguments.replay)
    except (OSError, ValueError) as error:
        parser.error(f"{place} {safe(error)}")
    said = said_properties(arguments)
    _refuse_useless(said, {one.protocol for one in transcripts}, "transcript", parser)
    style = Style(sys.stdout)
    outcomes = []
    for transcript in transcripts:
        properties = {name: value for name, value in transcript.asked.items() if name in ASKED}
        asked = Asked(place, "", transcript.protocol, transcript.binding, transcript.secure, properties)
        server = _server(asked, said, parser)
        try:
            now = replay(transcript, server, server.bindings[0])
        except ValueError as error:
            parser.error(f"{place} {safe(error)}")
        outcomes.append(now.outcome)
        if arguments.json:
            print_json(replay_object(transcript, now))
        else:
            print(replay_line(transcript, now, style))
    return _exit_of(worst(outcomes))


def _asked(url: str, parser: argparse.ArgumentParser) -> Asked:
    try:
        return read_url(url)
    except ValueError as error:
        parser.error(f"{safe(url)} {safe(error)}")


def _refuse_useless(said: Said, protocols: set[str], what: str, parser: argparse.ArgumentParser) -> None:
    """Refuse an option that none of what is asked has any use for: it would be believed to matter."""
    for option, _ in said:
        if not protocols & set(option.protocols):
            known = ", ".join(option.row.protocols)
            parser.error(f"{option.flag}: is for {known}; no {what} speaks that")


def _server(asked: Asked, said: Said, parser: argparse.ArgumentParser) -> VirtualServer:
    """Make the virtual server of a URL as the store would: the same parser says the same words about mistakes."""
    from bindings.metabase import SCHEMA_VERSION, read_metabase
    from bindings.mistakes import Mistakes

    key = f"/{'tcp' if asked.protocol == 'grpc' else asked.protocol}/{NAME}"
    own = {name: value for name, value in asked.properties.items() if name not in BEYOND_THE_STORE}
    properties = {**own, **key_of(said, asked.protocol)}
    properties["secure_bindings" if asked.secure else "bindings"] = [asked.binding]
    document = {"schema_version": SCHEMA_VERSION, "keys": {key: properties}}
    mistakes = Mistakes("")
    metabase = read_metabase(json.dumps(document).encode(), mistakes)
    problems = mistakes.summary()
    if problems or metabase is None:
        parser.error(f"\n{parser.prog}: ".join(_sentence(asked, problem) for problem in problems))
    server = metabase.servers[key]
    if server.body_match is not None:
        from probe.checks.pattern import Pattern

        try:
            Pattern(server.body_match)
        except ValueError as error:
            parser.error(f"--body-match: {safe(error)}")
    return _beyond_the_store(asked, server, parser)


def _beyond_the_store(asked: Asked, server: VirtualServer, parser: argparse.ArgumentParser) -> VirtualServer:
    """Add what no key of the metabase has: the protocol grpc, who is asked about, how a JSON body is judged."""
    from typing import get_args

    from msgspec.structs import replace

    from bindings.model import JsonJudgement

    subject, judged = asked.properties.get("subject", ""), asked.properties.get("body_json")
    if not isinstance(subject, str) or judged not in (None, *get_args(JsonJudgement)):
        parser.error(f"{asked.url} has a subject or a body_json that no check knows")
    return replace(server, protocol=asked.protocol, subject=subject, body_json=judged)


def _sentence(asked: Asked, problem: StoreProblem) -> str:
    hint = f"; {problem.hint}" if problem.hint else ""
    return f"{place_of(problem.pointer) or asked.url}: {safe(problem.message + hint)}"


async def _ask(asked: Sequence[Asked], servers: Sequence[VirtualServer], *, as_json: bool, explains: bool) -> int:
    import asyncio

    from probe.cli.answers import answer_lines, answer_object, worst
    from probe.environment import Environment
    from probe.environment.clock import LoopClock, SystemRandomness
    from probe.environment.files import RealFiles
    from probe.environment.network import RealNetwork
    from probe.environment.processes import RealProcesses
    from probe.monitor.once import probe_once
    from probe.monitor.rounds import judge

    environment = Environment(LoopClock(), SystemRandomness(), RealFiles(), RealNetwork(), RealProcesses())
    style = Style(sys.stdout)
    outcomes = []
    for start in range(0, len(asked), URLS_AT_ONCE):
        batch = servers[start : start + URLS_AT_ONCE]
        answered = await asyncio.gather(*(probe_once(environment, server, explains=explains) for server in batch))
        for one, server, results in zip(asked[start:], batch, answered, strict=False):
            result = judge(server.binding_policy, results)
            outcomes.append(result.verdict.outcome)
            since_start = environment.clock.wall() - environment.clock.now() if explains else None
            if as_json:
                print_json(answer_object(one, result, since_start))
            else:
                print(*answer_lines(one, result, style, since_start), sep="\n")
    return _exit_of(worst(outcomes))


def _exit_of(outcome: Outcome) -> int:
    return {"alive": EXIT_OK, "failed": EXIT_PROBE_FAILED, "unknown": EXIT_PROBE_UNKNOWN}[outcome]
