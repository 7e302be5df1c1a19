"""SMTP and LMTP greetings (RFC 5321 3.1 and 4.2): the usual, the unusual and the wrong."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.acts import Script, close, endless, eof, hang, pause, pieces, reset
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import SMTP_GREETING, smtp


def row(name: str, does: str, greeting: bytes | Script, reason: Reason, **asked: object) -> Row:
    """Expect `reason` of an SMTP server that greets so and is right otherwise."""
    return Row(
        name=f"smtp: {name}",
        does=does,
        protocol="smtp",
        script=smtp(greeting),
        reason=reason,
        stage=Stage.BANNER,
        asked=asked,
    )


def lmtp(name: str, does: str, greeting: bytes, reason: Reason) -> Row:
    """Expect `reason` of an LMTP server that greets so."""
    return Row(
        name=f"lmtp: {name}", does=does, protocol="lmtp", script=smtp(greeting), reason=reason, stage=Stage.BANNER
    )


_ALIVE, _MISMATCH, _REFUSED = Reason.MATCHED, Reason.BANNER_MISMATCH, Reason.REFUSED_BY_SERVER
_LONG, _EOF, _TIMEOUT = Reason.LINE_TOO_LONG, Reason.EOF, Reason.BANNER_TIMEOUT
_TWO_LINES = b"220-mail.example.org ESMTP\r\n220 ready\r\n"
_FILLED = b"220 " + b"x" * (16 * 1024 - 6) + b"\r\n"  # with its end exactly 16 KiB

ROWS = (
    row("healthy", "greets in one line and answers everything", SMTP_GREETING, _ALIVE),
    row("two lines", "greets with `220-` and `220 `", _TWO_LINES, _ALIVE),
    row(
        "two lines, apart",
        "sends the second line of the greeting 0.2 s after the first, like postscreen's teaser",
        (b"220-mail.example.org ESMTP\r\n", pause(SLOW_S), b"220 ready\r\n"),
        _ALIVE,
    ),
    row(
        "slow greeting",
        "greets after a third of the time-out, like postscreen, which waits six seconds",
        (pause(SLOW_S), SMTP_GREETING),
        _ALIVE,
    ),
    row("single bytes", "sends the greeting byte by byte, each in a segment", (pieces(SMTP_GREETING),), _ALIVE),
    row("bare code", "greets with `220` and nothing behind it, which RFC 5321 4.2 asks clients to accept",
        b"220\r\n", _ALIVE),
    row("220 without a space", "greets with `220mail.example.org ESMTP`: no reply line of SMTP",
        b"220mail.example.org ESMTP\r\n", _MISMATCH),
    row("2200", "greets with `2200 ESMTP`: begins with 220 and is not 220", b"2200 ESMTP\r\n", _MISMATCH),
    row("lower case", "greets with `220 esmtp` in lower case", b"220 mail.example.org esmtp\r\n", _ALIVE),
    row("upper case", "greets in upper case", b"220 MAIL.EXAMPLE.ORG ESMTP READY\r\n", _ALIVE),
    row("250 instead", "greets with 250, an answer to no question", b"250 mail.example.org ESMTP\r\n", _MISMATCH),
    row("SSH", "is an SSH server on the port", b"SSH-2.0-OpenSSH_9.2\r\n", _MISMATCH),
    row("POP3", "is a POP3 server on the port", b"+OK ready\r\n", _MISMATCH),
    row("blank line first", "sends an empty line before the greeting", b"\r\n" + SMTP_GREETING, _MISMATCH),
    row("421", "refuses with 421 and closes", (b"421 4.3.2 too busy\r\n", eof), _REFUSED),
    row("450", "refuses with 450", b"450 4.3.2 try again later\r\n", _REFUSED),
    row("554", "refuses with 554 and waits for QUIT, as RFC 5321 3.1 says", b"554 5.7.1 no service\r\n", _REFUSED),
    row("554 in two lines", "refuses with `554-` and `554 `", b"554-go away\r\n554 5.7.1 no service\r\n", _REFUSED),
    row("554, then silence", "sends `554-` and never the end of it: a refusal already",
        (b"554-go away\r\n", hang), _REFUSED),
    row("220, then 554", "changes its mind: `220-`, then `554 `", b"220-one moment\r\n554 5.7.1 no\r\n", _REFUSED),
    row("220, then 221", "changes the code inside one greeting: `220-`, then `221 `",
        b"220-mail.example.org\r\n221 bye\r\n", _MISMATCH),
    row("220, then no code", "sends `220-` and then a line without a code",
        b"220-mail.example.org\r\nwelcome\r\n", _MISMATCH),
    row("half a greeting", "sends `220-` and never the last line", (b"220-mail.example.org\r\n", hang), _TIMEOUT),
    row("half a line", "sends the greeting without its end, and no more", (b"220 mail.example.org", hang), _TIMEOUT),
    row("half a line, then end", "sends the greeting without its end and ends the stream",
        (b"220 mail.example.org", eof), _EOF),
    row("NUL bytes", "has NUL bytes in the text of its greeting, which RFC 5321 forbids and no client minds",
        b"220 mail\x00.example.org\x00 ESMTP\r\n", _ALIVE),
    row("NUL first", "sends a NUL before the code", b"\x00" + SMTP_GREETING, _MISMATCH),
    row("escape sequences", "has a terminal's escape sequences in its greeting: data, shown escaped",
        b"220 mail.example.org ESMTP \x1b[2J\x1b]0;owned\x07\r\n", _ALIVE),
    row("16 KiB line", "greets with a line of exactly 16 KiB", _FILLED, _ALIVE),
    row("line above 16 KiB", "greets with a line of one byte more than 16 KiB", b"220 x" + _FILLED[4:], _LONG),
    row("64 lines", "greets with 64 lines", b"220-hello\r\n" * 63 + b"220 ready\r\n", _ALIVE),
    row("65 lines", "greets with 65 lines, more than any server needs", b"220-hello\r\n" * 64 + b"220 ready\r\n",
        _LONG),
    row("endless line", "sends a greeting line without an end, as fast as it can", (endless(b"220" + b"x" * 4096),),
        _LONG),
    row("endless lines", "sends greeting lines without an end", (endless(b"220-more\r\n" * 400),), _LONG),
    row("LF only", "ends its lines with LF alone", b"220-mail.example.org ESMTP\n220 ready\n", _ALIVE),
    row("CR only", "ends its greeting with CR alone: no line", (b"220 mail.example.org ESMTP\r", hang), _TIMEOUT),
    row("one byte a second", "sends a good greeting, a byte a second", (pieces(SMTP_GREETING, 1.0),), _TIMEOUT),
    row("greeting, then reset", "greets and resets the connection: it did greet", (SMTP_GREETING, reset), _ALIVE),
    row("greeting, then end, polite", "greets and ends the stream before QUIT", (SMTP_GREETING, eof), _ALIVE),
    row("greeting, then end", "greets and ends the stream; the client does not say QUIT",
        (SMTP_GREETING, eof), _ALIVE, polite=False),
    row("greeting, then close", "greets and closes without reading", (SMTP_GREETING, close), _ALIVE, polite=False),
    row("silence after QUIT", "greets, and never answers QUIT", (SMTP_GREETING, hang), _ALIVE),
    row("own words", "greets as `expect` says", b"220 mail.example.org ESMTP Postfix\r\n", _ALIVE,
        expect="220 mail.example.org ESMTP Postfix"),
    row("other words", "is another server than the one that `expect` names", SMTP_GREETING, _MISMATCH,
        expect="220 mail.example.org ESMTP Postfix"),
    Row(
        name="smtp: EHLO refused",
        does="greets and knows HELO only; nothing but the greeting was asked for",
        protocol="smtp",
        script=smtp(EHLO=b"500 5.5.1 not implemented\r\n"),
        reason=_ALIVE,
        stage=Stage.BANNER,
    ),
    Row(
        name="smtp: TLS alert",
        does="expects TLS on a plain port and answers with an alert, then ends the stream",
        protocol="smtp",
        script=(b"\x15\x03\x01\x00\x02\x02\x28", eof),
        reason=_EOF,
        stage=Stage.BANNER,
    ),
    lmtp("healthy", "greets and answers LHLO", b"220 mail.example.org LMTP ready\r\n", _ALIVE),
    lmtp("421", "refuses with 421", b"421 4.3.2 shutting down\r\n", _REFUSED),
)  # fmt: skip
