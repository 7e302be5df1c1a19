"""probe/checks/http.py: the request, the response's head, the body."""

from __future__ import annotations

import pytest

from bindings.model import Binding, Secret
from probe.checks import check_for
from probe.values import Reason, Stage
from tests.checks.drive import ENDED, PLAIN, Piece, check_of, drive, server_of

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

HEADS = [
    ("plain", OK + b"Server: nginx\r\n\r\n", Reason.MATCHED),
    ("with body behind", OK + b"\r\nbody", Reason.MATCHED),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\n", Reason.MATCHED),
    ("no reason phrase", b"HTTP/1.1 200\r\n\r\n", Reason.MATCHED),
    ("an empty reason phrase", b"HTTP/1.1 200 \r\n\r\n", Reason.MATCHED),
    ("bare LF", b"HTTP/1.1 200 OK\nServer: x\n\n", Reason.MATCHED),
    ("folded", OK + b"X: a\r\n\t b\r\n\r\n", Reason.MATCHED),
    ("a space before the colon", OK + b"X : a\r\n\r\n", Reason.MATCHED),
    ("Latin-1 in a value", OK + b"X: \xe9\r\n\r\n", Reason.MATCHED),
    ("redirect", b"HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n", Reason.MATCHED),
    ("interim first", b"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" + OK + b"\r\n", Reason.MATCHED),
    ("client error", b"HTTP/1.1 404 Not Found\r\n\r\n", Reason.HTTP_STATUS),
    ("server error", b"HTTP/1.1 503 Unavailable\r\n\r\n", Reason.HTTP_STATUS),
    ("switched without being asked", b"HTTP/1.1 101 Switching\r\n\r\n", Reason.HTTP_STATUS),
    ("nine interim ones", b"HTTP/1.1 100 Continue\r\n\r\n" * 9, Reason.HTTP_MALFORMED),
    ("smtp", b"220 mail ESMTP\r\n", Reason.HTTP_MALFORMED),
    ("no digits", b"HTTP/1.1 2xx OK\r\n", Reason.HTTP_MALFORMED),
    ("four digits", b"HTTP/1.1 2000\r\n", Reason.HTTP_MALFORMED),
    ("HTTP/2", b"HTTP/2 200\r\n", Reason.HTTP_MALFORMED),
    ("no colon", OK + b"nonsense\r\n\r\n", Reason.HTTP_MALFORMED),
    ("no name", OK + b": x\r\n\r\n", Reason.HTTP_MALFORMED),
    ("NUL", OK + b"X: \x00\r\n\r\n", Reason.HTTP_MALFORMED),
    ("bare CR", OK + b"X: a\rY: b\r\n\r\n", Reason.HTTP_MALFORMED),
    ("an endless status line", b"HTTP/1.1 200 " + b"x" * 16_384, Reason.LINE_TOO_LONG),
    ("an endless head", OK + b"X: y\r\n" * 11_000, Reason.LINE_TOO_LONG),
]


@pytest.mark.parametrize(("name", "head", "reason"), HEADS, ids=[row[0] for row in HEADS])
def test_head(name: str, head: bytes, reason: Reason) -> None:
    """S35: the verdict falls at the end of the final response's headers, or where they are malformed or endless."""
    talk = drive(check_of("http"), [head])
    assert (talk.reason, talk.fell_at, talk.finished) == (reason, Stage.RESPONSE, True)


@pytest.mark.parametrize(
    ("pieces", "expired", "ended", "stage"),
    [
        ([], Reason.BANNER_TIMEOUT, Reason.EOF, Stage.REQUEST),
        ([b"HT"], Reason.BANNER_TIMEOUT, Reason.EOF, Stage.RESPONSE),
        ([OK + b"Server: x\r\n"], Reason.BANNER_TIMEOUT, Reason.EOF, Stage.RESPONSE),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], Reason.BANNER_TIMEOUT, Reason.EOF, Stage.RESPONSE),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], Reason.HTTP_MALFORMED, Reason.HTTP_MALFORMED, Stage.RESPONSE),
    ],
)
def test_unfinished_head(pieces: list[Piece], expired: Reason, ended: Reason, stage: Stage) -> None:
    """S32: before the head's end there is no verdict; what the deadline or the end makes of it says how far it came."""
    waiting, gone = drive(check_of("http"), pieces), drive(check_of("http"), [*pieces, ENDED])
    assert waiting.verdict is None
    assert (waiting.expired.reason, waiting.expired.stage) == (expired, stage)
    assert (gone.reason, gone.fell_at, gone.finished) == (ended, stage, True)


