"""LDAP over one stream: bind, STARTTLS, search, add, modify, delete (RFC 4511), one request at a time. Blocking.

LdapError
|-- LdapBroken    the connection is of no more use: closed, timed out, or what came is no LDAP
`-- LdapRefused   the server answered no: `code` is its result code (RFC 4511 appendix A)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from probe.directory import ber
from probe.environment.streams import Stream

MESSAGE_BYTES_MAX = 4 * 1024 * 1024
READ_BYTES = 65_536
ENTRIES_MAX = 100_000  # of one search
PAGE_SIZE = 200
TEXT_CHARS_MAX = 200  # of the server's own words

BASE, ONE_LEVEL, SUBTREE = 0, 1, 2
SUCCESS, NO_SUCH_OBJECT, NOT_ON_NON_LEAF, ALREADY_EXISTS = 0, 32, 66, 68

_START_TLS = "1.3.6.1.4.1.1466.20037"  # RFC 4511 section 4.14
_PAGED = "1.2.840.113556.1.4.319"  # RFC 2696
_REPLACE = 2
_ANSWER = {0x60: 0x61, 0x63: 0x65, 0x66: 0x67, 0x68: 0x69, 0x4A: 0x6B, 0x77: 0x78}
_ENTRY, _REFERENCE, _UNBIND = 0x64, 0x73, b"\x42\x00"

Attributes = Mapping[str, Sequence[str]]


class LdapError(Exception):
    """LDAP did not do what was asked; the text is a sentence."""


class LdapBroken(LdapError):
    """The connection is of no more use."""


class LdapRefused(LdapError):
    """The server answered with a result code other than success."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"result {code}{': ' if text else ''}{text}")
        self.code = code


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry found: its name as the server writes it, and the values asked for, by attribute in small letters."""

    dn: str
    attributes: Attributes


class LdapSession:
    """One connection; `timeout_s` is for one request with all its answers."""

    def __init__(self, stream: Stream, timeout_s: float) -> None:
        self._stream = stream
        self._timeout_s = timeout_s
        self._buffer = bytearray()
        self._number = 0

    def start_tls(self, server_name: str, ca_file: str | None) -> None:
        """Ask for TLS and begin it. Bytes that came before it are an injection (RFC 4511 section 4.14.1)."""
        self._ask(ber.sequence(ber.octets(_START_TLS, 0x80), tag=0x77))
        if self._buffer:
            raise LdapBroken(
                "there was plaintext behind the server's answer to STARTTLS; somebody may have put it there"
            )
        self.secure(server_name, ca_file)

    def secure(self, server_name: str, ca_file: str | None) -> None:
        """Begin TLS at once, as ldaps:// does."""
        try:
            self._stream.start_tls(server_name, ca_file)
        except (OSError, ValueError) as error:
            raise LdapBroken(f"TLS: {_words(error)}") from error

    def bind(self, dn: str, password: str) -> None:
        """Say who we are. An empty password would be an anonymous bind that succeeds (RFC 4513 section 5.1.2)."""
        assert password, "an empty password binds nobody"
        self._ask(ber.sequence(ber.integer(3), ber.octets(dn), ber.octets(password, 0x80), tag=0x60))

    def search(self, base: str, scope: int, object_class: str, attributes: Sequence[str]) -> list[Entry]:
        """Return every entry of a class, page by page. Raises LdapRefused (NO_SUCH_OBJECT: the base is not there).

        The filter is built as a value, never as a text: nothing of RFC 4515 is there to escape.
        """
        entries: list[Entry] = []
        cookie = b""
        while True:
            request = ber.sequence(
                ber.octets(base), ber.integer(scope, ber.ENUMERATED), ber.integer(0, ber.ENUMERATED),
                ber.integer(0), ber.integer(round(self._timeout_s)), ber.boolean(False),
                ber.sequence(ber.octets("objectClass"), ber.octets(object_class), tag=0xA3),
                ber.sequence(*map(ber.octets, attributes)), tag=0x63,
            )  # fmt: skip
            wanted = ber.sequence(ber.integer(PAGE_SIZE), ber.octets(cookie))
            control = ber.sequence(ber.octets(_PAGED), ber.boolean(False), ber.octets(wanted))
            cookie = self._ask(request, ber.sequence(control, tag=0xA0), entries)
            if not cookie:
                return entries

    def add(self, dn: str, attributes: Attributes) -> None:
        """Add an entry. Raises LdapRefused (ALREADY_EXISTS)."""
        values = (ber.sequence(ber.octets(name), _set(texts)) for name, texts in attributes.items())
        self._ask(ber.sequence(ber.octets(dn), ber.sequence(*values), tag=0x68))

    def replace(self, dn: str, attribute: str, texts: Sequence[str]) -> None:
        """Replace all values of an attribute in one step."""
        change = ber.sequence(ber.integer(_REPLACE, ber.ENUMERATED), ber.sequence(ber.octets(attribute), _set(texts)))
        self._ask(ber.sequence(ber.octets(dn), ber.sequence(change), tag=0x66))

    def delete(self, dn: str) -> None:
        """Delete an entry. Raises LdapRefused (NO_SUCH_OBJECT, NOT_ON_NON_LEAF)."""
        self._ask(ber.octets(dn, 0x4A))

    def close(self) -> None:
        """Say goodbye, if that can still be said, and close."""
        try:
            self._stream.limit(self._timeout_s)
            self._stream.send(ber.sequence(ber.integer(self._number + 1), _UNBIND))
        except OSError:
            pass  # it is closed, then
        self._stream.close()

    def _ask(self, request: bytes, controls: bytes = b"", entries: list[Entry] | None = None) -> bytes:
        """Send a request and read to its end; return the cookie of the next page, if there is one."""
        self._number += 1
        try:
            self._stream.limit(self._timeout_s)
            self._stream.send(ber.sequence(ber.integer(self._number), request, controls))
            while True:
                number, tag, content, rest = self._receive()
                if number == 0:
                    self._hear_goodbye(content)
                if number != self._number:
                    continue
                if tag == _ENTRY and entries is not None:
                    if len(entries) >= ENTRIES_MAX:
                        raise LdapBroken(f"more than {ENTRIES_MAX} entries were found")
                    entries.append(_entry(content))
                elif tag == _ANSWER[request[0]]:
                    _judge(content)
                    return _cookie(rest) if entries is not None else b""
                elif tag != _REFERENCE:  # another server's part of the tree is not ours to follow
                    raise LdapBroken(f"an answer of kind {tag:#x} where {_ANSWER[request[0]]:#x} belongs")
        except OSError as error:
            raise LdapBroken(_words(error)) from error
        except ber.BerError as error:
            raise LdapBroken(f"what it says is no LDAP: {error}") from error

    def _receive(self) -> tuple[int, int, bytes, bytes]:
        """Read one message: its number, the operation's tag and content, and the controls behind it."""
        while (size := ber.measure(self._buffer)) is None or len(self._buffer) < size:
            if size is not None and size > MESSAGE_BYTES_MAX:
                raise LdapBroken(f"a message of {size} bytes, more than {MESSAGE_BYTES_MAX}")
            piece = self._stream.receive(READ_BYTES)
            if not piece:
                raise LdapBroken("the server closed the connection")
            self._buffer += piece
            if self._buffer[0] != ber.SEQUENCE:  # said at once, not waited on: a mail server's banner, for example
                raise ber.BerError(f"it begins with {self._buffer[0]:#x}")
        message = ber.Reader(bytes(self._buffer[:size]))
        del self._buffer[:size]
        inner = ber.Reader(message.take(ber.SEQUENCE))
        number = inner.number()
        tag, content = inner.any()
        return number, tag, content, inner.take(0xA0) if inner.tag == 0xA0 else b""

    def _hear_goodbye(self, content: bytes) -> NoReturn:
        """An unsolicited message is a notice of disconnection (RFC 4511 section 4.4.1)."""
        try:
            _judge(content)
        except LdapRefused as refusal:
            raise LdapBroken(f"the server ended the connection: {refusal}") from refusal
        raise LdapBroken("the server ended the connection")


