"""Options of `check` made from the store's own table of properties, so that the two cannot differ.

A value is only brought into the JSON type that its property wants; what is wrong with it is said by the store's parser.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from bindings.model import PROTOCOLS
from bindings.properties import PROPERTIES, Headers, Property
from bindings.rules import Choice, Fields, ListOf, Number, OneOrMore, Rule, Switch, Whole

FROM_URL = ("bindings", "secure_bindings")
WITHOUT_EFFECT = (  # on one probe; taken all the same, so that a store's properties can be tried as they are
    "comment",
    "poll_interval_s",
    "fast_interval_s",
    "rise",
    "fall",
    "auto_start",
)
METAVARS: dict[type, str] = {Number: "S", Whole: "N", Switch: "true|false", Headers: "'NAME: VALUE'"}


ABOUT_INSIDE = {
    "tls.ca_file": "Certificates that the peer's must lead to; by default the system's",
    "tls.verify": "Whether an untrusted certificate is a failure",
    "tls.server_name": "The name to ask for and to find in the certificate; by default the URL's host",
    "tls.client_cert_file": "A certificate to present",
    "tls.client_key_file": "The key of that certificate",
    "tls.min_version": "The oldest TLS version accepted",
    "ip_security.allow": "A network that the server's access list lets in",
    "ip_security.deny": "A network that the server's access list keeps out",
}


class Option(NamedTuple):
    """One option and the place of its value in a key of the metabase."""

    flag: str  # "--tls.ca-file"
    path: tuple[str, ...]  # ("tls", "ca_file")
    rule: Rule
    row: Property

    @property
    def protocols(self) -> tuple[str, ...]:
        """Name the protocols that have any use for it: what all of the store's have, gRPC has, too."""
        known = self.row.protocols
        return (*known, "grpc") if set(known) == set(PROTOCOLS) else known

    @property
    def dest(self) -> str:
        """Name the option's value in the parsed arguments."""
        return "property:" + ".".join(self.path)

    @property
    def repeats(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.rule, OneOrMore | ListOf | Headers)

    def json_value(self, said: Any) -> object:
        """Bring what was said into the JSON type that the property wants, or leave it for the parser to complain."""
        if isinstance(self.rule, Headers):
            return dict(_header(line) for line in said)
        return said if self.repeats else _scalar(self.rule, said)


def _flag(path: tuple[str, ...]) -> str:
    name = ".".join(path).removesuffix("_s").replace("_", "-")
    return f"--{'header' if name == 'headers' else name}"


def _options() -> Iterator[Option]:
    for row in PROPERTIES:
        if row.name in FROM_URL:
            continue
        if isinstance(row.rule, Fields):
            for name, rule in row.rule.rules.items():
                yield Option(_flag((row.name, name)), (row.name, name), rule, row)
        else:
            yield Option(_flag((row.name,)), (row.name,), row.rule, row)


OPTIONS: tuple[Option, ...] = tuple(_options())


def _scalar(rule: Rule, text: str) -> object:
    if isinstance(rule, Switch):
        return {"true": True, "false": False}.get(text, text)
    if isinstance(rule, Whole) and re.fullmatch(r"-?[0-9]{1,18}", text):
        return int(text)
    if isinstance(rule, Number) and re.fullmatch(r"-?[0-9]{1,18}(\.[0-9]{1,18})?", text):
        return float(text)
    return text


def _header(line: str) -> tuple[str, object]:
    """Read `NAME: VALUE`; `NAME:@FILE` keeps a secret out of the process list."""
    name, _, value = line.partition(":")
    if value.startswith("@"):
        return name.strip(), {"file": value[1:]}
    return name.strip(), value.strip()


def add_property_options(parser: argparse.ArgumentParser) -> None:
    """Add an option for every property of a virtual server but its bindings, which are the URLs."""
    main = parser.add_argument_group("properties of a virtual server, as in metabase.json")
    other = parser.add_argument_group(
        "further properties, taken as they are in the store; one probe does not need them"
    )
    for option in OPTIONS:
        group = other if option.row.name in WITHOUT_EFFECT else main
        group.add_argument(
            option.flag,
            dest=option.dest,
            metavar=_metavar(option),
            action="append" if option.repeats else "store",
            help=_about(option).replace("%", "%%"),
        )


def _metavar(option: Option) -> str:
    if isinstance(option.rule, Choice):
        return "|".join(option.rule.words)
    word = option.path[-1].removesuffix("_s").rpartition("_")[2].upper()
    return METAVARS.get(type(option.rule), word)


def _about(option: Option) -> str:
    about = re.sub(r" \(S[0-9]+\)", "", option.row.about).rstrip(".")
    if len(option.path) > 1:
        about = ABOUT_INSIDE.get(".".join(option.path), f"{about}: {option.path[-1]}")
    if isinstance(option.rule, Headers):
        about += "; 'NAME:@FILE' reads a secret from a file"
    if option.repeats:
        about += "; may be repeated"
    protocols = option.row.protocols
    return about if len(protocols) == len(PROTOCOLS) else f"{about} ({', '.join(protocols)})"


Said = Sequence[tuple[Option, Any]]


def said_properties(arguments: argparse.Namespace) -> Said:
    """Collect the options that were given."""
    values: Mapping[str, Any] = vars(arguments)
    return [(option, values[option.dest]) for option in OPTIONS if values[option.dest] is not None]


def key_of(said: Said, protocol: str) -> dict[str, object]:
    """Make a key of the metabase from what was said, as far as the protocol has it."""
    key: dict[str, Any] = {}
    for option, value in said:
        if protocol in option.protocols:
            inside = key
            for name in option.path[:-1]:
                inside = inside.setdefault(name, {})
            inside[option.path[-1]] = option.json_value(value)
    return key


def place_of(pointer: str) -> str:
    """Name the option that a mistake at this JSON pointer came from; empty when it was the URL."""
    steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[3:])
    for option in OPTIONS:
        if steps[: len(option.path)] == option.path:
            return option.flag
    return ""
