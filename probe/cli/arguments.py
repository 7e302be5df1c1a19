"""What can be said on the command line: the one table of commands, their parsers, and `main`.

Nothing here, nor in a command's module until it executes, imports aiohttp, uvloop or msgspec (`check` is the exception:
its options come from the store's own model). A parser is built for the one command that was named, never for all.
A command's module has `add_arguments(parser)` and `execute(arguments, parser) -> int`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple, NoReturn, Protocol, cast

from probe.version import __version__

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_CANNOT_ASK = 3  # for the commands that ask a running service
EXIT_UNUSABLE = 2  # for `replay`: a file that cannot be replayed, or not without a gap
EXIT_STORE = 78  # EX_CONFIG of sysexits.h
EXIT_INTERRUPTED = 130

EXIT_PROBE_FAILED = 2  # `check` exits as monitoring plugins do
EXIT_PROBE_UNKNOWN = 3


class Command(NamedTuple):
    """One row of the table of commands; the README's table and every `--help` are made from it."""

    name: str
    summary: str  # one line, imperative
    module: str  # under probe.cli
    examples: tuple[str, ...]
    exits: tuple[tuple[int, str], ...]
    usage_exit: int = EXIT_USAGE


_ASKED = ((EXIT_USAGE, "bad usage"), (EXIT_CANNOT_ASK, "the service cannot be asked"))
_VERB_EXITS = ((EXIT_OK, "accepted; with --wait: done"), (EXIT_FAILED, "refused, failed, or --timeout passed"), *_ASKED)
_RUN_EXITS = (
    (EXIT_OK, "stopped by SIGTERM or SIGINT"),
    (EXIT_FAILED, "cannot serve (the address is taken, the state folder cannot be written ...)"),
    (EXIT_USAGE, "bad usage"),
    (EXIT_STORE, "the store has mistakes; every one is printed"),
)

COMMANDS: tuple[Command, ...] = (
    Command(
        "run",
        "Watch what a store names and bring it back in dependency order.",
        "launch",
        ("looksalive run --store /etc/looksalive", "looksalive run --store ./store --listen [::1]:0 --log-format json"),
        _RUN_EXITS,
    ),
    Command(
        "check",
        "Ask servers once whether they are alive, with stage timings.",
        "check",
        (
            "looksalive check smtp://127.0.0.1 imaps://mail.example.org --probe-timeout 2",
            "looksalive check smtp://[::1]:587 --starttls required --tls.ca-file ca.pem --json",
            "looksalive check https://www.example.org/health --expect-status 200,204",
            "looksalive check smtp://127.0.0.1 --explain --json > said.json",
            "looksalive check --replay said.json --expect '220 mail.'",
        ),
        (
            (EXIT_OK, "all alive"),
            (EXIT_PROBE_FAILED, "at least one failed"),
            (EXIT_PROBE_UNKNOWN, "none failed, at least one is unknown; or bad usage"),
        ),
        EXIT_PROBE_UNKNOWN,
    ),
    Command(
        "validate",
        "Read a store and print every mistake in it.",
        "validate",
        ("looksalive validate --store /etc/looksalive",),
        ((EXIT_OK, "the store is good"), (EXIT_USAGE, "bad usage"), (EXIT_STORE, "the store has mistakes")),
    ),
    Command(
        "status",
        "Show the state of every resource of a running service.",
        "status",
        ("looksalive status", "looksalive status evs1/smtp --json"),
        ((EXIT_OK, "all alive"), (EXIT_FAILED, "something is not alive"), *_ASKED),
    ),
    Command(
        "wait",
        "Wait until resources have reached a state; also for the service itself to come up.",
        "wait",
        (
            "looksalive wait --for online evs1 --timeout 60",
            "looksalive wait --for failed default/smtp-1 --timeout 10",
            'looksalive wait --for alive evs1/store --timeout 120 && exec "$@"  # as a container\'s entrypoint',
        ),
        ((EXIT_OK, "reached"), (EXIT_FAILED, "the time-out passed first"), *_ASKED),
    ),
    Command(
        "online",
        "Bring a resource or a group online, providers first.",
        "verbs",
        ("looksalive online evs1/smtp --token-file token --wait",),
        _VERB_EXITS,
    ),
    Command(
        "offline",
        "Take a resource or a group offline, dependents first, and keep it there.",
        "verbs",
        ("looksalive offline evs1 --token-file token --wait --timeout 120",),
        _VERB_EXITS,
    ),
    Command(
        "restart",
        "Take a resource offline and bring it online again.",
        "verbs",
        ("looksalive restart evs1/imap --token-file token",),
        _VERB_EXITS,
    ),
    Command(
        "terminate",
        "End a resource at once, whatever state it is in.",
        "verbs",
        ("looksalive terminate evs1/pop3 --token-file token",),
        _VERB_EXITS,
    ),
    Command(
        "upgrade",
        "Take a resource offline, run its controller's upgrade, and bring it back; without any time-out.",
        "verbs",
        ("looksalive upgrade evs1/store --token-file token --wait --timeout 3600",),
        _VERB_EXITS,
    ),
    Command(
        "maintenance",
        "Let a group alone: nothing is started, stopped or killed, whatever happens; watching goes on.",
        "maintenance",
        (
            "looksalive maintenance evs1 --for 2h --owner anna --token-file token",
            "looksalive maintenance evs1 --off --token-file token",
        ),
        ((EXIT_OK, "done"), (EXIT_FAILED, "refused"), *_ASKED),
    ),
    Command(
        "move",
        "Have another node take a group.",
        "move",
        ("looksalive move evs1 --to node2 --token-file token",),
        ((EXIT_OK, "it moves"), (EXIT_FAILED, "refused: there is no such node, or no room there"), *_ASKED),
    ),
    Command(
        "drain",
        "Say that the stops to come are planned: nothing is restarted, nobody is to blame; for a preStop hook.",
        "drain",
        (
            "looksalive drain --wait --token-file /run/secrets/token  # as a container's preStop hook",
            "looksalive drain --off --token-file token",
        ),
        (
            (EXIT_OK, "done; with --wait: and nothing is under way"),
            (EXIT_FAILED, "refused, or --timeout passed"),
            *_ASKED,
        ),
    ),
    Command(
        "drift",
        "Show what differs between the store and the directory that other tools share, and mend it on request.",
        "drift",
        (
            "looksalive drift --store /etc/looksalive",
            "looksalive drift --store /etc/looksalive --policy push --directory ldaps://ldap.example.org/ou=mail,dc=example",
            "looksalive drift --store ./store --policy pull --json",
        ),
        (
            (EXIT_OK, "nothing differs; with --policy pull or push: any more"),
            (EXIT_FAILED, "something differs, or the store refused the write"),
            (EXIT_USAGE, "bad usage"),
            (EXIT_CANNOT_ASK, "the directory cannot be asked, or refused"),
            (EXIT_STORE, "the store has mistakes, or the directory's values would be some; every one is printed"),
        ),
    ),
    Command(
        "plan",
        "Say what an event would lead to now, step by step; nothing is done.",
        "plan",
        (
            "looksalive plan kill evs1/store",
            "looksalive plan offline evs1 --json",
            "looksalive plan reload ./edited --store /etc/looksalive",
        ),
        (
            (EXIT_OK, "foreseen"),
            (EXIT_FAILED, "it cannot happen, or would be refused"),
            *_ASKED,
            (EXIT_STORE, "with --store: the store has mistakes; every one is printed"),
        ),
    ),
    Command(
        "replay",
        "Step recorded decisions again: the same, or the first one that is another now.",
        "replay",
        ("looksalive replay /var/lib/looksalive/history.sqlite3", "looksalive replay copy.sqlite3 --from 1200 --json"),
        (
            (EXIT_OK, "all the same"),
            (EXIT_FAILED, "a decision differs; the first one is printed"),
            (EXIT_UNUSABLE, "bad usage; the file cannot be used; or a gap kept some from being replayed"),
        ),
    ),
    Command(
        "demo",
        "Run with four small embedded mail and web services to play with.",
        "demo",
        ("looksalive demo", "looksalive demo --listen 127.0.0.1:0"),
        _RUN_EXITS,
    ),
)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence that names the option, and whose exit code is the command's own."""

    usage_exit: int = EXIT_USAGE

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and where help is; exit with the command's code for bad usage."""
        text = message.removeprefix("argument ")
        self.exit(self.usage_exit, f"{self.prog}: {text}\nTry: {self.prog} --help\n")