def _set(texts: Sequence[str]) -> bytes:
    return ber.sequence(*map(ber.octets, texts), tag=ber.SET)


def _entry(content: bytes) -> Entry:
    reader = ber.Reader(content)
    dn = reader.text()
    pairs = ber.Reader(reader.take(ber.SEQUENCE))
    attributes: dict[str, list[str]] = {}
    while pairs.more:
        pair = ber.Reader(pairs.take(ber.SEQUENCE))
        name, values = pair.text().lower(), ber.Reader(pair.take(ber.SET))
        texts = attributes.setdefault(name, [])
        while values.more:
            texts.append(values.text())
    return Entry(dn, attributes)


def _judge(content: bytes) -> None:
    """Raise LdapRefused for a result that is not success. What follows the three fields is not ours to read."""
    reader = ber.Reader(content)
    code, _, text = reader.number(ber.ENUMERATED), reader.text(), reader.text()
    if code != SUCCESS:
        raise LdapRefused(code, _plain(text))


def _cookie(controls: bytes) -> bytes:
    reader = ber.Reader(controls)
    while reader.more:
        control = ber.Reader(reader.take(ber.SEQUENCE))
        if control.text() == _PAGED:
            if control.tag == ber.BOOLEAN:
                control.any()
            page = ber.Reader(ber.Reader(control.take(ber.OCTETS)).take(ber.SEQUENCE))
            page.number()
            return page.take(ber.OCTETS)
    return b""


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text[:TEXT_CHARS_MAX])


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return _plain(str(getattr(error, "strerror", None) or error) or type(error).__name__)
