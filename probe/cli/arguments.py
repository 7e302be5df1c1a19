"""What can be said on the command line: the parsers of the commands in `commands.py`, and `main`.

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
from typing import NoReturn, Protocol, cast

from probe.cli.commands import (
    COMMANDS,
    EXIT_CANNOT_ASK,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PROBE_FAILED,
    EXIT_PROBE_UNKNOWN,
    EXIT_STORE,
    EXIT_UNUSABLE,
    EXIT_USAGE,
    Command,
)
from probe.version import __version__

__all__ = [
    "COMMANDS",
    "EXIT_CANNOT_ASK",
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_OK",
    "EXIT_PROBE_FAILED",
    "EXIT_PROBE_UNKNOWN",
    "EXIT_STORE",
    "EXIT_UNUSABLE",
    "EXIT_USAGE",
    "Command",
    "Parser",
    "command_parser",
    "main",
]


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence that names the option, and whose exit code is the command's own."""

    usage_exit: int = EXIT_USAGE
    intermixed = False  # whether a list of words may stand before, between and after the options

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
    arguments = (parser.parse_intermixed_args if parser.intermixed else parser.parse_args)(words[1:])
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
