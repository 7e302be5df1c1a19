"""IMAP (RFC 9051 and 3501)."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.acts import Act, Script, Talk, endless, eof, hang, pause, pieces, shake
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import CAPABILITY, CAPABILITY_TLS, IMAP_GREETING, imap

OFFERING = b"* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] ready\r\n"
AGREED = b"TAG OK begin TLS\r\n"
TRUSTING = {"starttls": "required", "tls": {"ca_file": "ca.pem"}}


def greets(name: str, does: str, greeting: bytes | Script, reason: Reason, **answers: bytes | Script) -> Row:
    """Expect `reason` of an IMAP server that greets so."""
    return Row(
        name=f"imap: {name}",
        does=does,
        protocol="imap",
        script=imap(greeting, **answers),
        reason=reason,
        stage=Stage.BANNER,
    )


def tls(
    name: str, does: str, reason: Reason, stage: Stage, greeting: bytes = IMAP_GREETING, **answers: bytes | Script
) -> Row:
    """Expect `reason` of an IMAP server asked with STARTTLS required."""
    told = {"CAPABILITY": CAPABILITY_TLS, "STARTTLS": over_tls(), **answers}
    return Row(
        name=f"imap starttls: {name}",
        does=does,
        protocol="imap",
        script=imap(greeting, **told),
        reason=reason,
        stage=stage,
        asked=TRUSTING,
        host="mail.example.org",
    )


def again(**answers: bytes | Script) -> Act:
    """Go on answering without a greeting."""

    def act(talk: Talk) -> None:
        talk.play(imap((), **answers))

    return act


def over_tls(certificate: str = "good", **answers: bytes | Script) -> Script:
    """Agree, shake hands and go on."""
    return (AGREED, shake(certificate), again(**answers))


_REFUSED, _MISMATCH, _ALIVE = Reason.REFUSED_BY_SERVER, Reason.BANNER_MISMATCH, Reason.MATCHED
_REQUEST, _RESPONSE = Stage.REQUEST, Stage.RESPONSE

ROWS = (
    greets("healthy", "greets with `* OK`", IMAP_GREETING, _ALIVE),
    greets("PREAUTH", "greets with `* PREAUTH`: the client is logged in already", b"* PREAUTH welcome\r\n", _ALIVE),
    greets("capability in the greeting", "tells its capabilities in the greeting", OFFERING, _ALIVE),
    greets("lower case", "greets with `* ok`; status words have no case", b"* ok ready\r\n", _ALIVE),
    greets("literal", "has what looks like a literal in its greeting, and a line behind it",
           b"* OK ready {5}\r\nhello\r\n", _ALIVE),
    greets("untagged line behind", "sends an untagged CAPABILITY behind its greeting",
           IMAP_GREETING + CAPABILITY, _ALIVE),
    greets("single bytes", "sends the greeting byte by byte", (pieces(IMAP_GREETING),), _ALIVE),
    greets("slow greeting", "greets after a third of the time-out", (pause(SLOW_S), IMAP_GREETING), _ALIVE),
    greets("BYE", "refuses with `* BYE`", (b"* BYE [UNAVAILABLE] too many connections\r\n", eof), _REFUSED),
    greets("OKAY", "greets with `* OKAY`, a longer word", b"* OKAY ready\r\n", _MISMATCH),
    greets("NO", "greets with `* NO`, which is no greeting", b"* NO ready\r\n", _MISMATCH),
    greets("tagged", "greets with a tagged OK", b"a0 OK ready\r\n", _MISMATCH),
    greets("endless line", "sends a greeting line without an end", (endless(b"* OK " + b"x" * 4096),),
           Reason.LINE_TOO_LONG),
    greets("silent", "accepts and says nothing", (hang,), Reason.BANNER_TIMEOUT),
    greets("LOGOUT unanswered", "answers LOGOUT with BYE and never with the tagged OK", IMAP_GREETING, _ALIVE,
           LOGOUT=(b"* BYE see you\r\n", hang)),
    tls("healthy", "lists STARTTLS when asked and keeps its word", _ALIVE, _RESPONSE),
    tls("in the greeting", "lists STARTTLS in the greeting already", _ALIVE, _RESPONSE, OFFERING),
    tls("lower case", "lists `starttls` in lower case", _ALIVE, _RESPONSE,
        CAPABILITY=b"* capability imap4rev1 starttls\r\n"),
    tls("untagged lines between", "sends untagged lines before its answers", _ALIVE, _RESPONSE,
        CAPABILITY=b"* OK still here\r\n" + CAPABILITY_TLS + b"* 3 EXISTS\r\n"),
    tls("not listed", "does not list STARTTLS", Reason.STARTTLS_MISSING, _REQUEST, CAPABILITY=CAPABILITY),
    tls("PREAUTH", "greets with PREAUTH, after which STARTTLS is not allowed (RFC 9051 6.2.1)",
        Reason.STARTTLS_MISSING, Stage.BANNER, b"* PREAUTH welcome\r\n"),
    tls("refused with NO", "lists STARTTLS and refuses it with NO", _REFUSED, _REQUEST, STARTTLS=b"TAG NO not now\r\n"),
    tls("refused with BAD", "lists STARTTLS and does not know it", _REFUSED, _REQUEST, STARTTLS=b"TAG BAD what?\r\n"),
    tls("BYE instead", "says BYE instead of answering STARTTLS", _REFUSED, _REQUEST,
        STARTTLS=(b"* BYE shutting down\r\n", eof)),
    tls("another tag", "answers with a tag that nobody used", Reason.STEP_MISMATCH, _REQUEST,
        CAPABILITY=(CAPABILITY_TLS, b"zz OK done\r\n", hang)),
    tls("without tagged answer", "lists its capabilities and never ends the answer", Reason.STEP_TIMEOUT, _REQUEST,
        CAPABILITY=(CAPABILITY_TLS, hang)),
    tls("endless answer", "sends untagged lines without end", Reason.LINE_TOO_LONG, _REQUEST,
        CAPABILITY=(endless(b"* 1 EXISTS\r\n" * 100),)),
    tls("injected", "sends an answer in plain text right behind its agreement", Reason.STARTTLS_INJECTION, Stage.TLS,
        STARTTLS=(AGREED + b"* OK injected\r\n", *over_tls()[1:])),
    tls("injected, own segment", "sends plain text behind its agreement, in a segment of its own",
        Reason.STARTTLS_INJECTION, Stage.TLS, STARTTLS=(AGREED, pause(SLOW_S / 4), b"* OK injected\r\n",
        *over_tls()[1:])),
    tls("over TLS, BYE", "says BYE over TLS", _REFUSED, _RESPONSE,
        STARTTLS=over_tls(CAPABILITY=(b"* BYE not for you\r\n", eof))),
    tls("expired", "shows an expired certificate behind STARTTLS", Reason.TLS_EXPIRED, Stage.TLS,
        STARTTLS=over_tls("expired")),
)  # fmt: skip
