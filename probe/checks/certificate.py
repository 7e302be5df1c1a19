"""What we want to know of a peer's certificate, read from its DER even when verification failed (RFC 5280 4.1). Pure.

A walk of bounded depth over the few fields needed, not a parser of X.509: the bytes are the peer's and nobody vouched
for them. Everything malformed is a ValueError.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from probe.values import evidence_of

CERTIFICATE_BYTES_MAX = 64 * 1024
NAMES_MAX = 100
EXTENSIONS_MAX = 100
LENGTH_BYTES_MAX = 4

_INTEGER, _OCTET_STRING, _OID, _UTC_TIME, _GENERALIZED_TIME, _SEQUENCE = 0x02, 0x04, 0x06, 0x17, 0x18, 0x30
_VERSION, _EXTENSIONS, _DNS_NAME, _IP_ADDRESS = 0xA0, 0xA3, 0x82, 0x87
_SUBJECT_ALTERNATIVE_NAME = bytes.fromhex("551d11")  # 2.5.29.17
_CENTURY_PIVOT = 50  # RFC 5280 4.1.2.5.1: YY of 50 and above is 19YY
_TIME_FORMS = {_UTC_TIME: 13, _GENERALIZED_TIME: 15}  # bytes of YYMMDDHHMMSSZ and YYYYMMDDHHMMSSZ


class _Element(NamedTuple):
    tag: int
    content: bytes


def not_after(der: bytes) -> float:
    """Return when the certificate ends, in POSIX seconds. Raises ValueError when it is malformed."""
    _serial, _algorithm, _issuer, validity = islice(_fields_of(der), 4)
    _, end = _exactly(2, _elements(_content(validity, _SEQUENCE)))
    return _posix_time(end)


def names(der: bytes) -> tuple[str, ...]:
    """Return the subject alternative names (DNS names and addresses), printable, at most `NAMES_MAX` of them.

    Raises ValueError when the certificate is malformed.
    """
    extensions = next((field for field in _fields_of(der) if field.tag == _EXTENSIONS), None)
    if extensions is None:
        return ()
    (listed,) = _exactly(1, _elements(extensions.content))
    for count, extension in enumerate(_elements(_content(listed, _SEQUENCE))):
        if count >= EXTENSIONS_MAX:
            raise ValueError("too many extensions")
        parts = list(_elements(_content(extension, _SEQUENCE)))
        if len(parts) not in (2, 3):
            raise ValueError("a malformed extension")
        if _content(parts[0], _OID) == _SUBJECT_ALTERNATIVE_NAME:
            (general_names,) = _exactly(1, _elements(_content(parts[-1], _OCTET_STRING)))
            return tuple(_names_in(_content(general_names, _SEQUENCE)))
    return ()


def _names_in(general_names: bytes) -> Iterator[str]:
    for count, name in enumerate(_elements(general_names)):
        if count >= NAMES_MAX:
            return
        if name.tag == _DNS_NAME:
            yield evidence_of(name.content)
        elif name.tag == _IP_ADDRESS:
            yield str(ipaddress.ip_address(name.content))


def _fields_of(der: bytes) -> Iterator[_Element]:
    """Yield the fields of tbsCertificate from the serial number on."""
    if len(der) > CERTIFICATE_BYTES_MAX:
        raise ValueError(f"a certificate of more than {CERTIFICATE_BYTES_MAX} bytes")
    certificate, *_ = _exactly(1, _elements(der))
    signed, *_ = _exactly(3, _elements(_content(certificate, _SEQUENCE)))
    fields = _elements(_content(signed, _SEQUENCE))
    first = _next(fields)
    if first.tag == _VERSION:
        first = _next(fields)
    _content(first, _INTEGER)
    yield first
    for _ in range(5):  # algorithm, issuer, validity, subject, key
        yield _next(fields)
    yield from fields


def _elements(data: bytes) -> Iterator[_Element]:
    """Yield the elements that lie one behind the other (X.690 8.1, definite lengths)."""
    at = 0
    while at < len(data):
        tag, content, at = _element_at(data, at)
        yield _Element(tag, content)


def _element_at(data: bytes, at: int) -> tuple[int, bytes, int]:
    header = data[at : at + 2]
    if len(header) < 2 or header[0] & 0x1F == 0x1F:
        raise ValueError("a truncated element, or one with a long tag")
    at += 2
    length = header[1]
    if length & 0x80:
        length_bytes = data[at : at + (length & 0x7F)]
        if not 1 <= len(length_bytes) <= LENGTH_BYTES_MAX or len(length_bytes) != length & 0x7F:
            raise ValueError("an element of indefinite, truncated or immense length")
        at += len(length_bytes)
        length = int.from_bytes(length_bytes, "big")
    content = data[at : at + length]
    if len(content) != length:
        raise ValueError("an element is longer than what holds it")
    return header[0], content, at + length


def _content(element: _Element, tag: int) -> bytes:
    if element.tag != tag:
        raise ValueError(f"an element of type {element.tag:#04x} where {tag:#04x} belongs")
    return element.content


def _next(elements: Iterator[_Element]) -> _Element:
    element = next(elements, None)
    if element is None:
        raise ValueError("a field is missing")
    return element


def _exactly(count: int, elements: Iterator[_Element]) -> list[_Element]:
    """Take what must be there exactly that often."""
    taken = list(elements)
    if len(taken) != count:
        raise ValueError(f"{len(taken)} elements where {count} belong")
    return taken


def _posix_time(element: _Element) -> float:
    text = element.content.decode("ascii")
    if len(text) != _TIME_FORMS.get(element.tag) or not text.endswith("Z") or not text[:-1].isdigit():
        raise ValueError("a time that is neither YYMMDDHHMMSSZ nor YYYYMMDDHHMMSSZ")
    if element.tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY_PIVOT else "20") + text
    year, *rest = int(text[:4]), *(int(text[at : at + 2]) for at in range(4, 14, 2))
    month, day, hour, minute, second = rest
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
