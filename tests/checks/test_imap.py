"""probe/checks/imap.py: dialogues and what they come to."""

from __future__ import annotations

import pytest

from probe.values import Reason, Stage
from tests.checks.drive import ENDED, SECURED, Piece, check_of, drive

HI = b"* OK ready\r\n"
CODED = b"* OK [CAPABILITY IMAP4rev1 STARTTLS] ready\r\n"
LIST = b"* CAPABILITY IMAP4rev1 STARTTLS\r\n"

GREETINGS = [
    ("plain", b"* OK Dovecot ready.\r\n", Reason.MATCHED),
    ("with a code", CODED, Reason.MATCHED),
    ("in small letters", b"* ok\n", Reason.MATCHED),
    ("authenticated", b"* PREAUTH welcome\r\n", Reason.MATCHED),
    ("a longer word", b"* OKAY\r\n", Reason.BANNER_MISMATCH),
    ("goodbye", b"* BYE overloaded\r\n", Reason.REFUSED_BY_SERVER),
    ("not a greeting", b"* BAD\r\n", Reason.BANNER_MISMATCH),
    ("tagged", b"a1 OK\r\n", Reason.BANNER_MISMATCH),
    ("an endless line", b"* OK " + b"x" * 16_384, Reason.LINE_TOO_LONG),
]


@pytest.mark.parametrize(("name", "greeting", "reason"), GREETINGS, ids=[row[0] for row in GREETINGS])
def test_greeting(name: str, greeting: bytes, reason: Reason) -> None:
    """S31, S32: the one greeting line is judged by its start; BYE is a verdict at once."""
    talk = drive(check_of("imap", polite=False), [greeting])
    assert (talk.reason, talk.fell_at, talk.finished, talk.sent) == (reason, Stage.BANNER, True, b"")


def test_expected_by_the_user_is_plain() -> None:
    """S31: the user's own prefix is compared byte by byte, case included."""
    check = check_of("imap", expect=("* OK Dovecot",))
    assert drive(check, [b"* OK Dovecot ready\r\n"]).reason is Reason.MATCHED
    assert drive(check, [b"* OK dovecot ready\r\n"]).reason is Reason.BANNER_MISMATCH


@pytest.mark.parametrize(
    ("pieces", "sent", "finished"),
    [
        ([HI], b"a1 LOGOUT\r\n", False),
        ([HI, b"* BYE out\r\n"], b"a1 LOGOUT\r\n", False),
        ([HI, b"* BYE out\r\na1 OK"], b"a1 LOGOUT\r\n", False),
        ([HI, b"* BYE out\r\na1 OK done\r\n"], b"a1 LOGOUT\r\n", True),
        ([HI, b"a10 OK\r\n"], b"a1 LOGOUT\r\n", False),
        ([HI, b"a1 BAD\r\n"], b"a1 LOGOUT\r\n", True),
        ([HI, ENDED], b"a1 LOGOUT\r\n", True),
        ([b"* BYE no\r\n"], b"", True),
        ([b"+OK pop3\r\n"], b"", True),
    ],
)
def test_goodbye(pieces: list[Piece], sent: bytes, finished: bool) -> None:
    """A polite end: LOGOUT, finished with its tagged answer or the stream's end; nothing to a server that said BYE."""
    talk = drive(check_of("imap"), pieces)
    assert (talk.sent, talk.finished) == (sent, finished)


TLS_STEPS = [
    ("offered in the greeting", [CODED, b"a1 OK go\r\n", SECURED, LIST + b"a2 OK\r\n"], Reason.MATCHED, Stage.RESPONSE),
    ("offered when asked", [HI, LIST.lower() + b"a1 OK\r\n", b"a2 OK go\r\n", SECURED, b"a3 OK\r\n"], Reason.MATCHED,
        Stage.RESPONSE),
    ("left out of the greeting only", [b"* OK [CAPABILITY IMAP4rev1] hi\r\n", LIST + b"a1 OK\r\n", b"a2 OK go\r\n",
        SECURED, b"a3 OK\r\n"], Reason.MATCHED, Stage.RESPONSE),
    ("not offered", [HI, b"* CAPABILITY IMAP4rev1 XSTARTTLS\r\na1 OK\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("no list at all", [HI, b"a1 OK\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("authenticated already", [b"* PREAUTH hi\r\n"], Reason.STARTTLS_MISSING, Stage.BANNER),
    ("refused", [CODED, b"a1 NO not now\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("not understood", [CODED, b"a1 BAD what\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("goodbye instead", [HI, b"* BYE enough\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("another tag", [HI, b"a9 OK\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("a longer tag", [HI, b"a11 OK\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("a request to continue", [HI, b"+ go on\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("an unknown status", [HI, b"a1 MAYBE\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("injected behind", [CODED, b"a1 OK go\r\n* OK x\r\n"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("injected later", [CODED, b"a1 OK go\r\n", b"*"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("refused over TLS", [CODED, b"a1 OK go\r\n", SECURED, b"a2 NO\r\n"], Reason.REFUSED_BY_SERVER, Stage.RESPONSE),
    ("gone over TLS", [CODED, b"a1 OK go\r\n", SECURED, LIST, ENDED], Reason.EOF, Stage.RESPONSE),
    ("too many untagged lines", [HI, b"* X\r\n" * 65], Reason.LINE_TOO_LONG, Stage.REQUEST),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pieces", "reason", "stage"), TLS_STEPS, ids=[row[0] for row in TLS_STEPS])
def test_starttls(name: str, pieces: list[Piece], reason: Reason, stage: Stage) -> None:
    """STARTTLS required (RFC 9051 6.2.1): alive only once CAPABILITY is answered over TLS."""
    for polite in (True, False):
        talk = drive(check_of("imap", starttls="required", polite=polite), pieces)
        assert (talk.reason, talk.fell_at) == (reason, stage)
        assert polite or talk.finished


def test_what_is_sent_on_the_way_to_tls() -> None:
    """Each command has a tag of its own; the goodbye goes over TLS."""
    check = check_of("imap", starttls="required")
    talk = drive(check, [HI, LIST + b"a1 OK\r\n", b"a2 OK\r\n", SECURED, b"a3 OK\r\n", b"* BYE\r\na4 OK\r\n"])
    assert talk.sent == b"a1 CAPABILITY\r\na2 STARTTLS\r\na3 CAPABILITY\r\na4 LOGOUT\r\n"
    assert talk.finished
    assert talk.stages == (Stage.BANNER, Stage.REQUEST, Stage.TLS, Stage.RESPONSE, Stage.QUIT)
