"""Which properties a virtual server has: one table, from which the parser and the published schema both come."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bindings.addresses import (
    HOST_PATTERN,
    IPV4_PATTERN,
    NAME_PATTERN,
    AddressMistake,
    check_host,
    check_numeric,
    read_binding,
    read_network,
)
from bindings.mistakes import Mistakes, Steps, kind_of, shown
from bindings.model import PROTOCOLS, Binding, Secret
from bindings.rules import (
    Choice,
    Fields,
    ListOf,
    Number,
    OneOrMore,
    Rule,
    Schema,
    Switch,
    Text,
    Whole,
)

BINDINGS_MAX = 256
HEADERS_MAX = 64
EXPECT_MAX = 64
NETWORKS_MAX = 1024
ROUNDS_MAX = 1000  # of rise and fall
STATUS_MIN, STATUS_MAX = 100, 599
VOLATILE = ("command", "state")  # live in runtime.json

_HEADER_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # RFC 9110 section 5.6.2
_STATUS = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_OURS = {  # headers that the check itself decides; twice given they are an attack or a hang
    "host": 'set the property "host"',
    "content-length": "the check sends no body",
    "transfer-encoding": "the check sends no body",
    "connection": "the check closes after one answer",
}


@dataclass(frozen=True, slots=True)
class BindingText:
    """`ADDRESS:PORT[:HOST]` or `unix:/path`, read into a Binding."""

    secure: bool

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> Binding:
        if isinstance(value, str) and len(value) <= 1024:
            try:
                return read_binding(value, self.secure)
            except AddressMistake as error:
                mistakes.add(str(error), *steps)
        else:
            mistakes.add(f'must be a text such as "127.0.0.1:25", not {kind_of(value)}', *steps)
        return Binding("", "", 0)

    def schema(self) -> Schema:
        tcp = r"(?:\[[0-9A-Fa-f:.]+\]|\*|[A-Za-z0-9.-]*):[1-9][0-9]{0,4}(?::(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+))?"
        return {"type": "string", "pattern": rf"^(?:unix:/[^\x00-\x1f\x7f]*|{tcp})$", "maxLength": 1024}


@dataclass(frozen=True, slots=True)
class SecretFile:
    """`{"file": "..."}`, read into a Secret."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> Secret:
        if not isinstance(value, dict) or set(value) != {"file"}:
            mistakes.add('must be {"file": "/path/of/the/secret"}', *steps)
            return Secret("")
        return Secret(_FILE.read(value["file"], mistakes, (*steps, "file")))

    def schema(self) -> Schema:
        properties = {"file": _FILE.schema()}
        return {"type": "object", "properties": properties, "required": ["file"], "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Headers:
    """Names to values, texts or secrets; nothing in them can end a line or contradict the request."""

    def read(self, value: object, mistakes: Mistakes, steps: Steps) -> dict[str, object]:
        if not isinstance(value, dict):
            mistakes.add(f"must be an object, not {kind_of(value)}", *steps)
            return {}
        if len(value) > HEADERS_MAX:
            mistakes.add(f"has {len(value)} headers, more than {HEADERS_MAX}", *steps)
            return {}
        seen: set[str] = set()
        for name in value:
            lower = name.lower()
            if not re.fullmatch(_HEADER_NAME, name):
                mistakes.add(f"{shown(name)} is not the name of a header", *steps, name)
            elif lower in _OURS:
                mistakes.add(f"the header {shown(name)} cannot be set: {_OURS[lower]}", *steps, name)
            elif lower in seen:
                mistakes.add(f"the header {shown(name)} is given twice (case does not tell them apart)", *steps, name)
            seen.add(lower)
        return {name: self._value(inner, mistakes, (*steps, name)) for name, inner in value.items()}

    def schema(self) -> Schema:
        value = {"anyOf": [_HEADER_VALUE.schema(), SecretFile().schema(), {"type": "null"}]}
        names: Schema = {"pattern": f"^{_HEADER_NAME}$", "not": {"pattern": _in_any_case(_OURS)}}
        return {"type": "object", "propertyNames": names, "additionalProperties": value, "maxProperties": HEADERS_MAX}

    def _value(self, value: object, mistakes: Mistakes, steps: Steps) -> object:
        if value is None:
            return None
        return (SecretFile() if isinstance(value, dict) else _HEADER_VALUE).read(value, mistakes, steps)


def _in_any_case(names: Iterable[str]) -> str:
    """Write names as a pattern that ignores case; schemas have no flag for it."""
    spelt = ("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in name) for name in names)
    return f"^(?:{'|'.join(spelt)})$"


def _check_status(text: str) -> None:
    for part in () if text == "any" else text.split(","):
        match = _STATUS.fullmatch(part)
        if match is None:
            raise ValueError(f'{shown(text)} is neither "any" nor codes and ranges such as "200-399,401"')
        low, high = match[1], match[2] or match[1]
        for code in (low, high):
            if not STATUS_MIN <= int(code[:9]) <= STATUS_MAX:
                raise ValueError(f"status {shown(code)} is not between {STATUS_MIN} and {STATUS_MAX}")
        if int(low) > int(high):
            raise ValueError(f"the range {part} ends before it begins")


def _check_host_header(text: str) -> None:
    host, colon, port = text.rpartition(":")
    if colon and not text.endswith("]"):
        read_binding(f"127.0.0.1:{port}", False)
        text = host
    if text.startswith("["):
        check_host(text)


def _check_helo(text: str) -> None:
    if text.startswith("[IPv6:"):
        check_numeric(text[6:-1])


def _check_server_name(text: str) -> None:
    if ":" in text:
        check_numeric(text)


_HELO = rf"{NAME_PATTERN}|\[{IPV4_PATTERN}\]|\[IPv6:[0-9A-Fa-f:.]+\]"
_FILE = Text("the path of a file")
_HEADER_VALUE = Text("one line of printable ASCII", r"[\t\x20-\x7e]*")
_EXPECT = Text("one line of text")
_NETWORK = Text("a network such as 10.0.0.0/8", check=read_network, chars_max=64)
_NETWORKS = ListOf(_NETWORK, NETWORKS_MAX, "a list of networks")
_TLS = Fields(
    {
        "ca_file": _FILE,
        "verify": Switch(),
        "server_name": Text(
            "a host name or an address",
            f"{NAME_PATTERN}|{IPV4_PATTERN}|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*",
            _check_server_name,
            253,
        ),
        "client_cert_file": _FILE,
        "client_key_file": _FILE,
        "min_version": Choice(("1.0", "1.1", "1.2", "1.3")),
    }
)


class Property(NamedTuple):
    """One property: which protocols have it, what it must be, what it is for."""

    name: str
    protocols: tuple[str, ...]
    rule: Rule
    about: str


_ALL = PROTOCOLS
_SMTP = ("smtp", "lmtp")
_MAIL = ("smtp", "lmtp", "pop3", "imap")
_GREETED = (*_MAIL, "tcp")
_HTTP = ("http",)

PROPERTIES: tuple[Property, ...] = (
    Property("comment", _ALL, Text("a text", None), "For people; nothing reads it."),
    Property("bindings", _ALL, ListOf(BindingText(False), BINDINGS_MAX, "a list of bindings"),
             "Addresses to ask: ADDRESS:PORT[:HOST] or unix:/path."),
    Property("secure_bindings", _ALL, ListOf(BindingText(True), BINDINGS_MAX, "a list of bindings"),
             "Addresses that speak TLS from the first byte on."),
    Property("binding_policy", _ALL, Choice(("all", "any", "first")), "How several bindings make one verdict (S33)."),
    Property("expect", _GREETED, OneOrMore(ListOf(_EXPECT, EXPECT_MAX, "a list of texts", items_min=1)),
             "What the greeting must begin with; by default what the protocol says (S31)."),
    Property("starttls", _MAIL, Choice(("off", "required")), "Whether plain bindings must upgrade to TLS."),
    Property("tls", _ALL, _TLS, "How the peer's certificate is judged, and what is presented."),
    Property("source", _ALL, Text("a numeric address", check=check_numeric, chars_max=64),
             "The address to ask from; by default the binding's own where it is local (S34)."),
    Property("proxy_protocol", _ALL, Choice(("off", "v1", "v2")), "The PROXY header to send first."),
    Property("helo_name", _SMTP, Text("a host name (RFC 5321 section 4.1.1.1)", _HELO, _check_helo, 255),
             "The name given in EHLO or LHLO."),
    Property("path", _HTTP, Text('a path: "/" first, then printable ASCII, no space and no "#"', r"/[!\x22$-~]*"),
             "What to GET (S35)."),
    Property("host", _HTTP, Text("a host name", f"(?:{HOST_PATTERN})(?::[1-9][0-9]*)?", _check_host_header, 260),
             "The Host header; by default the binding's."),
    Property("method", _HTTP, Text("an HTTP method such as GET", _HEADER_NAME, chars_max=32),
             "The method of the request."),
    Property("headers", _HTTP, Headers(), "Further headers of the request."),
    Property("expect_status", _HTTP, Text('a text such as "200-399"', check=_check_status, chars_max=1024),
             'Statuses that mean alive: "any", or codes and ranges with commas.'),
    Property("body_match", _HTTP, Text("a pattern", r"[\s\S]+"), "RE2 pattern that the first 64 KiB of the body hold."),
    Property("probe_timeout_s", _ALL, Number(), "Seconds for the whole dialogue (S32)."),
    Property("poll_interval_s", _ALL, Number(0.1), "Seconds between two checks (S9)."),
    Property("fast_interval_s", _ALL, Number(0.1), "Seconds to the next check after a first failure (S67)."),
    Property("polite", _ALL, Switch(), "Whether to take leave (QUIT, LOGOUT) before closing."),
    Property("rise", _ALL, Whole(1, ROUNDS_MAX), "Good checks in a row that make it alive."),
    Property("fall", _ALL, Whole(1, ROUNDS_MAX), "Failed checks in a row that make it not alive."),
    Property("ip_security", _ALL, Fields({"allow": _NETWORKS, "deny": _NETWORKS}),
             "The server's access list; one that keeps the check out is an error (S34)."),
    Property("auto_start", _ALL, Switch(), "Whether to bring it online at start when nothing else was asked for."),
)  # fmt: skip

MERGED = ("tls", "headers", "ip_security")  # objects: inherited key by key

RULES: dict[str, dict[str, Rule]] = {
    protocol: {row.name: row.rule for row in PROPERTIES if protocol in row.protocols} for protocol in PROTOCOLS
}
DEFAULT_RULES: dict[str, Rule] = {row.name: row.rule for row in PROPERTIES}  # at `/`: what any protocol has
PROTOCOLS_OF: dict[str, tuple[str, ...]] = {row.name: row.protocols for row in PROPERTIES}
