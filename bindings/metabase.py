"""`metabase.json`: a tree of path keys, read into virtual servers.

`/` and `/PROTOCOL` hold defaults, `/PROTOCOL/NAME` is a virtual server. What a key says is laid over what the keys
above it say: objects entry by entry, everything else whole, and null takes away. A key whose raw text, and whose
defaults' raw texts, are those of the reading before keeps that reading's virtual server: the same object, which the
diff sees at once.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, cast

import msgspec

from bindings.addresses import WILDCARDS, numeric, rejects
from bindings.mistakes import Mistakes, kind_of, plain, shown
from bindings.model import PROTOCOLS, Binding, IpSecurity, Protocol, Tls, VirtualServer
from bindings.properties import DEFAULT_RULES, MERGED, PROTOCOLS_OF, RULES, VOLATILE
from bindings.rules import Rule, Whole
from bindings.splice import changed_piece
from bindings.syntax import (
    Pieces,
    decode_pieces,
    decode_text,
    decode_value,
    names_in,
    names_written,
    note_duplicates,
)
from bindings.watch import METABASE_FILE

SCHEMA_VERSION = 1
REVISION = Whole(0, 2**53 - 1)
TOP_NAMES = ("$schema", "schema_version", "revision", "keys")
EXAMPLE = '{"schema_version": 1, "keys": {"/smtp/1": {"bindings": ["127.0.0.1:25"]}}}'

NAME_PATTERN = "[A-Za-z0-9][A-Za-z0-9._-]{0,62}"
_KEY = re.compile(f"/({'|'.join(PROTOCOLS)})/({NAME_PATTERN})")
_DEFAULTS = ("/", *(f"/{protocol}" for protocol in PROTOCOLS))


class Layer(NamedTuple):
    """What a key hands down: values ready for VirtualServer, and the parts from which its objects were finished."""

    values: dict[str, Any]
    parts: dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Metabase:
    """A metabase that was read: its virtual servers, and the raw texts that tell next time what has changed."""

    revision: int = 0
    keys: Pieces = field(default_factory=dict)
    servers: dict[str, VirtualServer] = field(default_factory=dict)
    text: bytes | msgspec.Raw = b""  # of all keys
    changed: str | None = None  # the one virtual server that is not as in the reading before, if that is certain


EMPTY = Metabase()


def read_metabase(data: bytes, mistakes: Mistakes, before: Metabase = EMPTY) -> Metabase | None:
    """Read the file's text, noting every mistake. None when it is no document at all.

    After a mistake, `servers` lacks what could not be built; `keys` always has every key that was written.
    """
    mistakes.enter((), "")
    top = decode_text(data, mistakes)
    if top is None:
        return None
    revision = read_header(top, TOP_NAMES, mistakes)
    edited = _read_edit(data, top, before)
    if edited is not None:
        return replace(edited, revision=revision)
    keys = decode_pieces(top["keys"], "keys and their properties", mistakes, "keys") if "keys" in top else None
    if keys is None:
        if "keys" not in top:
            mistakes.add('"keys" is missing', hint=f"for example {EXAMPLE}")
        return None
    reading = _Reading(keys, before, mistakes)
    servers = reading.servers()
    if names_written(data) != len(top) + len(keys) + reading.names:
        note_duplicates(data, mistakes, 2)
    return Metabase(revision, keys, servers, top["keys"])


def _read_edit(data: bytes, top: Pieces, before: Metabase) -> Metabase | None:
    """Read the text where it differs from the reading before in one virtual server alone, which is sound.

    None where that is not certain: the whole text is read then, and tells its mistakes.
    """
    text = top.get("keys")
    if text is None or not before.text:
        return None
    inner = bytes(text)
    head, _, tail = data.partition(inner)  # counted without the keys: a call that takes long holds everybody up
    if names_written(head) + names_written(tail) != len(top):
        return None
    found = changed_piece(bytes(before.text), before.keys, inner)
    if found is None or not is_virtual_server(found[0]):
        return None
    key, piece = found
    mistakes = Mistakes(METABASE_FILE)
    some = {name: before.keys[name] for name in _DEFAULTS if name in before.keys} | {key: piece}
    reading = _Reading(some, before, mistakes)
    servers = reading.servers()
    if mistakes.count or reading.names != sum(map(names_written, some.values())):
        return None
    return Metabase(0, {**before.keys, key: piece}, {**before.servers, **servers}, text, key)


def read_header(top: Pieces, names: tuple[str, ...], mistakes: Mistakes) -> int:
    """Check what both files begin with; return the revision (0 when none is given)."""
    for name in top:
        if name not in names:
            mistakes.add_unknown("key", name, names)
    version = decode_value(top["schema_version"], mistakes, "schema_version") if "schema_version" in top else None
    if "schema_version" not in top:
        mistakes.add('"schema_version" is missing', hint=f'write "schema_version": {SCHEMA_VERSION}')
    elif version != SCHEMA_VERSION or isinstance(version, bool):
        mistakes.add(f"must be {SCHEMA_VERSION}, not {kind_of(version)}", "schema_version")
    if "$schema" in top and not isinstance(schema := decode_value(top["$schema"], mistakes, "$schema"), str):
        mistakes.add(f"must be a text, not {kind_of(schema)}", "$schema")
    if "revision" not in top:
        return 0
    return REVISION.read(decode_value(top["revision"], mistakes, "revision"), mistakes, ("revision",))


def is_virtual_server(key: str) -> bool:
    """Tell whether a key is that of a virtual server, `/PROTOCOL/NAME`."""
    return _KEY.fullmatch(key) is not None


class _Reading:
    """One reading of the keys: defaults first, wherever they stand, then each virtual server in its order."""

    def __init__(self, keys: Pieces, before: Metabase, mistakes: Mistakes) -> None:
        self.names = 0  # of the objects read, to be compared with the text
        self._keys = keys
        self._before = before
        self._mistakes = mistakes
        self._layers: dict[str, Layer | None] = {}  # by protocol; None: its defaults have mistakes
        self._fresh: dict[str, bool] = {}  # by protocol: no server of the reading before may be kept

    def servers(self) -> dict[str, VirtualServer]:
        """Read every key; return the virtual servers that could be built."""
        self._read_defaults()
        before, keep = self._before.keys, self._before.servers
        servers: dict[str, VirtualServer] = {}
        for key, raw in self._keys.items():
            match = _KEY.fullmatch(key)
            if match is None:
                if key not in _DEFAULTS:
                    self._refuse(key, raw)
                continue
            protocol = cast("Protocol", sys.intern(match[1]))  # the same few names, for every server
            if not self._fresh[protocol] and key in keep and before[key] == raw:
                servers[key] = keep[key]
                self.names += names_written(raw)
                continue
            server = self._read_server(key, protocol, raw)
            if server is not None:
                servers[key] = server
        return servers

    def _read_defaults(self) -> None:
        root = self._read_layer("/", DEFAULT_RULES, Layer({}, {}))
        for protocol in PROTOCOLS:
            above = root and Layer(
                {name: value for name, value in root.values.items() if name in RULES[protocol]},
                {name: part for name, part in root.parts.items() if name in RULES[protocol]},
            )
            key = f"/{protocol}"
            self._layers[protocol] = self._read_layer(key, RULES[protocol], above)
            self._fresh[protocol] = any(self._keys.get(k) != self._before.keys.get(k) for k in ("/", key))

    def _read_layer(self, key: str, rules: Mapping[str, Rule], above: Layer | None) -> Layer | None:
        if key not in self._keys:
            return above
        own = self._read_own(key, self._keys[key], rules)
        return None if own is None or above is None else Layer(_lay(above, own), _lay_parts(above, own))

    def _read_own(self, key: str, raw: msgspec.Raw, rules: Mapping[str, Rule]) -> dict[str, object] | None:
        """Read a key's own properties, None when there is a mistake in them."""
        mistakes = self._mistakes
        mistakes.enter(("keys", key), key)
        count = mistakes.count
        value = decode_value(raw, mistakes)
        if mistakes.count != count:
            return None
        if not isinstance(value, dict):
            mistakes.add(f"must be an object of properties, not {kind_of(value)}")
            return None
        self.names += len(value)
        own: dict[str, object] = {}
        for name, inner in value.items():
            rule = rules.get(name)
            if inner.__class__ is dict:
                self.names += names_in(inner)
            if rule is None:
                self._note_unknown(name, rules)
            else:
                own[name] = None if inner is None else rule.read(inner, mistakes, (name,))
        return own if mistakes.count == count else None

    def _note_unknown(self, name: str, rules: Mapping[str, Rule]) -> None:
        if name in VOLATILE:
            self._mistakes.add(f"{shown(name)} changes while the service runs: it is kept in runtime.json", name)
        elif name in PROTOCOLS_OF:
            self._mistakes.add_unknown("key", name, (), hint=f"it belongs to {', '.join(PROTOCOLS_OF[name])}")
        else:
            self._mistakes.add_unknown("key", name, rules)

    def _refuse(self, key: str, raw: msgspec.Raw) -> None:
        """Note what is wrong with a key's path; its properties are read too, so that they need no second try."""
        self._mistakes.enter(("keys", key), key)
        segments = key.split("/")[1:]
        if not key.startswith("/"):
            self._mistakes.add('a key begins with "/", such as "/smtp/1"')
        elif segments[0] not in PROTOCOLS:
            near = self._mistakes.nearest(segments[0], PROTOCOLS)
            self._mistakes.add(f"unknown protocol {shown(segments[0])}", hint=near or f"one of {', '.join(PROTOCOLS)}")
        elif len(segments) > 2:
            self._mistakes.add("a key has one segment (defaults) or two (a virtual server)")
        else:
            name = shown(segments[1])
            self._mistakes.add(f"{name} is no name: a letter or digit, then at most 62 letters, digits or . _ -")
        rules = RULES.get(segments[0] if segments else "", DEFAULT_RULES)
        self._read_own(key, raw, rules)

    def _read_server(self, key: str, protocol: Protocol, raw: msgspec.Raw) -> VirtualServer | None:
        own = self._read_own(key, raw, RULES[protocol])
        above = self._layers[protocol]
        if own is None or above is None:
            return None
        values = _lay(above, own)
        plain_ones: tuple[Binding, ...] = values.pop("bindings", ())
        secure_ones: tuple[Binding, ...] = values.pop("secure_bindings", ())
        server = VirtualServer(key=key, protocol=protocol, bindings=plain_ones + secure_ones, **values)
        self._check_whole(server, own, len(plain_ones))
        return server

    def _check_whole(self, server: VirtualServer, own: dict[str, object], plain_count: int) -> None:
        """Check what can be wrong only of a virtual server as a whole."""
        mistakes, tls = self._mistakes, server.tls
        if not server.bindings:
            mistakes.add('"bindings" or "secure_bindings" is missing', hint='for example "bindings": ["127.0.0.1:25"]')
        if (tls.client_cert_file is None) != (tls.client_key_file is None):
            has, lacks = ("client_cert_file", "client_key_file")[:: 1 if tls.client_cert_file is not None else -1]
            mistakes.add(f'"{has}" needs "{lacks}" beside it', *_step("tls", own))
        if server.ip_security is None:
            return
        if server.source is not None:
            if rejects(server.ip_security, server.source):
                mistakes.add(_rejected(server.source), *_step("source", own))
            return
        for index, binding in enumerate(server.bindings):
            if binding.address in WILDCARDS:
                continue  # the group's own address, which is not known here
            if numeric(binding.address) and rejects(server.ip_security, binding.address):
                name, at = ("bindings", index) if index < plain_count else ("secure_bindings", index - plain_count)
                mistakes.add(_rejected(binding.address), *_step(name, own, at))


