"""probe/checks/pop3.py: dialogues and what they come to."""

from __future__ import annotations

import pytest

from probe.values import Reason, Stage
from tests.checks.drive import ENDED, SECURED, Piece, check_of, drive

HI = b"+OK ready\r\n"
LIST = b"+OK\r\nUIDL\r\nSTLS\r\n.\r\n"
GO = b"+OK go\r\n"

GREETINGS = [
    ("plain", b"+OK Dovecot ready.\r\n", Reason.MATCHED),
    ("bare", b"+OK\r\n", Reason.MATCHED),
    ("with a timestamp", b"+OK <1896.697170952@dbc.mtview.ca.us>\n", Reason.MATCHED),
    ("a longer word", b"+OKAY\r\n", Reason.BANNER_MISMATCH),
    ("in small letters", b"+ok\r\n", Reason.BANNER_MISMATCH),
    ("refused", b"-ERR [SYS/TEMP] busy\r\n", Reason.REFUSED_BY_SERVER),
    ("a longer refusal word", b"-ERRATIC\r\n", Reason.BANNER_MISMATCH),
    ("smtp", b"220 mail ESMTP\r\n", Reason.BANNER_MISMATCH),
    ("an endless line", b"+OK " + b"x" * 16_384, Reason.LINE_TOO_LONG),
]


@pytest.mark.parametrize(("name", "greeting", "reason"), GREETINGS, ids=[row[0] for row in GREETINGS])
def test_greeting(name: str, greeting: bytes, reason: Reason) -> None:
    """S31, S32: the one greeting line is judged by its start; -ERR is a verdict at once."""
    talk = drive(check_of("pop3", polite=False), [greeting])
    assert (talk.reason, talk.fell_at, talk.finished, talk.sent) == (reason, Stage.BANNER, True, b"")


@pytest.mark.parametrize(
    ("pieces", "sent", "finished"),
    [
        ([HI], b"QUIT\r\n", False),
        ([HI, b"* hm\r\n"], b"QUIT\r\n", False),
        ([HI, b"+OK bye"], b"QUIT\r\n", False),
        ([HI, b"+OK bye\r\n"], b"QUIT\r\n", True),
        ([HI, b"-ERR?\r\n"], b"QUIT\r\n", True),
        ([HI, ENDED], b"QUIT\r\n", True),
        ([b"-ERR no\r\n"], b"QUIT\r\n", False),
        ([b"220 smtp\r\n"], b"", True),
    ],
)
def test_goodbye(pieces: list[Piece], sent: bytes, finished: bool) -> None:
    """A polite end: QUIT to whoever speaks POP3, finished with its answer or the stream's end."""
    talk = drive(check_of("pop3"), pieces)
    assert (talk.sent, talk.finished) == (sent, finished)


TLS_STEPS = [
    ("over TLS", [HI, LIST, GO, SECURED, LIST], Reason.MATCHED, Stage.RESPONSE),
    ("in small letters", [HI, b"+OK\r\nstls\r\n.\r\n", GO, SECURED, LIST], Reason.MATCHED, Stage.RESPONSE),
    ("without CAPA", [HI, b"-ERR CAPA?\r\n", GO, SECURED, b"-ERR CAPA?\r\n"], Reason.MATCHED, Stage.RESPONSE),
    ("not offered", [HI, b"+OK\r\nUIDL\r\nXSTLS\r\n.\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("neither CAPA nor STLS", [HI, b"-ERR CAPA?\r\n", b"-ERR STLS?\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("offered, then refused", [HI, LIST, b"-ERR not now\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("babble", [HI, b"what?\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("injected behind", [HI, LIST, GO + b"+OK\r\n"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("injected later", [HI, LIST, GO, b"+"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("refused over TLS", [HI, LIST, GO, SECURED, b"-ERR broken\r\n"], Reason.REFUSED_BY_SERVER, Stage.RESPONSE),
    ("gone over TLS", [HI, LIST, GO, SECURED, b"+OK\r\nUIDL\r\n", ENDED], Reason.EOF, Stage.RESPONSE),
    ("too long a list", [HI, b"+OK\r\n" + b"X\r\n" * 64], Reason.LINE_TOO_LONG, Stage.REQUEST),
    ("refused at the door", [b"-ERR no\r\n"], Reason.REFUSED_BY_SERVER, Stage.BANNER),
]


@pytest.mark.parametrize(("name", "pieces", "reason", "stage"), TLS_STEPS, ids=[row[0] for row in TLS_STEPS])
def test_stls(name: str, pieces: list[Piece], reason: Reason, stage: Stage) -> None:
    """STARTTLS required (RFC 2595): alive only once CAPA is answered over TLS; each way to fail has its reason."""
    for polite in (True, False):
        talk = drive(check_of("pop3", starttls="required", polite=polite), pieces)
        assert (talk.reason, talk.fell_at) == (reason, stage)
        assert polite or talk.finished


def test_what_is_sent_on_the_way_to_tls() -> None:
    """CAPA, STLS, CAPA again, QUIT; the second list is read to its end before QUIT's answer is awaited."""
    check = check_of("pop3", starttls="required")
    talk = drive(check, [HI, LIST, GO, SECURED, b"+OK\r\nUIDL\r\n"])
    assert (talk.verdict, talk.expired.reason) == (None, Reason.STEP_TIMEOUT)
    talk = drive(check, [HI, LIST, GO, SECURED, LIST, b"+OK bye\r\n"])
    assert talk.sent == b"CAPA\r\nSTLS\r\nCAPA\r\nQUIT\r\n"
    assert (talk.reason, talk.finished) == (Reason.MATCHED, True)


def test_evidence_is_the_greeting() -> None:
    """Of a live server the greeting is kept, of a failed step what was asked and what came."""
    check = check_of("pop3", starttls="required")
    alive = drive(check, [HI, LIST, GO, SECURED, LIST]).verdict
    refused = drive(check, [HI, LIST, b"-ERR not now\r\n"]).verdict
    assert alive is not None
    assert refused is not None
    assert (alive.evidence, refused.evidence) == ("+OK ready", "answer to STLS: -ERR not now")
