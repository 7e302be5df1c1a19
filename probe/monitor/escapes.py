"""Bytes as printable ASCII and back: `\\xNN` for everything else and for the backslash. Pure."""

from __future__ import annotations

import re

_PLAIN = {byte: chr(byte) for byte in range(0x20, 0x7F) if byte != 0x5C}
_TEXT_OF = [_PLAIN.get(byte, f"\\x{byte:02x}") for byte in range(256)]
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")


def escape(data: bytes) -> str:
    """Write bytes so that they are safe anywhere; at most four characters a byte."""
    if data.isascii() and b"\\" not in data:
        text = data.decode("ascii")
        if text.isprintable():
            return text
    return "".join([_TEXT_OF[byte] for byte in data])


def unescape(text: str) -> bytes:
    """Read what `escape` wrote. Raises ValueError for anything else."""
    if not text.isascii() or not text.isprintable():
        raise ValueError("is not printable ASCII")
    data = _ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text.encode())
    if escape(data) != text:
        raise ValueError("has a backslash that begins no \\xNN")
    return data
