"""HTTP/1 heads (RFC 9110 and 9112): statuses, interim responses, what is malformed and what is only unusual."""

from __future__ import annotations

from probe.values import Reason, Stage
from tests.truth.acts import Script, close, endless, eof, hang, hears_something, pause, pieces, reset
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import http, response

_SETTINGS_AND_GOAWAY = (
    b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"  # SETTINGS, RFC 9113 6.5
    b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"  # GOAWAY, PROTOCOL_ERROR
)


def row(
    name: str, does: str, answer: bytes | Script, reason: Reason, stage: Stage = Stage.RESPONSE, **asked: object
) -> Row:
    """Expect `reason` of a server that answers a request so."""
    return Row(
        name=f"http: {name}",
        does=does,
        protocol="http",
        script=http(answer),
        reason=reason,
        stage=stage,
        asked=asked,
    )


def head(line: bytes, *fields: bytes) -> bytes:
    """Make a response without a body from its status line and fields."""
    return b"\r\n".join((line, *fields, b"Content-Length: 0", b"Connection: close")) + b"\r\n\r\n"


_ALIVE, _STATUS, _MALFORMED = Reason.MATCHED, Reason.HTTP_STATUS, Reason.HTTP_MALFORMED
_LONG = Reason.LINE_TOO_LONG
_HUGE = b"X-Fill: " + b"x" * 8000
_EARLY_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"