def _rejected(address: str) -> str:
    return f"ip_security rejects {plain(address)}, the address from which the check connects"


def _step(name: str, own: dict[str, Any], *more: int) -> tuple[str | int, ...]:
    """Point at a property where the key gives it itself; an inherited one has no place in the key."""
    return (name, *more) if name in own else ()


def _lay(above: Layer, own: dict[str, Any]) -> dict[str, Any]:
    """Lay a key's own properties over what it inherits."""
    values = above.values.copy()
    for name, value in own.items():
        if value is None:
            values.pop(name, None)
        elif name in MERGED:
            values[name] = _finish(name, _merge(name, above.parts.get(name), value))
        else:
            values[name] = value
    return values


def _lay_parts(above: Layer, own: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Lay a key's own objects over the inherited ones, for those below to go on from."""
    kept = {name: part for name, part in above.parts.items() if name not in own}
    return kept | {name: _merge(name, above.parts.get(name), own[name]) for name in MERGED if own.get(name) is not None}


def _merge(name: str, above: dict[str, Any] | None, own: dict[str, Any]) -> dict[str, Any]:
    if above is None:
        return {entry: value for entry, value in own.items() if value is not None}
    if name == "headers":  # RFC 9110 section 5.1: names are one in any case
        written = {header.lower() for header in own}
        above = {header: value for header, value in above.items() if header.lower() not in written}
    return {entry: value for entry, value in (above | own).items() if value is not None}


def _finish(name: str, part: dict[str, Any]) -> object:
    if name == "headers":
        return tuple(part.items())
    return Tls(**part) if name == "tls" else IpSecurity(**part)
