"""SMTP with STARTTLS required (RFC 3207): offered, not offered, broken and injected."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.acts import Script, eof, hang, hears_something, pause, reset, shake
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import EHLO, EHLO_OVER_TLS, EHLO_TLS, answering, smtp

GO = b"220 2.0.0 go ahead\r\n"
TRUSTING = {"starttls": "required", "tls": {"ca_file": "ca.pem"}}


def over_tls(certificate: str = "good", ehlo: bytes | Script = EHLO_OVER_TLS) -> Script:
    """Agree to STARTTLS, shake hands and go on answering over TLS."""
    told: dict[bytes, bytes | Script] = {
        b"EHLO": ehlo,
        b"LHLO": ehlo,
        b"QUIT": (b"221 2.0.0 bye\r\n", eof),
        b"NOOP": b"250 ok\r\n",
    }
    return (GO, shake(certificate), answering(told, b"502 5.5.2 not known here\r\n"))


def row(name: str, does: str, script: Script, reason: Reason, stage: Stage, **more: object) -> Row:
    """Expect `reason` of a server asked with STARTTLS required."""
    return Row(
        name=f"starttls: {name}",
        does=does,
        protocol="smtp",
        script=script,
        reason=reason,
        stage=stage,
        asked=TRUSTING | more,
        host="mail.example.org",
    )


def answers_starttls(answer: bytes | Script) -> Script:
    """Offer STARTTLS and answer it so."""
    return smtp(EHLO=EHLO_TLS, STARTTLS=answer)


_OFFER = b"250-mail.example.org\r\n%s"
_MANY = b"".join(b"250-X%02d\r\n" % number for number in range(57))
_SIXTY = b"250-mail.example.org\r\n" + _MANY + b"250-STARTTLS\r\n250 HELP\r\n"
_INJECTED = b"250 2.0.0 injected\r\n"

ROWS = (
    row("healthy", "offers STARTTLS and keeps its word", answers_starttls(over_tls()), Reason.MATCHED, Stage.RESPONSE),
    row("offered last", "offers STARTTLS in the last line of its answer: `250 STARTTLS`",
        smtp(EHLO=_OFFER % b"250-PIPELINING\r\n250 STARTTLS\r\n", STARTTLS=over_tls()), Reason.MATCHED, Stage.RESPONSE),
    row("offered alone", "offers nothing but STARTTLS",
        smtp(EHLO=_OFFER % b"250 STARTTLS\r\n", STARTTLS=over_tls()), Reason.MATCHED, Stage.RESPONSE),
    row("lower case", "offers `starttls` in lower case; keywords have no case",
        smtp(EHLO=_OFFER % b"250-starttls\r\n250 8BITMIME\r\n", STARTTLS=over_tls()), Reason.MATCHED, Stage.RESPONSE),
    row("60 lines", "offers STARTTLS in an answer of 60 lines", smtp(EHLO=_SIXTY, STARTTLS=over_tls()),
        Reason.MATCHED, Stage.RESPONSE),
    row("two-line greeting", "greets in two lines and offers STARTTLS",
        smtp(b"220-mail.example.org ESMTP\r\n220 mail.example.org ESMTP ready\r\n", EHLO=EHLO_TLS, STARTTLS=over_tls()),
        Reason.MATCHED, Stage.RESPONSE),
    row("slow answers", "takes 0.1 s over the answers to EHLO and STARTTLS each",
        smtp(EHLO=(pause(SLOW_S / 2), EHLO_TLS), STARTTLS=(pause(SLOW_S / 2), *over_tls())),
        Reason.MATCHED, Stage.RESPONSE),
    row("not offered", "does not offer STARTTLS", smtp(EHLO=EHLO), Reason.STARTTLS_MISSING, Stage.REQUEST),
    row("another word", "offers `XSTARTTLS` only, which is not STARTTLS",
        smtp(EHLO=_OFFER % b"250-XSTARTTLS\r\n250 8BITMIME\r\n"), Reason.STARTTLS_MISSING, Stage.REQUEST),
    row("EHLO refused", "refuses EHLO and takes HELO: alive, and without STARTTLS",
        smtp(EHLO=b"502 5.5.1 not implemented\r\n"), Reason.STARTTLS_MISSING, Stage.REQUEST),
    row("EHLO and HELO refused", "refuses EHLO and HELO",
        smtp(EHLO=b"502 5.5.1 no\r\n", HELO=b"550 5.7.1 no\r\n"), Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    row("EHLO refused for now", "answers EHLO with 421 and closes", smtp(EHLO=(b"421 4.3.2 too busy\r\n", eof)),
        Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    row("EHLO answered with 220", "answers EHLO with another 220", smtp(EHLO=b"220 hello\r\n"),
        Reason.STEP_MISMATCH, Stage.REQUEST),
    row("EHLO unanswered", "greets and never answers EHLO", smtp(EHLO=(hang,)), Reason.STEP_TIMEOUT, Stage.REQUEST),
    row("EHLO half answered", "sends the first line of its answer to EHLO and no more",
        smtp(EHLO=(b"250-mail.example.org\r\n", hang)), Reason.STEP_TIMEOUT, Stage.REQUEST),
    row("EHLO, 65 lines", "answers EHLO with more lines than any server needs",
        smtp(EHLO=b"250-X\r\n" * 64 + b"250 STARTTLS\r\n"), Reason.LINE_TOO_LONG, Stage.REQUEST),
    row("EHLO, then end", "ends the stream instead of answering EHLO", smtp(EHLO=(eof,)), Reason.EOF, Stage.REQUEST),
    row("EHLO, then reset", "resets the connection instead of answering EHLO", smtp(EHLO=(reset,)),
        Reason.RESET, Stage.REQUEST),
    row("refused with 454", "offers STARTTLS and refuses it with 454: no certificate is loaded",
        answers_starttls(b"454 4.7.0 TLS not available\r\n"), Reason.REFUSED_BY_SERVER, Stage.REQUEST),
    row("answered with 250", "answers STARTTLS with 250 instead of 220", answers_starttls(b"250 2.0.0 fine\r\n"),
        Reason.STEP_MISMATCH, Stage.REQUEST),
    row("silence behind 220", "agrees, and never shakes hands", answers_starttls((GO, hang)),
        Reason.TLS_TIMEOUT, Stage.TLS),
    row("end behind 220", "agrees, and ends the stream", answers_starttls((GO, hears_something, eof)),
        Reason.EOF, Stage.TLS),
    row("garbage behind 220", "agrees, and answers the handshake with bytes that are no TLS",
        answers_starttls((GO, hears_something, b"\xff\xfe\x00\x01" * 16, hang)), Reason.TLS_PROTOCOL, Stage.TLS),
    row("broken record behind 220", "agrees, and answers the handshake with a record that is none",
        answers_starttls((GO, hears_something, b"\x16\x03\x03\x00\x08" + b"\x63" * 8, hang)),
        Reason.TLS_PROTOCOL, Stage.TLS),
    row("injected, same segment", "sends plain text right behind its 220, as in CVE-2011-0411",
        answers_starttls((GO + _INJECTED, *over_tls()[1:])), Reason.STARTTLS_INJECTION, Stage.TLS),
    row("injected, own segment", "sends plain text behind its 220, in a segment of its own: the same bytes",
        answers_starttls((GO, pause(SLOW_S / 4), _INJECTED, *over_tls()[1:])), Reason.STARTTLS_INJECTION, Stage.TLS),
    row("goes on in plain text",
        "agrees, and answers the handshake in plain text: to a client the same as an injection",
        answers_starttls((GO, hears_something, b"500 5.5.2 what?\r\n", hang)), Reason.STARTTLS_INJECTION, Stage.TLS),
    row("over TLS, then end", "shakes hands and ends the stream instead of answering EHLO",
        answers_starttls(over_tls(ehlo=(eof,))), Reason.EOF, Stage.RESPONSE),
    row("over TLS, 550", "shakes hands and refuses EHLO there with 550",
        answers_starttls(over_tls(ehlo=b"550 5.7.1 not for you\r\n")), Reason.REFUSED_BY_SERVER, Stage.RESPONSE),
    row("over TLS, silence", "shakes hands and never answers EHLO there", answers_starttls(over_tls(ehlo=(hang,))),
        Reason.STEP_TIMEOUT, Stage.RESPONSE),
    row("over TLS, nonsense", "shakes hands and answers EHLO with something else",
        answers_starttls(over_tls(ehlo=b"hello there\r\n")), Reason.STEP_MISMATCH, Stage.RESPONSE),
    row("expired", "shows an expired certificate behind STARTTLS", answers_starttls(over_tls("expired")),
        Reason.TLS_EXPIRED, Stage.TLS),
    row("wrong host", "shows another host's certificate behind STARTTLS", answers_starttls(over_tls("wrong host")),
        Reason.TLS_HOSTNAME, Stage.TLS),
    row("554 greeting", "refuses with 554 before any STARTTLS", smtp(b"554 5.7.1 no service\r\n"),
        Reason.REFUSED_BY_SERVER, Stage.BANNER),
)  # fmt: skip
