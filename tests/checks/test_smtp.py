"""probe/checks/smtp.py: dialogues and what they come to."""

from __future__ import annotations

import pytest

from probe.checks.smtp import HELO_NAME_DEFAULT
from probe.values import Reason, Stage
from tests.checks.drive import ENDED, SECURE, SECURED, Piece, check_of, drive

EHLO = f"EHLO {HELO_NAME_DEFAULT}\r\n".encode()
HELO = f"HELO {HELO_NAME_DEFAULT}\r\n".encode()
STARTTLS = b"STARTTLS\r\n"
QUIT = b"QUIT\r\n"
OFFER = b"250-mail\r\n250-PIPELINING\r\n250 STARTTLS\r\n"

GREETINGS = [
    ("one line", b"220 mail ESMTP\r\n", Reason.MATCHED, "220 mail ESMTP"),
    ("a bare code", b"220\r\n", Reason.MATCHED, "220"),
    ("a bare LF", b"220 mail\n", Reason.MATCHED, "220 mail"),
    ("several lines", b"220-mail\r\n220-wait\r\n220 go\r\n", Reason.MATCHED, "220-mail"),
    ("eight KiB", b"220 " + b"x" * 8192 + b"\r\n", Reason.MATCHED, None),
    ("a longer word", b"2200 mail\r\n", Reason.BANNER_MISMATCH, "expected \"220\", got 2200 mail"),
    ("another code", b"250 mail\r\n", Reason.BANNER_MISMATCH, None),
    ("no code", b"SSH-2.0-x\r\n", Reason.BANNER_MISMATCH, "expected \"220\", got SSH-2.0-x"),
    ("an empty line", b"\r\n", Reason.BANNER_MISMATCH, None),
    ("another code later", b"220-mail\r\n250 go\r\n", Reason.BANNER_MISMATCH, "expected 220 again, got 250 go"),
    ("refused later", b"220-mail\r\n554 listed\r\n", Reason.REFUSED_BY_SERVER, "554 listed"),
    ("554", b"554 no service\r\n", Reason.REFUSED_BY_SERVER, "554 no service"),
    ("421", b"421 shutting down\r\n", Reason.REFUSED_BY_SERVER, None),
    ("a refusal, unfinished", b"554-no\r\n", Reason.REFUSED_BY_SERVER, None),
    ("450", b"450 busy\r\n", Reason.REFUSED_BY_SERVER, None),
    ("an endless line", b"220 " + b"x" * 16_384, Reason.LINE_TOO_LONG, None),
    ("65 lines", b"220-x\r\n" * 65, Reason.LINE_TOO_LONG, None),
    ("more than 64 KiB", (b"220-" + b"x" * 16_000 + b"\r\n") * 5, Reason.LINE_TOO_LONG, None),
    ("an escape", b"220 \x1b[31m<b>\\\r\n", Reason.MATCHED, "220 \\x1b[31m<b>\\x5c"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "greeting", "reason", "evidence"), GREETINGS, ids=[row[0] for row in GREETINGS])
def test_greeting(name: str, greeting: bytes, reason: Reason, evidence: str | None) -> None:
    """S31, S32: the greeting is judged by its start and by every line's code, a refusal at once, within the bounds."""
    talk = drive(check_of("smtp", polite=False), [greeting])
    assert (talk.reason, talk.fell_at, talk.finished, talk.sent) == (reason, Stage.BANNER, True, b"")
    assert talk.verdict is not None
    assert evidence is None or talk.verdict.evidence == evidence


@pytest.mark.parametrize("greeting", [b"", b"220", b"220 mail", b"220-mail\r\n", b"220 mail\r", b"220-mail\r\n220"])
def test_unfinished_greeting(greeting: bytes) -> None:
    """S32: before the greeting's last line has ended there is no verdict; then a deadline or the end makes one."""
    waiting = drive(check_of("smtp"), [greeting])
    assert (waiting.verdict, waiting.expired.reason, waiting.expired.stage) == (
        None,
        Reason.BANNER_TIMEOUT,
        Stage.BANNER,
    )
    ended = drive(check_of("smtp"), [greeting, ENDED])
    assert (ended.reason, ended.fell_at, ended.finished) == (Reason.EOF, Stage.BANNER, True)


def test_evidence_of_a_silence_says_how_far_it_came() -> None:
    """What is missing is named, with what came of it."""
    check = check_of("smtp")
    assert drive(check, []).expired.evidence == "no greeting"
    assert drive(check, [b"220-a\r\n22"]).expired.evidence == "incomplete greeting: 22"
    assert drive(check, [b"220-a\r\n"]).expired.evidence == "incomplete greeting: 220-a"


