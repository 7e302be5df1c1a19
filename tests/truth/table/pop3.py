"""POP3 (RFC 1939, CAPA by RFC 2449, STLS by RFC 2595)."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.acts import Script, endless, eof, hang, pause, pieces, reset, shake
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import CAPA, CAPA_TLS, POP3_GREETING, answering, pop3

AGREED = b"+OK begin TLS\r\n"
TRUSTING = {"starttls": "required", "tls": {"ca_file": "ca.pem"}}


def greets(name: str, does: str, greeting: bytes | Script, reason: Reason) -> Row:
    """Expect `reason` of a POP3 server that greets so."""
    return Row(
        name=f"pop3: {name}", does=does, protocol="pop3", script=pop3(greeting), reason=reason, stage=Stage.BANNER
    )


def stls(name: str, does: str, script: Script, reason: Reason, stage: Stage) -> Row:
    """Expect `reason` of a POP3 server asked with STARTTLS required."""
    return Row(
        name=f"stls: {name}",
        does=does,
        protocol="pop3",
        script=script,
        reason=reason,
        stage=stage,
        asked=TRUSTING,
        host="mail.example.org",
    )


def over_tls(capa: bytes | Script = CAPA) -> Script:
    """Agree to STLS, shake hands and go on."""
    told: dict[bytes, bytes | Script] = {b"CAPA": capa, b"QUIT": (b"+OK bye\r\n", eof)}
    return (AGREED, shake(), answering(told, b"-ERR not known here\r\n"))


_REFUSED, _MISMATCH = Reason.REFUSED_BY_SERVER, Reason.BANNER_MISMATCH

ROWS = (
    greets("healthy", "greets with +OK and an APOP stamp", b"+OK ready <1896.697170952@mail.example.org>\r\n",
           Reason.MATCHED),
    greets("bare +OK", "greets with `+OK` and nothing behind it", b"+OK\r\n", Reason.MATCHED),
    greets("single bytes", "sends the greeting byte by byte", (pieces(POP3_GREETING),), Reason.MATCHED),
    greets("slow greeting", "greets after a third of the time-out", (pause(SLOW_S), POP3_GREETING), Reason.MATCHED),
    greets("+OKAY?", "greets with `+OKAY?`, a longer word", b"+OKAY?\r\n", _MISMATCH),
    greets("+ok", "greets with `+ok`; RFC 1939 3 wants capitals", b"+ok ready\r\n", _MISMATCH),
    greets("OK", "greets with `OK` without the plus", b"OK ready\r\n", _MISMATCH),
    greets("-ERR", "refuses with -ERR", b"-ERR permission denied\r\n", _REFUSED),
    greets("-ERR [SYS/TEMP]", "refuses for now, with a response code of RFC 3206",
           (b"-ERR [SYS/TEMP] try again later\r\n", eof), _REFUSED),
    greets("IMAP", "is an IMAP server on the port", b"* OK ready\r\n", _MISMATCH),
    greets("silent", "accepts and says nothing", (hang,), Reason.BANNER_TIMEOUT),
    greets("closes", "accepts and ends the stream", (eof,), Reason.EOF),
    greets("endless line", "sends a greeting line without an end", (endless(b"+OK " + b"x" * 4096),),
           Reason.LINE_TOO_LONG),
    greets("silence after QUIT", "greets and never answers QUIT", (POP3_GREETING, hang), Reason.MATCHED),
    stls("healthy", "lists STLS and keeps its word", pop3(CAPA=CAPA_TLS, STLS=over_tls()),
         Reason.MATCHED, Stage.RESPONSE),
    stls("CAPA refused", "knows no CAPA, and STLS all the same",
         pop3(CAPA=b"-ERR what?\r\n", STLS=over_tls(b"-ERR what?\r\n")), Reason.MATCHED, Stage.RESPONSE),
    stls("CAPA and STLS refused", "knows neither CAPA nor STLS", pop3(CAPA=b"-ERR what?\r\n"),
         Reason.STARTTLS_MISSING, Stage.REQUEST),
    stls("not listed", "does not list STLS", pop3(), Reason.STARTTLS_MISSING, Stage.REQUEST),
    stls("listed and refused", "lists STLS and refuses it", pop3(CAPA=CAPA_TLS, STLS=b"-ERR no certificate\r\n"),
         _REFUSED, Stage.REQUEST),
    stls("list without end", "never ends its list of capabilities", pop3(CAPA=(b"+OK\r\n", endless(b"X-MORE\r\n"))),
         Reason.LINE_TOO_LONG, Stage.REQUEST),
    stls("list unfinished", "begins its list and says no more", pop3(CAPA=(b"+OK\r\nSTLS\r\n", hang)),
         Reason.STEP_TIMEOUT, Stage.REQUEST),
    stls("answers CAPA oddly", "answers CAPA with neither +OK nor -ERR", pop3(CAPA=b"hello\r\n"),
         Reason.STEP_MISMATCH, Stage.REQUEST),
    stls("injected", "sends plain text right behind its agreement",
         pop3(CAPA=CAPA_TLS, STLS=(AGREED + CAPA, *over_tls()[1:])), Reason.STARTTLS_INJECTION, Stage.TLS),
    stls("injected, own segment", "sends plain text behind its agreement, in a segment of its own",
         pop3(CAPA=CAPA_TLS, STLS=(AGREED, pause(SLOW_S / 4), CAPA, *over_tls()[1:])),
         Reason.STARTTLS_INJECTION, Stage.TLS),
    stls("reset behind the agreement", "agrees and resets the connection", pop3(CAPA=CAPA_TLS, STLS=(AGREED, reset)),
         Reason.RESET, Stage.TLS),
    stls("over TLS, -ERR", "refuses over TLS the CAPA that it answered before",
         pop3(CAPA=CAPA_TLS, STLS=over_tls(b"-ERR no\r\n")), _REFUSED, Stage.RESPONSE),
)  # fmt: skip
