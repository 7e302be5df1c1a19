"""`looksalive set`: new properties for a resource that is there (S74): validated, stored, and when they take effect."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.cli.changing import add_change_flags, change_store, open_store
from probe.cli.session import parse_target

if TYPE_CHECKING:
    from probe.resources.changes import Change, Present


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the target and the words."""
    parser.add_argument("target", type=parse_target, metavar="GROUP/NAME", help="a resource of cluster.json")
    parser.intermixed = True  # type: ignore[attr-defined] # ours, see arguments.py
    parser.add_argument("words", nargs="+", metavar="KEY=VALUE", help="a property or parameter; KEY=null: its default")
    add_change_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Change the resource's entry."""
    from probe.cli.words import BadWord

    if "/" not in arguments.target:
        parser.error(f"set takes one resource; write {arguments.target}/NAME")
    opened = open_store(arguments, parser)
    try:
        return change_store(arguments, opened, lambda present: _plan(present, arguments))
    except BadWord as error:
        parser.error(str(error))


def _plan(present: Present, arguments: argparse.Namespace) -> Change:
    from probe.cli.words import BadWord, Said, hear_all, patch_of, split_word
    from probe.resources.altering import plan_properties
    from probe.resources.types import TYPES
    from probe.values import ResourceId

    id = ResourceId.parse(arguments.target)
    type = present.types(id.group).get(id.name, "")
    said, patch, words = Said(), dict[str, object](), []
    for key, text in map(split_word, arguments.words):
        names = [parameter.name for parameter in TYPES[type].parameters] if type in TYPES else []
        if key in ("group", "type"):
            patch[key] = text
        elif text == "null":
            patch = patch | ({"parameters": {**_inner(patch), key: None}} if key in names else {key: None})
        elif type in TYPES:
            words.append(("", said, type, key, text))
    hear_all(words)
    if said.server:
        server = present.group(id.group).resources[id.name].parameters.get("virtual_server")
        raise BadWord(
            f"{', '.join(said.server)}: that is its virtual server's; looksalive metabase set {server} KEY=VALUE"
        )
    heard = patch_of(said)
    parameters = {**_inner(patch), **_inner(heard)}
    return plan_properties(present, id, {**patch, **heard, **({"parameters": parameters} if parameters else {})})


def _inner(patch: dict[str, object]) -> dict[str, object]:
    inner = patch.get("parameters")
    return dict(inner) if isinstance(inner, dict) else {}
