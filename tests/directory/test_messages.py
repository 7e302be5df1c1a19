"""The LDAP conversation against a scripted server: bounds, any segmentation, and servers that say something else."""

from __future__ import annotations

import errno
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.directory import ber
from probe.directory.contract import DirectoryError, DirectoryObject
from probe.directory.ldap import LdapDirectory, LdapPlace
from probe.directory.messages import BASE, MESSAGE_BYTES_MAX, Entry, LdapBroken, LdapRefused, LdapSession
from probe.environment.streams import Stream
from probe.values import ResourceId

DONE, BOUND, EXTENDED, ENTRY = 0x65, 0x61, 0x78, 0x64


class Script:
    """`Stream` that says what it was given, in pieces; `sent` is what it was told."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.closed = False
        self.secured = False

    def limit(self, seconds: float) -> None:
        """Take no notice."""

    def send(self, content: bytes) -> None:
        """Remember."""
        self.sent += content

    def receive(self, bytes_max: int) -> bytes:
        """Say the next piece; b"" after the last."""
        return self.pieces.pop(0) if self.pieces else b""

    def start_tls(self, server_name: str, ca_file: str | None) -> None:
        """Remember."""
        self.secured = True

    def close(self) -> None:
        """Remember."""
        self.closed = True


def message(number: int, tag: int, *parts: bytes) -> bytes:
    """One message of a server."""
    return ber.sequence(ber.integer(number), ber.sequence(*parts, tag=tag))


def result(number: int, tag: int, code: int = 0, text: str = "") -> bytes:
    """An LDAPResult."""
    return message(number, tag, ber.integer(code, ber.ENUMERATED), ber.octets(""), ber.octets(text))


def entry(number: int, dn: str, *values: str) -> bytes:
    """A found entry with these descriptions."""
    texts = ber.sequence(*map(ber.octets, values), tag=ber.SET)
    return message(number, ENTRY, ber.octets(dn), ber.sequence(ber.sequence(ber.octets("Description"), texts)))


def session(*pieces: bytes) -> tuple[LdapSession, Script]:
    """A session with a scripted server."""
    script = Script(*pieces)
    return LdapSession(script, 5.0), script


ANSWER = entry(1, "cn=a,ou=g,dc=x", 'type: "smtp"') + result(1, DONE)


@given(st.lists(st.integers(0, len(ANSWER)), max_size=6).map(sorted))
def test_any_segmentation(cuts: list[int]) -> None:
    """However the answer is cut into pieces, it is the same answer."""
    pieces = [ANSWER[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(ANSWER)], strict=True)]
    asked, _ = session(*(piece for piece in pieces if piece))
    expected = [Entry("cn=a,ou=g,dc=x", {"description": ['type: "smtp"']})]
    assert asked.search("dc=x", BASE, "device", ["description"]) == expected


def test_late_answers_and_referrals_are_passed_over() -> None:
    """Answers to another request, and references to other servers, are not taken for ours."""
    strange = entry(7, "cn=b,dc=x") + result(7, DONE, 1) + message(1, 0x73, ber.octets("ldap://other/"))
    asked, _ = session(strange + ANSWER)
    assert [one.dn for one in asked.search("dc=x", BASE, "device", [])] == ["cn=a,ou=g,dc=x"]


def test_plaintext_behind_starttls() -> None:
    """Bytes behind the answer to STARTTLS are an injection: no TLS is begun, nothing of them is believed."""
    asked, script = session(result(1, EXTENDED) + result(2, BOUND))
    with pytest.raises(LdapBroken, match="plaintext behind"):
        asked.start_tls("h", None)
    assert not script.secured
    asked, script = session(result(1, EXTENDED))
    asked.start_tls("h", None)
    assert script.secured
    asked, script = session(result(1, EXTENDED, 52, "no TLS here"))
    with pytest.raises(LdapRefused, match="result 52: no TLS here"):
        asked.start_tls("h", None)
    assert not script.secured


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (b"", "closed the connection"),
        (ANSWER[:20], "closed the connection"),
        (b"220 mail.example.org ESMTP\r\n", "no LDAP"),
        (b"\x30\x84\x7f\xff\xff\xff", f"more than {MESSAGE_BYTES_MAX}"),
        (result(1, BOUND), "an answer of kind 0x61 where 0x65 belongs"),
        (result(0, EXTENDED, 52, "going down"), "ended the connection: result 52: going down"),
        (result(0, EXTENDED), "ended the connection"),
        (message(1, DONE), "no LDAP"),
    ],
)
def test_a_server_that_says_something_else(said: bytes, message: str) -> None:
    """Whatever else comes is an LdapBroken that says what; nothing larger than a message may be is waited for."""
    asked, _ = session(*([said] if said else []))
    with pytest.raises(LdapBroken, match=message):
        asked.search("dc=x", BASE, "device", [])


@given(st.binary(max_size=60))
def test_any_bytes(said: bytes) -> None:
    """Whatever bytes come, the end is an answer, an LdapRefused or an LdapBroken."""
    asked, _ = session(*([said] if said else []))
    with pytest.raises((LdapBroken, LdapRefused)):
        asked.delete("cn=a,dc=x")


def test_a_servers_words_are_data() -> None:
    """What a server says of itself is printable and bounded before anybody sees it."""
    asked, _ = session(result(1, 0x6B, 53, "no\x1b[2J\n" + "x" * 1000))
    with pytest.raises(LdapRefused) as caught:
        asked.delete("cn=a,dc=x")
    assert str(caught.value).startswith("result 53: no?[2J?xxx")
    assert len(str(caught.value)) < 250


class _Once:
    """`Streams` that hands out one script."""

    def __init__(self, script: Script) -> None:
        self._script = script

    def connect(self, host: str, port: int, timeout_s: float) -> Stream:
        """Give the script."""
        return self._script


class _Refusing:
    """`Streams` of a machine where nobody listens."""

    def connect(self, host: str, port: int, timeout_s: float) -> Stream:
        """Refuse."""
        raise ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def test_the_connection_is_closed_whatever_happens() -> None:
    """After an answer, a refusal and a lie alike the connection is closed, with a goodbye where that can be said."""
    for said in (ANSWER, result(1, DONE, 53), b"nonsense", b""):
        script = Script(*([said] if said else []))
        directory = LdapDirectory(_Once(script), LdapPlace("h", 389, "dc=x"))
        with nullcontext() if said is ANSWER else pytest.raises(DirectoryError, match=r"^ldap://h:389/dc=x"):
            directory.objects()
        assert script.closed
        assert script.sent.endswith(b"\x42\x00")


def test_nobody_there() -> None:
    """A server that is not there is a DirectoryError with the URL and the reason."""
    directory = LdapDirectory(_Refusing(), LdapPlace("::1", 389, "dc=x", tls=True))
    with pytest.raises(DirectoryError, match=r"ldaps://\[::1\]:389/dc=x: Connection refused; is the server up"):
        directory.put(DirectoryObject(ResourceId("g", "a"), "smtp"))