@pytest.mark.parametrize(
    ("expect", "greeting", "reason"),
    [
        (("220 mail.example.org",), b"220 mail.example.organic\r\n", Reason.MATCHED),
        (("220 mail.example.org",), b"220 other\r\n", Reason.BANNER_MISMATCH),
        (("220 a", "220 b"), b"220 beta\r\n", Reason.MATCHED),
        (("554",), b"554-closed\r\n554 on purpose\r\n", Reason.MATCHED),
        (("554",), b"220 open\r\n", Reason.BANNER_MISMATCH),
        (("220 a",), b"554 no\r\n", Reason.REFUSED_BY_SERVER),
        (("SSH",), b"SSH-2.0\r\n", Reason.BANNER_MISMATCH),
    ],
)
def test_expected_by_the_user(expect: tuple[str, ...], greeting: bytes, reason: Reason) -> None:
    """S31: the user's `expect` is a plain prefix, any of several; what is no reply line never matches."""
    assert drive(check_of("smtp", expect=expect), [greeting]).reason is reason


@pytest.mark.parametrize(
    ("pieces", "sent", "finished"),
    [
        ([b"220 hi\r\n"], QUIT, False),
        ([b"220 hi\r\n", b"221"], QUIT, False),
        ([b"220 hi\r\n", b"221-see\r\n"], QUIT, False),
        ([b"220 hi\r\n", b"250 queued\r\n"], QUIT, False),
        ([b"220 hi\r\n", b"221-see\r\n221 you\r\n"], QUIT, True),
        ([b"220 hi\r\n221 bye\r\n"], QUIT, True),
        ([b"220 hi\r\n", b"502 QUIT?\r\n"], QUIT, True),
        ([b"220 hi\r\n", ENDED], QUIT, True),
        ([b"554 no\r\n"], QUIT, False),
        ([b"421 no\r\n"], b"", True),
        ([b"SSH-2.0\r\n"], b"", True),
        ([b"220 hi\r\n", b"x" * 20_000], QUIT, True),
    ],
)
def test_goodbye(pieces: list[Piece], sent: bytes, finished: bool) -> None:
    """A polite end: QUIT to whoever speaks SMTP, finished with the 221 line's end, a refusal, or the stream's end."""
    talk = drive(check_of("smtp"), pieces)
    assert (talk.sent, talk.finished) == (sent, finished)
    assert (talk.stages[-1] is Stage.QUIT) == bool(sent)
    assert talk.expired is talk.verdict


