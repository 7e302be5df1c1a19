"""Distinguished names as texts (RFC 4514), and how an object's properties are written as LDAP values. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn

_SPECIAL = frozenset('",+;<>\\')
_PAIR = re.compile(rb"\\([0-9A-Fa-f]{2})|\\(.)", re.DOTALL)
_OURS = re.compile(r"\s*(?:(type)|parameters\.([^\s:]+))\s*:\s*(.*?)\s*", re.IGNORECASE | re.DOTALL)
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_PERCENT = re.compile(rb"%([0-9a-fA-F]{2})")


class Several(tuple[object, ...]):
    """What another tool wrote more than once for one property: none of the values is the property's."""

    __slots__ = ()


def escape_value(text: str) -> str:
    """Escape an attribute's value for a distinguished name (RFC 4514 section 2.4)."""
    escaped = "".join(
        f"\\{char}" if char in _SPECIAL else "".join(f"\\{byte:02x}" for byte in char.encode()) if char < " " else char
        for char in text
    )
    if escaped[:1] in {" ", "#"}:
        escaped = f"\\{escaped}"
    if len(text) > 1 and text.endswith(" "):
        escaped = f"{escaped[:-1]}\\ "
    return escaped


def split_dn(text: str) -> list[tuple[str, str]]:
    """Take a name apart: attribute (small letters) and value of each part; of a part of several, the first pair.

    Raises ValueError for what is no distinguished name.
    """
    parts = []
    for part in _split(text, ","):
        attribute, equals, value = _split(part, "+")[0].partition("=")
        if not equals or not re.fullmatch(r"\s*[A-Za-z0-9.-]+\s*", attribute):
            raise ValueError(f"{part!r} is no ATTRIBUTE=VALUE")
        parts.append((attribute.strip().lower(), _unescape(value)))
    return parts


def _split(text: str, separator: str) -> list[str]:
    """Split at a separator that is not escaped (an escaped one may follow any number of escaped backslashes)."""
    parts, begin, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1
        elif text[at] == separator:
            parts.append(text[begin:at])
            begin = at + 1
        at += 1
    return [*parts, text[begin:]]


def _unescape(value: str) -> str:
    raw = value.strip(" ").encode()
    if raw.endswith(b"\\") and not raw.endswith(b"\\\\"):
        raw += b" "  # the strip took what was escaped
    return _PAIR.sub(lambda pair: bytes.fromhex(pair[1].decode()) if pair[1] else pair[2], raw).decode(
        "utf-8", "backslashreplace"
    )


@dataclass(frozen=True, slots=True)
class Written:
    """What the values of one LDAP object say; `remarks` are values that are none of ours."""

    type: str = ""
    properties: Mapping[str, object] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether any value has our form."""
        return bool(self.type or self.properties)


def write_values(type: str, properties: Mapping[str, object]) -> list[str]:
    """Write a type and its parameters as texts, one each: `type: "smtp"`, `parameters.virtual_server: "/smtp/1"`.

    All is ASCII, and no two differ in case alone: servers compare such values without regard to case and spaces.
    """
    named = [f"parameters.{_plain(name)}: {_json(value)}" for name, value in properties.items()]
    return [f"type: {_json(type)}", *named]


def read_values(values: Iterable[str]) -> Written:
    """Read what `write_values` wrote and others edited: a value that is no JSON counts as text."""
    types: list[object] = []
    found: dict[str, list[object]] = {}
    remarks = []
    for text in values:
        match = _OURS.fullmatch(text)
        if match is None:
            remarks.append(text)
        elif match[1]:
            types.append(_value(match[3]))
        else:
            found.setdefault(_name(match[2]), []).append(_value(match[3]))
    type = " and ".join(str(one) for one in sorted(types, key=str))  # two types are no type of ours: it shows as drift
    properties = {name: several[0] if len(several) == 1 else Several(several) for name, several in found.items()}
    return Written(type, properties, tuple(remarks))


def _plain(name: str) -> str:
    return "".join(char if char in _PLAIN else "".join(f"%{byte:02x}" for byte in char.encode()) for char in name)


def _name(plain: str) -> str:
    raw = plain.lower().encode()
    return _PERCENT.sub(lambda match: bytes.fromhex(match[1].decode()), raw).decode("utf-8", "backslashreplace")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=True, allow_nan=False)


def _value(text: str) -> object:
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(word)
