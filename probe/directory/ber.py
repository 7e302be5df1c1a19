"""The part of ASN.1's basic encoding rules that LDAP uses (RFC 4511 section 5.1): definite lengths, short tags. Pure.

Rejected: a library. The two that are maintained bind C code that has to be compiled where it is installed, the pure one
is no longer released and not permissively licensed; and the seven messages we need are the few lines below.
"""

from __future__ import annotations

BOOLEAN, INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x01, 0x02, 0x04, 0x0A, 0x30, 0x31
LENGTH_BYTES_MAX = 4
INTEGER_BYTES_MAX = 8


class BerError(ValueError):
    """The bytes are no BER that LDAP allows."""


def tlv(tag: int, content: bytes) -> bytes:
    """Encode one value: tag, length, content."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Encode a whole number, in as few bytes as two's complement needs."""
    bits = (value if value >= 0 else ~value).bit_length()
    return tlv(tag, value.to_bytes(bits // 8 + 1, "big", signed=True))


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    """Encode bytes, or a text as UTF-8."""
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def boolean(value: bool) -> bytes:
    """Encode a truth value."""
    return tlv(BOOLEAN, b"\xff" if value else b"\x00")


def sequence(*parts: bytes, tag: int = SEQUENCE) -> bytes:
    """Encode values one after the other as one."""
    return tlv(tag, b"".join(parts))


class Reader:
    """Takes values off the front of some bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    @property
    def more(self) -> bool:
        """Whether anything is left."""
        return self._at < len(self._content)

    @property
    def tag(self) -> int:
        """The tag of the next value, -1 at the end."""
        return self._content[self._at] if self.more else -1

    def any(self) -> tuple[int, bytes]:
        """Take the next value, whatever it is. Raises BerError."""
        size = measure(self._content, self._at)
        if size is None or self._at + size > len(self._content):
            raise BerError("a value is cut off")
        tag, start = self._content[self._at], self._at + _header(self._content[self._at + 1])
        self._at += size
        return tag, self._content[start : self._at]

    def take(self, tag: int) -> bytes:
        """Take the next value, which has to have this tag. Raises BerError."""
        if self.tag != tag:
            raise BerError(f"tag {self.tag:#x} where {tag:#x} belongs")
        return self.any()[1]

    def number(self, tag: int = INTEGER) -> int:
        """Take a whole number. Raises BerError."""
        content = self.take(tag)
        if not 0 < len(content) <= INTEGER_BYTES_MAX:
            raise BerError(f"a number of {len(content)} bytes")
        return int.from_bytes(content, "big", signed=True)

    def text(self, tag: int = OCTETS) -> str:
        """Take a text; what is no UTF-8 shows as its escapes. Raises BerError."""
        return self.take(tag).decode("utf-8", "backslashreplace")


def measure(content: bytes | bytearray, at: int = 0) -> int | None:
    """Say how many bytes the value that begins at `at` takes; None if that cannot be seen yet. Raises BerError."""
    if len(content) < at + 2:
        return None
    if content[at] & 0x1F == 0x1F:
        raise BerError("a tag of several bytes")
    first = content[at + 1]
    if first < 0x80:
        return 2 + first
    count = first & 0x7F
    if not 0 < count <= LENGTH_BYTES_MAX:
        raise BerError("a length that LDAP does not allow")
    if len(content) < at + 2 + count:
        return None
    return 2 + count + int.from_bytes(content[at + 2 : at + 2 + count], "big")


def _header(first: int) -> int:
    return 2 if first < 0x80 else 2 + (first & 0x7F)