@pytest.mark.parametrize(
    ("expect", "status", "reason"),
    [
        ("any", 500, Reason.MATCHED),
        ("200-399", 399, Reason.MATCHED),
        ("200-399", 400, Reason.HTTP_STATUS),
        ("200, 401-403", 402, Reason.MATCHED),
        ("200, 401-403", 404, Reason.HTTP_STATUS),
        ("101", 101, Reason.MATCHED),
        ("503", 503, Reason.MATCHED),
    ],
)
def test_status(expect: str, status: int, reason: Reason) -> None:
    """S35: the status is judged by `expect_status`; `any` is any valid response."""
    talk = drive(check_of("http", expect_status=expect), [b"HTTP/1.1 %d X\r\n\r\n" % status])
    assert talk.reason is reason


BODIES = [
    ("in the body", [OK + b"Content-Length: 9\r\n\r\nall well."], Reason.MATCHED),
    ("as soon as found", [OK + b"Content-Length: 99\r\n\r\nall well"], Reason.MATCHED),
    ("as soon as found, endless", [OK + b"\r\n", b"data: ", b"well"], Reason.MATCHED),
    ("over two chunks", [CHUNKED + b"2\r\nwe\r\n2;x\r\nll\r\n"], Reason.MATCHED),
    ("chunked, in capitals", [OK + b"TRANSFER-ENCODING: gzip, Chunked\r\n\r\n4\r\nwell\r\n"], Reason.MATCHED),
    ("until the end", [OK + b"\r\nlost", ENDED], Reason.BODY_MISMATCH),
    ("not in the body", [OK + b"Content-Length: 4\r\n\r\nlost"], Reason.BODY_MISMATCH),
    ("behind the body", [OK + b"Content-Length: 4\r\n\r\nlostwell"], Reason.BODY_MISMATCH),
    ("in the size, not the text", [CHUNKED + b"2;well\r\nxx\r\n0\r\n\r\n"],
        Reason.BODY_MISMATCH),
    ("in a header only", [OK + b"X: well\r\nContent-Length: 0\r\n\r\n"], Reason.BODY_MISMATCH),
    ("no body", [b"HTTP/1.1 204 No\r\n\r\n"], Reason.BODY_MISMATCH),
    ("cut short", [OK + b"Content-Length: 99\r\n\r\nlost", ENDED], Reason.EOF),
    ("chunks cut short", [CHUNKED + b"4\r\nlost\r\n", ENDED], Reason.EOF),
    ("exactly the limit", [OK + b"Content-Length: 65536\r\n\r\n" + b"x" * 65_536], Reason.BODY_MISMATCH),
    ("above the limit", [OK + b"Content-Length: 65540\r\n\r\n" + b"x" * 65_536], Reason.BODY_LIMIT),
    ("found behind the limit", [OK + b"\r\n" + b"x" * 65_536 + b"well", ENDED], Reason.BODY_LIMIT),
    ("chunks above the limit", [CHUNKED + b"10001\r\n" + b"x" * 65_536], Reason.BODY_LIMIT),
    ("exactly the limit in chunks", [CHUNKED + b"10000\r\n" + b"x" * 65_536 + b"\r\n0\r\n"],
        Reason.BODY_MISMATCH),
    ("two lengths", [OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nwell"], Reason.HTTP_MALFORMED),
    ("the same length twice", [OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nwell"], Reason.MATCHED),
    ("no length", [OK + b"Content-Length: four\r\n\r\nwell"], Reason.HTTP_MALFORMED),
    ("no chunk size", [CHUNKED + b"xyz\r\n"], Reason.HTTP_MALFORMED),
    ("a chunk too long", [CHUNKED + b"2\r\nlost\r\n"], Reason.HTTP_MALFORMED),
    ("an endless chunk line", [CHUNKED + b"" + b"1" * 16_384], Reason.LINE_TOO_LONG),
    ("an error page", [b"HTTP/1.1 500 X\r\nContent-Length: 4\r\n\r\nwell"], Reason.HTTP_STATUS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "pieces", "reason"), BODIES, ids=[row[0] for row in BODIES])
def test_body(name: str, pieces: list[Piece], reason: Reason) -> None:
    """S35: with `body_match` the first 64 KiB of the body are searched, whatever its framing."""
    talk = drive(check_of("http", body_match="w.ll"), pieces)
    assert (talk.reason, talk.fell_at, talk.finished) == (reason, Stage.RESPONSE, True)


def test_deadline_in_the_body() -> None:
    """S32: a body that does not end is `step_timeout`; what matches when the deadline passes still counts."""
    check = check_of("http", body_match="well")
    assert drive(check, [OK + b"\r\nlost"]).expired.reason is Reason.STEP_TIMEOUT
    slow = [OK + b"\r\n" + b"x" * 4000, *(bytes([byte]) for byte in b"well")]
    talk = drive(check, slow)
    assert (talk.verdict, talk.expired.reason) == (None, Reason.MATCHED)


def test_what_looks_ahead_waits_for_the_whole_body() -> None:
    """A pattern that asks what follows is judged on the whole text, never on a piece that happens to end there."""
    check = check_of("http", body_match="^well$")
    assert drive(check, [OK + b"Content-Length: 9\r\n\r\nwell", b" then"]).reason is Reason.BODY_MISMATCH
    assert drive(check, [OK + b"Content-Length: 4\r\n\r\nwe", b"ll"]).reason is Reason.MATCHED


def test_head_request_has_no_body() -> None:
    """RFC 9112 6.3: the answer to HEAD ends with its headers, whatever length they announce."""
    talk = drive(check_of("http", method="HEAD", body_match="x"), [OK + b"Content-Length: 5\r\n\r\n"])
    assert talk.reason is Reason.BODY_MISMATCH


def test_pattern_that_kills_other_engines() -> None:
    """A user's pattern runs in linear time: the classic that doubles with each character is done at once."""
    body = b"a" * 60_000
    talk = drive(check_of("http", body_match="^(a+)+$"), [OK + b"Content-Length: 60001\r\n\r\n" + body, b"!"])
    assert talk.reason is Reason.BODY_MISMATCH


def test_pattern_is_utf8() -> None:
    """A pattern beyond ASCII matches UTF-8 bytes; a body that is no UTF-8 is searched all the same."""
    check = check_of("http", body_match="gr[üö]n")
    assert drive(check, [OK + b"\r\n\xff\xfe" + "grün".encode()]).reason is Reason.MATCHED
    assert drive(check, [OK + b"\r\n" + "grün".encode("latin-1"), ENDED]).reason is Reason.BODY_MISMATCH


def test_request_as_it_is_sent() -> None:
    """S35: a GET with the Host, once and whole."""
    assert drive(check_of("http", path="/health?x=1"), []).sent == (
        b"GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:2525\r\nUser-Agent: looksalive\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("binding", "host"),
    [
        (Binding("", "192.0.2.1", 80), "192.0.2.1"),
        (Binding("", "192.0.2.1", 8080), "192.0.2.1:8080"),
        (Binding("", "192.0.2.1", 443), "192.0.2.1:443"),
        (Binding("", "192.0.2.1", 443, secure=True), "192.0.2.1"),
        (Binding("", "2001:db8::1", 80), "[2001:db8::1]"),
        (Binding("", "fe80::1%eth0", 8080), "[fe80::1]:8080"),
        (Binding("", "www.example.org", 8080), "www.example.org:8080"),
        (Binding("", "192.0.2.1", 8080, host="site.example.org"), "site.example.org"),
        (Binding("", "", 0, unix_path="/run/x"), "localhost"),
        (Binding("", "", 8080), "localhost:8080"),
    ],
)
def test_host(binding: Binding, host: str) -> None:
    """S35: the Host is the binding's, else its address, in brackets for IPv6, with a port that is not the default."""
    request = drive(check_for(server_of("http"), binding), []).sent
    assert f"\r\nHost: {host}\r\n".encode() in request


def test_host_of_the_server_stands_behind_the_binding() -> None:
    """The virtual server's `host` is asked for, unless the binding names another."""
    server = server_of("http", host="default.example.org")
    named = Binding("", "192.0.2.1", 80, host="own.example.org")
    assert b"Host: default.example.org\r\n" in drive(check_for(server, PLAIN), []).sent
    assert b"Host: own.example.org\r\n" in drive(check_for(server, named), []).sent


def test_headers_of_the_user_replace_ours() -> None:
    """A header of the same name replaces ours, whatever its case; a secret's value comes resolved."""
    server = server_of("http", headers=(("host", "x.org"), ("USER-AGENT", "me"), ("Authorization", Secret("/s"))))
    sent = drive(check_for(server, PLAIN, {"Authorization": "Bearer 123"}), []).sent
    assert sent.lower().count(b"host:") == sent.lower().count(b"user-agent:") == 1
    assert b"host: x.org\r\nUSER-AGENT: me\r\n" in sent
    assert b"Authorization: Bearer 123\r\n" in sent


def test_post_says_that_it_brings_nothing() -> None:
    """RFC 9110 8.6: a POST without content says so, or a server may wait for it."""
    assert b"\r\nContent-Length: 0\r\n" in drive(check_of("http", method="POST"), []).sent


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"path": "no-slash"}, "path"),
        ({"path": "/a b"}, "path"),
        ({"path": "/a\r\nX: y"}, "path"),
        ({"method": "GET /"}, "method"),
        ({"headers": (("X", "a\r\nY: b"),)}, "value of X"),
        ({"headers": (("X Y", "a"),)}, "header name"),
        ({"headers": (("X", Secret("/s")),)}, "not resolved"),
        ({"headers": tuple((f"X-{number}", "a") for number in range(80))}, "more than"),
        ({"host": "a\r\nb"}, "value of Host"),
        ({"expect_status": "20x"}, "expect_status"),
        ({"expect_status": "300-200"}, "expect_status"),
        ({"expect_status": "099"}, "expect_status"),
        ({"expect_status": ""}, "expect_status"),
        ({"body_match": "(a"}, r"no RE2 pattern: missing \)"),
        ({"body_match": "(?=a)"}, "no RE2 pattern"),
        ({"body_match": "a" * 2000}, "longer"),
    ],
)
def test_property_that_cannot_be_used(properties: dict[str, object], words: str) -> None:
    """A property that cannot be sent or compiled is refused when the check is built, with words for a person."""
    with pytest.raises(ValueError, match=words):
        check_for(server_of("http", **properties), PLAIN)