ROWS = (
    row("200", "answers 200", response(), _ALIVE),
    row("204", "answers 204 without a body", b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", _ALIVE),
    row("301", "redirects to itself; a redirect is an answer and is not followed",
        head(b"HTTP/1.1 301 Moved Permanently", b"Location: /"), _ALIVE),
    row("401", "wants a password", head(b"HTTP/1.1 401 Unauthorized", b"WWW-Authenticate: Basic"), _STATUS),
    row("401, as expected", "wants a password, and `expect_status` knows",
        head(b"HTTP/1.1 401 Unauthorized", b"WWW-Authenticate: Basic"), _ALIVE, expect_status="200-399,401"),
    row("404", "answers 404", response(b"gone", b"404 Not Found"), _STATUS),
    row("500", "answers 500", response(b"oh no", b"500 Internal Server Error"), _STATUS),
    row("503", "answers 503", response(b"later", b"503 Service Unavailable"), _STATUS),
    row("599", "answers 599, a status that nobody registered", head(b"HTTP/1.1 599 Whatever"), _STATUS),
    row("999", "answers 999, as some sites do to robots", head(b"HTTP/1.1 999 Request denied"), _STATUS),
    row("999, any", "answers 999, and any response is good enough", head(b"HTTP/1.1 999 Request denied"), _ALIVE,
        expect_status="any"),
    row("20", "answers with a status of two digits", head(b"HTTP/1.1 20 OK"), _MALFORMED),
    row("2000", "answers with a status of four digits", head(b"HTTP/1.1 2000 OK"), _MALFORMED),
    row("HTTP/1.0", "answers in HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello", _ALIVE),
    row("HTTP/0.9", "answers with a page and no head", b"<html>hello</html>\n", _MALFORMED),
    row("HTTP/2", "knows HTTP/2 only: answers with SETTINGS and GOAWAY and ends the stream",
        _SETTINGS_AND_GOAWAY, _MALFORMED),
    row("http/1.1", "spells the version in lower case; RFC 9112 2.3 is strict about it",
        head(b"http/1.1 200 OK"), _MALFORMED),
    row("ICY", "is a radio stream: `ICY 200 OK`", head(b"ICY 200 OK"), _MALFORMED),
    row("SMTP", "is an SMTP server on the port", (b"220 mail.example.org ESMTP\r\n",), _MALFORMED),
    row("reason missing", "leaves the reason phrase out", head(b"HTTP/1.1 200 "), _ALIVE),
    row("reason and space missing", "leaves out the reason phrase and the space before it, as real servers do",
        head(b"HTTP/1.1 200"), _ALIVE),
    row("LF only", "ends its lines with LF alone", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", _ALIVE),
    row("folded header", "folds a header line (obs-fold)", head(b"HTTP/1.1 200 OK", b"X-Long: one\r\n two"), _ALIVE),
    row("header without colon", "sends a header line without a colon",
        head(b"HTTP/1.1 200 OK", b"this is no header"), _MALFORMED),
    row("NUL in a header", "sends a NUL inside a header", head(b"HTTP/1.1 200 OK", b"X-Nul: a\x00b"), _MALFORMED),
    row("no headers", "sends a status line and the empty line", b"HTTP/1.1 200 OK\r\n\r\n", _ALIVE),
    row("100 first", "sends 100 Continue before the answer", b"HTTP/1.1 100 Continue\r\n\r\n" + response(), _ALIVE),
    row("103 first, slowly", "sends Early Hints, and the answer 0.2 s later", (_EARLY_HINTS, pause(SLOW_S), response()),
        _ALIVE),
    row("103 and no more", "sends Early Hints and never an answer", (_EARLY_HINTS, hang), Reason.BANNER_TIMEOUT),
    row("endless 100", "sends 100 Continue again and again", (endless(b"HTTP/1.1 100 Continue\r\n\r\n" * 50),),
        _MALFORMED),
    row("101", "switches to a protocol that nobody asked for", head(b"HTTP/1.1 101 Switching Protocols"), _STATUS),
    row("single bytes", "sends the head byte by byte", (pieces(response()),), _ALIVE),
    row("slow", "answers after a third of the time-out", (pause(SLOW_S), response()), _ALIVE),
    row("silent", "reads the request and says nothing", (hang,), Reason.BANNER_TIMEOUT, Stage.REQUEST),
    row("end instead", "reads the request and ends the stream", (eof,), Reason.EOF, Stage.REQUEST),
    row("reset instead", "reads the request and resets the connection", (reset,), Reason.RESET, Stage.REQUEST),
    row("head without end", "never sends the empty line behind the headers",
        (b"HTTP/1.1 200 OK\r\nX-More: yes\r\n", hang), Reason.BANNER_TIMEOUT),
    row("end inside the head", "ends the stream inside the headers", (b"HTTP/1.1 200 OK\r\nX-Mo", eof), Reason.EOF),
    row("8 KiB header", "sends one header of 8 KiB", head(b"HTTP/1.1 200 OK", _HUGE), _ALIVE),
    row("64 KiB of headers", "sends more than 64 KiB of headers", head(b"HTTP/1.1 200 OK", *[_HUGE] * 9), _LONG),
    row("endless headers", "sends headers without end", (b"HTTP/1.1 200 OK\r\n", endless(b"X-More: yes\r\n" * 300)),
        _LONG),
    row("endless body", "answers 200 and sends a body without end, which nobody asked about",
        (b"HTTP/1.1 200 OK\r\n\r\n", endless(b"x" * 4096)), _ALIVE),
    row("body never comes", "promises a body and sends none; the headers are the verdict",
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", hang), _ALIVE),
    row("two lengths", "sends two different lengths; without `body_match` nobody counts",
        head(b"HTTP/1.1 200 OK", b"Content-Length: 5"), _ALIVE),
    Row(name="http: answers before the request", does="says 503 and closes without reading the request",
        protocol="http", script=(b"HTTP/1.1 503 Full\r\nContent-Length: 0\r\n\r\n", close), reason=_STATUS,
        stage=Stage.RESPONSE),
    Row(name="http: wants TLS", does="is an HTTPS port: answers the plain request with 400, as nginx does",
        protocol="http", reason=_STATUS, stage=Stage.RESPONSE,
        script=(hears_something, response(b"plain HTTP request sent to HTTPS port", b"400 Bad Request"), eof)),
    Row(name="http: TLS alert", does="is an HTTPS port: answers the plain request with a TLS alert and ends the stream",
        protocol="http", script=(hears_something, b"\x15\x03\x01\x00\x02\x02\x46", eof), reason=_MALFORMED,
        stage=Stage.RESPONSE),
)  # fmt: skip