TLS_STEPS = [
    ("over TLS", [b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED, OFFER], Reason.MATCHED, Stage.RESPONSE),
    ("offered first, in small letters", [b"220 hi\r\n", b"250-mail\r\n250-starttls\r\n250 SIZE\r\n", b"220 go\r\n",
        SECURED, OFFER], Reason.MATCHED, Stage.RESPONSE),
    ("not offered", [b"220 hi\r\n", b"250-mail\r\n250 SIZE\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("a longer keyword", [b"220 hi\r\n", b"250-mail\r\n250 STARTTLS2\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("an empty keyword", [b"220 hi\r\n", b"250-\r\n250 \r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("HELO only", [b"220 hi\r\n", b"502 EHLO?\r\n", b"250 hi\r\n"], Reason.STARTTLS_MISSING, Stage.REQUEST),
    ("neither EHLO nor HELO", [b"220 hi\r\n", b"502 ?\r\n", b"550 ?\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("EHLO not now", [b"220 hi\r\n", b"451 later\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("STARTTLS refused", [b"220 hi\r\n", OFFER, b"454 not now\r\n"], Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    ("STARTTLS misunderstood", [b"220 hi\r\n", OFFER, b"250 yes\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("no reply line", [b"220 hi\r\n", b"hello\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("two codes", [b"220 hi\r\n", b"250-a\r\n251 b\r\n"], Reason.STEP_MISMATCH, Stage.REQUEST),
    ("injected behind", [b"220 hi\r\n", OFFER, b"220 go\r\n250 x\r\n"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("injected later", [b"220 hi\r\n", OFFER, b"220 go\r\n", b"2"], Reason.STARTTLS_INJECTION, Stage.TLS),
    ("refused over TLS", [b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED, b"503 no\r\n"], Reason.REFUSED_BY_SERVER,
        Stage.RESPONSE),
    ("babble over TLS", [b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED, b"h\r\n"], Reason.STEP_MISMATCH, Stage.RESPONSE),
    ("gone over TLS", [b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED, ENDED], Reason.EOF, Stage.RESPONSE),
    ("gone after the agreement", [b"220 hi\r\n", OFFER, b"220 go\r\n", ENDED], Reason.EOF, Stage.TLS),
    ("gone before EHLO's end", [b"220 hi\r\n", b"250-hi\r\n", ENDED], Reason.EOF, Stage.REQUEST),
    ("too long a list", [b"220 hi\r\n", b"250-x\r\n" * 65], Reason.LINE_TOO_LONG, Stage.REQUEST),
    ("refused at the door", [b"554 no\r\n"], Reason.REFUSED_BY_SERVER, Stage.BANNER),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pieces", "reason", "stage"), TLS_STEPS, ids=[row[0] for row in TLS_STEPS])
def test_starttls(name: str, pieces: list[Piece], reason: Reason, stage: Stage) -> None:
    """STARTTLS required (RFC 3207): alive only once EHLO is answered over TLS; each way to fail has its reason."""
    for polite in (True, False):
        talk = drive(check_of("smtp", starttls="required", polite=polite), pieces)
        assert (talk.reason, talk.fell_at) == (reason, stage)
        assert polite or talk.finished


@pytest.mark.parametrize(
    ("pieces", "reason", "stage"),
    [
        ([], Reason.BANNER_TIMEOUT, Stage.BANNER),
        ([b"220 hi\r\n"], Reason.STEP_TIMEOUT, Stage.REQUEST),
        ([b"220 hi\r\n", OFFER], Reason.STEP_TIMEOUT, Stage.REQUEST),
        ([b"220 hi\r\n", OFFER, b"220 go\r\n"], Reason.TLS_TIMEOUT, Stage.TLS),
        ([b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED], Reason.STEP_TIMEOUT, Stage.RESPONSE),
    ],
)
def test_deadline_at_each_step(pieces: list[Piece], reason: Reason, stage: Stage) -> None:
    """S32: a passed deadline is named after what is missing, as the table in conversation.py has it."""
    talk = drive(check_of("smtp", starttls="required"), pieces)
    assert (talk.verdict, talk.expired.reason, talk.expired.stage) == (None, reason, stage)


def test_what_is_sent_on_the_way_to_tls() -> None:
    """EHLO, STARTTLS, EHLO again, QUIT; no goodbye in plain text once TLS was agreed on or text was injected."""
    check = check_of("smtp", starttls="required")
    talk = drive(check, [b"220 hi\r\n", OFFER, b"220 go\r\n", SECURED, OFFER, b"221 bye\r\n"])
    assert talk.sent == EHLO + STARTTLS + EHLO + QUIT
    assert talk.stages == (Stage.BANNER, Stage.REQUEST, Stage.TLS, Stage.RESPONSE, Stage.QUIT)
    assert drive(check, [b"220 hi\r\n", b"502 no\r\n", b"250 hi\r\n"]).sent == EHLO + HELO + QUIT
    assert drive(check, [b"220 hi\r\n", OFFER, b"220 go\r\nx"]).sent == EHLO + STARTTLS


def test_lmtp_has_its_own_greeting() -> None:
    """RFC 2033: LHLO instead of EHLO, and nothing to fall back on."""
    check = check_of("lmtp", starttls="required", helo_name="probe.example.org")
    assert drive(check, [b"220 hi\r\n"]).sent == b"LHLO probe.example.org\r\n"
    talk = drive(check, [b"220 hi\r\n", b"500 LHLO?\r\n"])
    assert (talk.reason, talk.sent) == (Reason.REFUSED_BY_SERVER, b"LHLO probe.example.org\r\n" + QUIT)


def test_tls_on_connect_needs_no_starttls() -> None:
    """A secure binding of a server with STARTTLS required is judged by its greeting: it is over TLS already."""
    assert drive(check_of("smtp", SECURE, starttls="required"), [b"220 hi\r\n"]).reason is Reason.MATCHED


@pytest.mark.parametrize("name", ["a b", "a\r\nRCPT TO:<x>", "é", "x" * 256])
def test_helo_name_that_cannot_be_sent(name: str) -> None:
    """A helo name that is no single printable word is refused when the check is built, not sent."""
    with pytest.raises(ValueError, match="helo_name"):
        check_of("smtp", helo_name=name)
