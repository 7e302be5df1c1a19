"""`looksalive create`: make one resource, or by a system-attendant the whole group of the reference (S10, S15 to S18).

Without a word about what is wanted, and with somebody there to be asked, it asks for every property (`wizard.py`).
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from probe.cli.arguments import EXIT_STORE
from probe.cli.changing import add_change_flags, change_store, on_terminal, open_store
from probe.cli.output import complain
from probe.cli.session import nearest, parse_target

if TYPE_CHECKING:
    from probe.cli.words import Said
    from probe.resources.changes import Change, Present

ATTENDANT = "system-attendant"
PROTOCOLS = ("smtp", "pop3", "imap", "http")
SERVICES = ("sa", "store", "mta", "routing", "search", *PROTOCOLS)
MEMBER_FLAGS = (  # what most groups need, as flags; everything else is a word MEMBER.KEY=VALUE
    ("--ip", "CIDR", "ip.address", "the group's address, `192.0.2.7/24`"),
    ("--network-name", "NAME", "network.name", "the group's host name"),
    ("--disk", "PATH", "disk.mount_point", "where the group's disk is mounted"),
    ("--store-health", "URL", "store.health", "where the store says which names it serves"),
    ("--search-health", "URL", "search.health", "where the index is asked for"),
    *((f"--{name}", "BINDING", f"{name}.bindings", f"where {name} listens, more than once if need be")
      for name in PROTOCOLS),
    *((f"--{name}-controller", "CONTROLLER", f"{name}.controller", f"who starts and stops {name}")
      for name in SERVICES),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the type, the target, the words and the flags of a whole group."""
    parser.intermixed = True  # type: ignore[attr-defined] # ours, see arguments.py
    parser.add_argument("type", metavar="TYPE", help="system-attendant (the whole group), smtp, information-store, ...")
    parser.add_argument("target", type=parse_target, metavar="GROUP[/NAME]", help="where, and how it is called")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="properties; of a group MEMBER.KEY=VALUE")
    parser.add_argument(
        "--controller", help="who starts and stops it: none, systemd:UNIT, 'process:PROGRAM ARGS', {...}"
    )
    parser.add_argument("--binding", action="append", default=[], help="where it listens: ADDRESS:PORT")
    parser.add_argument("--virtual-server", metavar="PATH", help="a key of metabase.json that is there already")
    group = parser.add_argument_group("a whole group (system-attendant)")
    for flag, metavar, word, about in MEMBER_FLAGS:
        group.add_argument(flag, action="append", default=[], dest=word, metavar=metavar, help=about)
    group.add_argument("--without", action="append", default=[], metavar="TYPE", help="make the group without it")
    group.add_argument("--owner", action="append", default=[], metavar="NODE", help="a node that may own the group")
    add_change_flags(parser)


def execute(arguments: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Understand what is wanted, or ask for it, and make it."""
    from probe.cli.words import BadWord
    from probe.resources.types import TYPES

    if arguments.type not in TYPES:
        parser.error(f"there is no type {arguments.type!r}{nearest(arguments.type, TYPES)}")
    whole = arguments.type == ATTENDANT
    if not whole and "/" not in arguments.target:
        parser.error(f"say how the {arguments.type} is called: {arguments.target}/NAME")
    opened = open_store(arguments, parser)
    try:
        said, asked = _understand(arguments, parser, whole=whole)
        if not asked and on_terminal() and not arguments.yes:
            from probe.cli.wizard import Wizard

            return change_store(arguments, opened, lambda present: Wizard(input, print).ask(present, arguments))
    except BadWord as error:
        parser.error(str(error))
    except EOFError:
        parser.error("the questions broke off; nothing was written")
    code = change_store(arguments, opened, lambda present: plan(present, arguments, said))
    if code == EXIT_STORE and whole and not arguments.json:
        complain("create", "nothing was written; a group can also be made --without search, mta, routing or a protocol")
    return code


def plan(present: Present, arguments: argparse.Namespace, said: dict[str, Said]) -> Change:
    """Plan the creation of what was said. Raises Refused."""
    from probe.resources.creation import plan_group, plan_resource
    from probe.values import ResourceId

    group, _, name = arguments.target.partition("/")
    wanted = {type: each.wanted() for type, each in said.items()}
    if arguments.type == ATTENDANT:
        without = {_type_of(word) for word in arguments.without}
        return plan_group(present, group, wanted, name=name, without=without, owners=arguments.owner)
    return plan_resource(present, ResourceId(group, name), arguments.type, wanted[arguments.type])


def _understand(
    arguments: argparse.Namespace, parser: argparse.ArgumentParser, *, whole: bool
) -> tuple[dict[str, Said], bool]:
    """Sort the flags and words by type; say whether there were any. Raises BadWord."""
    from probe.cli.words import BadWord, Said, hear_all, split_word

    said = {} if whole else {arguments.type: Said()}
    member_words = [(word, text) for _, _, word, _ in MEMBER_FLAGS for text in getattr(arguments, word)]
    own_words = [("bindings", text) for text in arguments.binding]
    own_words += [("controller", arguments.controller)] if arguments.controller else []
    own_words += [("virtual_server", arguments.virtual_server)] if arguments.virtual_server else []
    if whole and own_words:
        parser.error(
            "--controller, --binding and --virtual-server are one resource's; of a group say whose: --smtp ..."
        )
    if not whole and (member_words or arguments.without or arguments.owner):
        parser.error(f"flags of a whole group do not go with {arguments.type}; write KEY=VALUE, or --binding")
    pairs = [*member_words, *own_words, *map(split_word, arguments.words)]
    words = []
    for key, text in pairs:
        type, member, inner = (arguments.type, "", key)
        if whole:
            member, dot, inner = key.partition(".")
            type = _type_of(member)
            if not dot:
                raise BadWord(f"{key!r}: of which member? Write MEMBER.KEY=VALUE, for example store.health=http://...")
        words.append((f"{member}: " if member else "", said.setdefault(type, Said()), type, inner, text))
    hear_all(words)
    return said, bool(pairs or arguments.without or arguments.owner)


def _type_of(word: str) -> str:
    """Find the type of a member that was called by its usual name or by its type. Raises BadWord."""
    from probe.cli.words import BadWord
    from probe.resources.defaults import MEMBERS

    for member in MEMBERS:
        if word in (member.name, member.type):
            return member.type
    names = [member.name for member in MEMBERS]
    raise BadWord(f"a group has no member {word!r}{nearest(word, names)}; its members are {', '.join(names)}")