def test_no_secret_in_an_error_or_in_evidence() -> None:
    """A secret is in the request and nowhere else: not in the error about it, not in any evidence."""
    server = server_of("http", headers=(("Authorization", Secret("/s")),))
    with pytest.raises(ValueError, match="Authorization") as caught:
        check_for(server, PLAIN, {"Authorization": "hunter2\n"})
    assert "hunter2" not in str(caught.value)
    check = check_for(server, PLAIN, {"Authorization": "hunter2"})
    for pieces in ([b"HTTP/1.1 401 No\r\n\r\n"], [b"nonsense\r\n"], [ENDED]):
        verdict = drive(check, pieces).verdict
        assert verdict is not None
        assert "hunter2" not in verdict.evidence


@pytest.mark.parametrize(
    ("pieces", "evidence"),
    [
        ([OK + b"\r\n"], "HTTP/1.1 200 OK"),
        ([b"HTTP/1.1 503 Busy\r\n\r\n"], "expected 200-399, got HTTP/1.1 503 Busy"),
        ([b"220 mail\r\n"], "no status line: 220 mail"),
        ([OK + b"oops\r\n\r\n"], "a header line is malformed after HTTP/1.1 200 OK"),
        ([OK, ENDED], "incomplete response: HTTP/1.1 200 OK"),
        ([ENDED], "no response"),
    ],
)
def test_evidence(pieces: list[Piece], evidence: str) -> None:
    """The evidence is the status line, or what was missing and what came of it."""
    verdict = drive(check_of("http"), pieces).verdict
    assert verdict is not None
    assert verdict.evidence == evidence
