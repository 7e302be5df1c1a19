"""`looksalive completion`: scripts for bash, zsh and fish, made from the table of commands and their own parsers."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from probe.cli.arguments import COMMANDS, EXIT_OK, command_parser
from probe.cli.session import DEFAULT_URL, add_client_flags, parse_target

IDS_TIMEOUT_S = 1.0  # somebody sits there with a finger on the key
IDS_MAX = 5000
WHOM = ("--url", "--ca-file", "--client-cert-file", "--client-key-file")  # what ids are asked with
_WORDS = re.compile(r"[\w-]+(\|[\w-]+)+", re.ASCII)
_SCRIPTS = ("bash", "zsh", "fish")


class Value(NamedTuple):
    """What an option or a place takes: one of `words`, or by its `kind` a file, a dir, ids, or what nobody can list."""

    kind: str  # "words", "file", "dir", "ids" or "other"
    words: tuple[str, ...] = ()


class Option(NamedTuple):
    """One option under all its names; `value` None: it takes none."""

    names: tuple[str, ...]
    value: Value | None
    help: str


class Shape(NamedTuple):
    """What one command takes."""

    name: str
    summary: str
    options: tuple[Option, ...]
    places: tuple[Value, ...]  # the last one may be repeated


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell, and the flags of every client."""
    parser.add_argument(
        "shell", choices=(*_SCRIPTS, "ids"), metavar="bash|zsh|fish", help="the shell (ids: print groups and resources)"
    )
    add_client_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Print a script, or the ids that a script asks for."""
    del parser
    if arguments.shell == "ids":
        return _print_ids(arguments)
    script = _WRITERS[arguments.shell](list(shapes()))
    if arguments.json:
        from probe.cli.output import print_json

        print_json({"shell": arguments.shell, "script": script})
    else:
        print(script, end="")
    return EXIT_OK


def shapes() -> Iterator[Shape]:
    """Read what every command takes from its own parser."""
    for command in COMMANDS:
        parser = command_parser(command)
        importlib.import_module(f"probe.cli.{command.module}").add_arguments(parser)
        options, places = [], []
        for action in parser._actions:  # noqa: SLF001 - argparse lists its arguments nowhere else
            if action.help is argparse.SUPPRESS:
                continue
            value = None if action.nargs == 0 else _value_of(action)
            if action.option_strings:
                options.append(Option(tuple(action.option_strings), value, _plain(action.help or "")))
            elif value is not None:
                places.append(value)
        yield Shape(command.name, _plain(command.summary), tuple(options), tuple(places))


def _value_of(action: argparse.Action) -> Value:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if action.choices is not None:
        return Value("words", tuple(map(str, action.choices)))
    if _WORDS.fullmatch(metavar):
        return Value("words", tuple(metavar.split("|")))
    if action.type is parse_target or "GROUP" in metavar or metavar == "TARGET":
        return Value("ids")
    if metavar in ("DIR", "FILE"):
        return Value(metavar.lower())
    return Value("other")


def _plain(text: str) -> str:
    """Make a text that may stand in quotes of any shell: without quotes, brackets and what shells expand."""
    return re.sub(
        r"[^\w .,;/|()-]", "", text.replace("%%", "%").partition("  [")[0].replace("[", "(").replace("]", ")")
    )


def _print_ids(arguments: argparse.Namespace) -> int:
    """Print groups and resources, a line each; nothing when nobody answers at once, for a shell is waiting."""
    import asyncio
    import os

    from probe.cli.client import connected
    from probe.cli.errors import ServiceError
    from probe.cli.output import print_json, resource_objects
    from probe.cli.session import check_url
    from probe.cli.trust import trust_of

    async def ask() -> list[str]:
        url = check_url(arguments.url or os.environ.get("LOOKSALIVE_URL") or DEFAULT_URL)
        context = trust_of(arguments, os.environ).context() if url.startswith("https:") else None
        async with connected(url, context=context) as client:
            status = await client.ask("/api/v1/status", {"limit": str(IDS_MAX)}, IDS_TIMEOUT_S)
        return [resource["id"] for resource in resource_objects(status)]

    try:
        ids = asyncio.run(ask())
    except (ServiceError, ValueError, OSError):
        ids = []
    known = [id for id in ids if re.fullmatch(r"[\w./-]{1,127}", id, re.ASCII)]
    names = [*dict.fromkeys(id.partition("/")[0] for id in known), *known]
    if arguments.json:
        print_json(names)
    else:
        print(*names, sep="\n", end="\n" if names else "")
    return EXIT_OK


# --- bash ---

_BASH = """\
# bash completion of looksalive; made by: looksalive completion bash
_looksalive_ids() {{
    local asked=() at
    for ((at = 1; at < ${{#words[@]}} - 2; at++)); do
        case ${{words[at]}} in {whom}) asked+=("${{words[at]}}" "${{words[at + 1]}}") ;; esac
    done
    looksalive completion ids "${{asked[@]}}" 2>/dev/null
}}
_looksalive_fill() {{
    local kind=$1 current=$2
    case $kind in
        file) COMPREPLY=($(compgen -f -- "$current")); compopt -o filenames 2>/dev/null ;;
        dir) COMPREPLY=($(compgen -d -- "$current")); compopt -o filenames 2>/dev/null ;;
        ids) COMPREPLY=($(compgen -W "$(_looksalive_ids)" -- "$current")) ;;
        other) COMPREPLY=() ;;
        *) COMPREPLY=($(compgen -W "$kind" -- "$current")) ;;
    esac
}}
_looksalive() {{
    local line=${{COMP_LINE:0:COMP_POINT}} words current previous command options places
    read -ra words <<<"$line"
    if [[ $line == *[[:space:]] ]]; then current=; previous=${{words[-1]}}; words+=("");
    else current=${{words[-1]}}; previous=${{words[-2]}}; fi
    COMPREPLY=()
    if ((${{#words[@]}} <= 2)); then
        COMPREPLY=($(compgen -W "{commands} --help --version" -- "$current"))
        return
    fi
    command=${{words[1]}}
    case $command in
{cases}
        *) return ;;
    esac
    if [[ $current == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$current"))
        return
    fi
    case $command:$previous in
{values}
    esac
    local at count=0 skip=
    for ((at = 2; at < ${{#words[@]}} - 1; at++)); do
        if [[ $skip ]]; then skip=; continue; fi
        if [[ ${{words[at]}} == -* ]]; then
            case $command:${{words[at]}} in {valued}) skip=1 ;; esac
        else
            ((count += 1))
        fi
    done
    if ((${{#places[@]}} == 0)); then return; fi
    if ((count >= ${{#places[@]}})); then count=$((${{#places[@]}} - 1)); fi
    _looksalive_fill "${{places[count]}}" "$current"
}}
complete -F _looksalive looksalive
"""


def _bash(listed: list[Shape]) -> str:
    cases, values, valued = [], [], []
    for shape in listed:
        names = " ".join(name for option in shape.options for name in option.names)
        places = " ".join(f'"{_bash_kind(value)}"' for value in shape.places)
        cases.append(f'        {shape.name}) options="{names}"; places=({places}) ;;')
        for option in shape.options:
            if option.value is not None:
                patterns = "|".join(f"{shape.name}:{name}" for name in option.names)
                fill = f'_looksalive_fill "{_bash_kind(option.value)}" "$current"'
                values.append(f"        {patterns}) {fill}; return ;;")
                valued.append(patterns)
    return _BASH.format(
        whom="|".join(WHOM),
        commands=" ".join(shape.name for shape in listed),
        cases="\n".join(cases),
        values="\n".join(values),
        valued="|".join(valued),
    )


def _bash_kind(value: Value) -> str:
    return " ".join(value.words) if value.kind == "words" else value.kind


# --- zsh ---

_ZSH = """\
#compdef looksalive
# zsh completion of looksalive; made by: looksalive completion zsh
_looksalive_ids() {{
    local -a asked ids
    local at
    for ((at = 1; at < CURRENT - 1; at++)); do
        case ${{words[at]}} in {whom}) asked+=(${{words[at]}} ${{words[at + 1]}}) ;; esac
    done
    ids=(${{(f)"$(looksalive completion ids $asked 2>/dev/null)"}})
    compadd -a ids
}}
_looksalive() {{
    local -a commands
    if ((CURRENT == 2)); then
        commands=(
{commands}
        )
        _describe command commands
        return
    fi
    local command=${{words[2]}}
    shift words
    ((CURRENT--))
    case $command in
{cases}
    esac
}}
if [[ ${{funcstack[1]}} == _looksalive ]]; then _looksalive "$@"; else compdef _looksalive looksalive; fi
"""
_ZSH_FILLS = {"file": "_files", "dir": "_files -/", "ids": "_looksalive_ids", "other": " "}


def _zsh(listed: list[Shape]) -> str:
    cases = []
    for shape in listed:
        specs = [_zsh_option(option, name) for option in shape.options for name in option.names]
        for at, value in enumerate(shape.places):
            last = at == len(shape.places) - 1
            specs.append(f"'{'*' if last else at + 1}:{value.kind}:{_zsh_fill(value)}'")
        arguments = " \\\n                ".join(specs)
        cases.append(f"        {shape.name})\n            _arguments -s \\\n                {arguments} ;;")
    commands = "\n".join(f"            '{shape.name}:{shape.summary}'" for shape in listed)
    return _ZSH.format(whom="|".join(WHOM), commands=commands, cases="\n".join(cases))


def _zsh_option(option: Option, name: str) -> str:
    value = "" if option.value is None else f":{option.value.kind}:{_zsh_fill(option.value)}"
    equals = "=" if value and name.startswith("--") else ""  # the value may stand behind = or a blank
    return f"'*{name}{equals}[{option.help}]{value}'"


def _zsh_fill(value: Value) -> str:
    return f"({' '.join(value.words)})" if value.kind == "words" else _ZSH_FILLS[value.kind]


# --- fish ---

_FISH = """\
# fish completion of looksalive; made by: looksalive completion fish
function __looksalive_ids
    set -l words (commandline -opc)
    set -l asked
    for option in {whom}
        set -l at (contains -i -- $option $words)
        if test -n "$at"; and test (count $words) -gt $at
            set -a asked $option $words[(math $at + 1)]
        end
    end
    looksalive completion ids $asked 2>/dev/null
end
complete -c looksalive -f
"""
_FISH_FILLS = {
    "file": " -r -F",
    "dir": " -x -a '(__fish_complete_directories)'",
    "ids": " -x -a '(__looksalive_ids)'",
    "other": " -x",
}


def _fish(listed: list[Shape]) -> str:
    lines = []
    for shape in listed:
        lines.append(f"complete -c looksalive -n __fish_use_subcommand -a {shape.name} -d '{shape.summary}'")
        seen = f"complete -c looksalive -n '__fish_seen_subcommand_from {shape.name}'"
        for option in shape.options:
            names = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            lines.append(f"{seen} {names}{'' if option.value is None else _fish_fill(option.value)} -d '{option.help}'")
        for value in dict.fromkeys(shape.places):
            fill = _fish_fill(value).replace(" -r", "").replace(" -x", "")
            if fill:
                lines.append(f"{seen}{fill}")
    return _FISH.format(whom=" ".join(WHOM)) + "\n".join(lines) + "\n"


def _fish_fill(value: Value) -> str:
    return f" -x -a '{' '.join(value.words)}'" if value.kind == "words" else _FISH_FILLS[value.kind]


_WRITERS: dict[str, Callable[[list[Shape]], str]] = {"bash": _bash, "zsh": _zsh, "fish": _fish}
