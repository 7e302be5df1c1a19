"""HTTP bodies, with `body_match`: framing, bounds and what arrives late or never (RFC 9112 6 and 7)."""

from __future__ import annotations

import gzip

from probe.values import Reason, Stage
from tests.truth.acts import Script, endless, eof, hang, pause, pieces
from tests.truth.rows import SLOW_S, Row
from tests.truth.servers import http, response


def row(name: str, does: str, answer: bytes | Script, reason: Reason, **asked: object) -> Row:
    """Expect `reason` of a server whose body is searched for `all is well`."""
    return Row(
        name=f"body: {name}",
        does=does,
        protocol="http",
        script=http(answer),
        reason=reason,
        stage=Stage.RESPONSE,
        asked={"body_match": "all is well"} | asked,
    )


_ALIVE, _MISMATCH = Reason.MATCHED, Reason.BODY_MISMATCH
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
_UNTIL_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
_FILL = b"x" * (64 * 1024)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _length(length: int, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (length, body)


ROWS = (
    row("as hoped", "sends the text that is looked for", response(), _ALIVE),
    row("until the end", "delimits its body by the end of the stream", (_UNTIL_END, b"all is well", eof), _ALIVE),
    row("another text", "sends another text", response(b"out of order"), _MISMATCH),
    row("no body", "sends an empty body", response(b""), _MISMATCH),
    row("204", "answers 204, which has no body",
        b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n", _MISMATCH),
    row("the text of a 500", "sends the text with status 500: the status is the first question",
        response(status=b"500 Internal Server Error"), Reason.HTTP_STATUS),
    row("late", "sends the text a third of the time-out after the headers",
        (_length(11, b""), pause(SLOW_S), b"all is well"),
        _ALIVE),
    row("never", "promises a body and never sends it", (_length(11, b""), hang), Reason.STEP_TIMEOUT),
    row("half", "sends half of the text and stops", (_length(11, b"all is"), hang), Reason.STEP_TIMEOUT),
    row("found, then silence", "sends the text, promises more and stops: what was looked for is there",
        (_length(999, b"all is well"), hang), _ALIVE),
    row("single bytes", "sends the body byte by byte", (_length(11, b""), pieces(b"all is well")), _ALIVE),
    row("cut off", "ends the stream before the promised length", (_length(999, b"out of order"), eof), Reason.EOF),
    row("behind the length", "sends the text behind the length that it told: not part of the body",
        (_length(12, b"out of order all is well"), eof), _MISMATCH),
    row("chunks", "sends the text in chunks", _CHUNKED + _chunk(b"yes, ") + _chunk(b"all is well") + b"0\r\n\r\n",
        _ALIVE),
    row("across chunks", "sends the text across the boundary of two chunks",
        _CHUNKED + _chunk(b"all i") + _chunk(b"s well") + b"0\r\n\r\n", _ALIVE),
    row("chunks, byte by byte", "sends chunks byte by byte",
        (_CHUNKED, pieces(_chunk(b"all i") + _chunk(b"s well") + b"0\r\n\r\n")), _ALIVE),
    row("chunk with extension", "sends a chunk with an extension",
        _CHUNKED + b"b;name=value\r\nall is well\r\n0\r\n\r\n", _ALIVE),
    row("chunk's framing", "has the text in a chunk's extension only, which is not the body",
        _CHUNKED + b'2;x="all is well"\r\nno\r\n0\r\n\r\n', _MISMATCH),
    row("bad chunk", "sends a chunk whose size is no number", _CHUNKED + b"zz\r\nall is well\r\n0\r\n\r\n",
        Reason.HTTP_MALFORMED),
    row("last chunk missing", "ends the stream without the last chunk", (_CHUNKED + _chunk(b"out of order"), eof),
        Reason.EOF),
    row("above the limit", "has the text behind the first 64 KiB of its body", response(_FILL + b"all is well"),
        Reason.BODY_LIMIT),
    row("at the limit", "has the text at the end of the first 64 KiB",
        response(_FILL[:-11] + b"all is well" + b"x" * 99),
        _ALIVE),
    row("endless", "sends a body without end and without the text", (_UNTIL_END, endless(b"x" * 4096)),
        Reason.BODY_LIMIT),
    row("gzip", "compresses the text although nobody asked for it",
        response(gzip.compress(b"all is well", mtime=0), b"200 OK", b"Content-Encoding: gzip"), _MISMATCH),
    row("two lengths", "sends two different lengths: where the body ends is anybody's guess",
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\nContent-Length: 5\r\n\r\nall is well", Reason.HTTP_MALFORMED),
    row("bad length", "sends a length that is no number",
        b"HTTP/1.1 200 OK\r\nContent-Length: eleven\r\n\r\nall is well", Reason.HTTP_MALFORMED),
    row("evil pattern", "sends 60 KB of `a` to a pattern that makes a backtracking engine explode",
        response(b"a" * 60_000 + b"!"), _MISMATCH, body_match="^(a+)+$"),
    row("wait for the end", "sends the text and more behind it; the pattern asks what follows",
        response(b"all is well, almost"), _MISMATCH, body_match="all is well$"),
)  # fmt: skip