class _Module(Protocol):
    def add_arguments(self, parser: argparse.ArgumentParser) -> None: ...
    def execute(self, arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line and return its exit code; never raises for a user's mistake."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `looksalive status | head`: nobody reads on; the interpreter's own flush must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_FAILED
    return code


def _dispatch(words: list[str]) -> int:
    try:
        return _carry_out(words)
    except SystemExit as ending:  # argparse's way to end: --help, --version, bad usage
        return ending.code if isinstance(ending.code, int) else EXIT_OK


def _carry_out(words: list[str]) -> int:
    command = next((command for command in COMMANDS if words and words[0] == command.name), None)
    if command is None:
        _explain(words)
    module = cast("_Module", importlib.import_module(f"probe.cli.{command.module}"))
    parser = command_parser(command)
    module.add_arguments(parser)
    arguments = parser.parse_args(words[1:])
    arguments.command = command.name
    return module.execute(arguments, parser)


def command_parser(command: Command) -> Parser:
    """Build the parser of one command, its examples and exit codes in the epilog; the options come from its module."""
    examples = "\n".join(f"  {example}" for example in command.examples)
    exits = "\n".join(f"  {code:<3} {meaning}" for code, meaning in command.exits)
    parser = Parser(
        prog=f"looksalive {command.name}",
        description=command.summary,
        epilog=f"{'example' if len(command.examples) == 1 else 'examples'}:\n{examples}\n\nexit codes:\n{exits}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.usage_exit = command.usage_exit
    return parser


def _explain(words: list[str]) -> NoReturn:
    """Answer a line that names no command: help, the version, or what is wrong with it."""
    parser = _top_parser()
    if not words:
        parser.print_help(sys.stderr)
        parser.exit(EXIT_USAGE)
    if words[0].startswith("-"):
        parser.parse_args(words)  # --help and --version end here, any other option is an error
    from difflib import get_close_matches  # only a mistake pays for it

    near = get_close_matches(words[0], [command.name for command in COMMANDS], 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    parser.error(f"there is no command {words[0]!r}{hint}")


def _top_parser() -> Parser:
    width = max(len(command.name) for command in COMMANDS)
    table = "\n".join(f"  {command.name:<{width}}  {command.summary}" for command in COMMANDS)
    parser = Parser(
        prog="looksalive",
        usage="looksalive COMMAND [OPTION ...]",
        description="The protocol-aware lifecycle sidecar for mail and web servers.",
        epilog=(
            f"commands:\n{table}\n\nexample:\n  looksalive demo\n\n"
            "exit codes:\n  each command's --help lists its own; bad usage is 2 (3 for check)"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"looksalive {__version__}")
    return parser
