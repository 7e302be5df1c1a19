"""The head of an HTTP/1 response (RFC 9112): strict about its grammar, tolerant of what real servers send. Pure.

Tolerated: a bare LF as line end, a reason phrase that is missing together with its space, white space before a colon,
folded header lines, any byte but NUL, CR and LF in a value. Our own patterns use possessive repeats: linear time.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_STATUS_LINE = rb"HTTP/1\.[0-9] ([1-9][0-9][0-9])(?: [^\x00\r\n]*+)?"
_FIELD_LINE = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++[ \t]*+:[^\x00\r\n]*+"
_FOLDED_LINE = rb"[ \t][^\x00\r\n]*+"

STATUS_LINE = re.compile(_STATUS_LINE)
HEAD = re.compile(
    rb"(" + _STATUS_LINE + rb")\r?\n(?:" + _FIELD_LINE + rb"\r?\n(?:" + _FOLDED_LINE + rb"\r?\n)*+)*+\r?\n"
)
HEAD_END = re.compile(rb"\n\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_STATUS_LINE_START = b"HTTP/1."

LENGTH_DIGITS_MAX = 18


class Framing(NamedTuple):
    """How long the body is: `length` bytes, chunks, or (neither) until the stream ends."""

    length: int | None = None
    chunked: bool = False


def may_become_status_line(data: bytes) -> bool:
    """Say whether bytes that hold no line end yet can be the beginning of a status line."""
    return data.startswith(_STATUS_LINE_START) or _STATUS_LINE_START.startswith(data)


def framing_of(head: bytes, method: str) -> Framing:
    """Say how the body of this (final) response is delimited: RFC 9112 section 6.3, from the client's side.

    Raises ValueError when the Content-Length is no single number.
    """
    status = int(head[9:12])
    if method == "HEAD" or status in (101, 204, 304):
        return Framing(length=0)
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    for line in _FOLD.sub(b" ", head).split(b"\n")[1:]:
        name, _, value = line.partition(b":")
        match name.strip().lower():
            case b"content-length":
                lengths.update(part.strip() for part in value.split(b","))
            case b"transfer-encoding":
                codings.extend(part.strip().lower() for part in value.split(b","))
    if codings:
        return Framing(chunked=codings[-1] == b"chunked")
    if not lengths:
        return Framing()
    (length, *others) = lengths
    if others or not length.isdigit() or len(length) > LENGTH_DIGITS_MAX:
        raise ValueError("Content-Length is no single number")
    return Framing(length=int(length))
