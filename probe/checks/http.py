"""HTTP/1.1 (RFC 9110 and 9112): one request, and of the response as much as the verdict needs (S35). Pure.

Rules:
1. The client speaks first; the request is built once. The connection is not kept, redirects are not followed.
2. Interim responses (1xx but 101, which is final) are passed over, up to a bound. The verdict falls at the end of the
   final response's headers; the body is left unread unless `body_match` is set and the status is as expected.
3. The first 64 KiB of the body are searched. A match is a verdict as soon as it is found, where no more bytes could
   undo it: a pattern that asks about what follows (`$`, `\\b`, `\\B`, `\\z`) is judged on the whole text only.
4. A status line is judged when it is whole, so that the evidence does not depend on the segmentation.
"""

from __future__ import annotations

from collections.abc import Mapping

from bindings.model import Binding, VirtualServer
from probe.checks.body import Body
from probe.checks.conversation import HTTP_HEAD_BYTES_MAX, LINE_BYTES_MAX, Conversation
from probe.checks.expect import StatusSet, expected_but_got
from probe.checks.head import HEAD, HEAD_END, STATUS_LINE, framing_of, may_become_status_line
from probe.checks.lines import PEEK_BYTES_MAX, LineTooLong
from probe.checks.pattern import Pattern
from probe.checks.request import request_of
from probe.values import Reason, Stage, Verdict, evidence_of

INTERIM_RESPONSES_MAX = 8
SEARCH_GROWTH = 8  # search again when the text has grown by an eighth: the work stays linear, whatever the pieces


class HttpCheck:
    """Check an http virtual server at one binding; immutable but for a memo of the last status line.

    Raises ValueError, worded for a person, for anything that cannot be sent or compiled.
    """

    __slots__ = ("_judged", "method", "pattern", "reads_body", "request", "statuses")

    speaks_first = True

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        self.request = request_of(server, binding, headers)
        self.method = server.method
        self.statuses = StatusSet(server.expect_status)
        self.pattern = None if server.body_match is None else Pattern(server.body_match)
        self.reads_body = self.pattern is not None
        self._judged: tuple[bytes, Verdict] = (b"", Verdict(Reason.NOT_YET))

    @property
    def glances(self) -> bool:
        """Whether a head decides."""
        return not self.reads_body

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return HttpConversation(self)

    def glance(self, data: bytes) -> Verdict | None:
        """Judge a piece that begins with the whole head of a final response; None where the body decides."""
        if self.reads_body or len(data) > LINE_BYTES_MAX:
            return None
        head = HEAD.match(data)
        return None if head is None or is_interim(head[2]) else self.judge(head[1], head[2])

    def judge(self, status_line: bytes, status: bytes) -> Verdict:
        """Judge the status of a final response."""
        if self._judged[0] != status_line:
            expected = int(status) in self.statuses
            reason = Reason.MATCHED if expected else Reason.HTTP_STATUS
            evidence = evidence_of(status_line) if expected else expected_but_got(self.statuses, status_line)
            self._judged = (status_line, Verdict(reason, evidence, Stage.RESPONSE))
        return self._judged[1]


def is_interim(status: bytes) -> bool:
    """Say whether another response follows this one; 101 ends HTTP on the connection (RFC 9110 15.2.2)."""
    return status[:1] == b"1" and status != b"101"


class HttpConversation:
    """One request and its response."""

    __slots__ = ("_body", "_check", "_head", "_interims", "_searched", "_status", "finished", "stage", "verdict",
                 "wants_tls")  # fmt: skip

    def __init__(self, check: HttpCheck) -> None:
        self.stage = Stage.REQUEST
        self.verdict: Verdict | None = None
        self.finished = False
        self.wants_tls = False
        self._check = check
        self._head = b""  # of the response so far, unfinished
        self._interims = 0
        self._status: Verdict | None = None  # the head's verdict, while the body is awaited
        self._body: Body | None = None
        self._searched = -1  # bytes of the body at the last search

    def opened(self) -> bytes:
        """Send the request."""
        return self._check.request

    def received(self, data: bytes) -> bytes:
        """Take the next piece of the response; nothing is ever sent back."""
        if not self.finished:
            self.stage = Stage.RESPONSE
            if self._body is None:
                self._take_head(data)
            else:
                self._take_body(self._body, data)
        return b""

    def secured(self) -> bytes:
        """Send nothing: http is over TLS from the first byte or not at all."""
        return b""

    def ended(self) -> None:
        """Note the end of the stream: the body's end, if that is how it is delimited, else `eof`."""
        if self.finished:
            return
        if self._body is None:
            self._conclude(self._missing(Reason.EOF))
            return
        self._body.ended()
        self._search(self._body, Verdict(Reason.EOF, f"the body ended after {len(self._body.text)} bytes", self.stage))

    def expired(self) -> Verdict:
        """Say `banner_timeout` for the head and `step_timeout` for the body, after a last look at what came of it."""
        if self.verdict is not None:
            return self.verdict
        if self._body is None:
            return self._missing(Reason.BANNER_TIMEOUT)
        evidence = f"no end of the body after {len(self._body.text)} bytes"
        return self._found(self._body, concluded=True) or Verdict(Reason.STEP_TIMEOUT, evidence, self.stage)

    def _take_head(self, data: bytes) -> None:
        searched = max(0, len(self._head) - 2)
        head = self._head + data if self._head else data
        while not self.finished:
            fault = _status_line_fault(head)
            end = HEAD_END.search(head, searched, HTTP_HEAD_BYTES_MAX)
            if fault is not None:
                self._conclude(fault)
            elif end is not None:
                rest = head[end.end() :]
                if not self._passes_over(head[: end.end()], rest):
                    return
                head, searched = rest, 0
            elif len(head) >= HTTP_HEAD_BYTES_MAX:
                evidence = evidence_of(
                    b"the head is longer than %d bytes: " % HTTP_HEAD_BYTES_MAX + head[:PEEK_BYTES_MAX]
                )
                self._conclude(Verdict(Reason.LINE_TOO_LONG, evidence, self.stage))
            else:
                self._head = head
                return

    def _passes_over(self, head: bytes, rest: bytes) -> bool:
        """Judge a whole head; true when it was an interim one and the next is to be read."""
        match = HEAD.fullmatch(head)
        if match is None:
            self._conclude(_malformed("a header line is malformed after", head))
        elif is_interim(match[2]):
            self._interims += 1
            if self._interims <= INTERIM_RESPONSES_MAX:
                return True
            self._conclude(_malformed("too many interim responses, the last", head))
        else:
            self._judge(head, self._check.judge(match[1], match[2]), rest)
        return False

    def _judge(self, head: bytes, status: Verdict, rest: bytes) -> None:
        if status.reason is not Reason.MATCHED or not self._check.reads_body:
            self._conclude(status)
            return
        try:
            self._body = Body(framing_of(head, self._check.method))
        except ValueError as fault:
            self._conclude(_malformed(f"{fault}:", head))
            return
        self._head = b""
        self._status = status
        self._take_body(self._body, rest)

    def _take_body(self, body: Body, data: bytes) -> None:
        fault: Verdict | None = None
        try:
            body.feed(data)
        except LineTooLong as error:
            fault = Verdict(Reason.LINE_TOO_LONG, f"{error} in the body", self.stage)
        except ValueError as error:
            fault = Verdict(Reason.HTTP_MALFORMED, str(error), self.stage)
        self._search(body, fault)

    def _search(self, body: Body, fault: Verdict | None) -> None:
        """Look for the pattern; a fault counts only where the text before it does not decide."""
        concluded = body.complete or body.truncated
        found = self._found(body, concluded=concluded or fault is not None)
        if found is not None:
            self._conclude(found)
        elif body.complete:
            self._conclude(Verdict(Reason.BODY_MISMATCH, f"no match in {len(body.text)} bytes", self.stage))
        elif body.truncated:
            self._conclude(Verdict(Reason.BODY_LIMIT, f"no match in the first {len(body.text)} bytes", self.stage))
        elif fault is not None:
            self._conclude(fault)

    def _found(self, body: Body, *, concluded: bool) -> Verdict | None:
        pattern = self._check.pattern
        whole = body.complete or body.truncated
        grown = len(body.text) - self._searched
        due = concluded or grown * SEARCH_GROWTH > len(body.text)
        if pattern is None or not (whole or (pattern.settles_early and due)):
            return None
        self._searched = len(body.text)
        return self._status if pattern.found_in(body.text) else None

    def _missing(self, reason: Reason) -> Verdict:
        if not self._head:
            return Verdict(reason, "no response", self.stage)
        if b"\n" not in self._head and not may_become_status_line(self._head):
            return _malformed("no status line:", self._head)
        return Verdict(reason, evidence_of(b"incomplete response: " + _first_line(self._head)), self.stage)

    def _conclude(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.finished = True
        self._head = b""
        self._body = None


def _status_line_fault(head: bytes) -> Verdict | None:
    """Judge the first line once it is whole."""
    end = head.find(b"\n", 0, LINE_BYTES_MAX)
    if end < 0 and len(head) >= LINE_BYTES_MAX:
        evidence = evidence_of(b"a line is longer than %d bytes: " % LINE_BYTES_MAX + head[:PEEK_BYTES_MAX])
        return Verdict(Reason.LINE_TOO_LONG, evidence, Stage.RESPONSE)
    if end >= 0 and not STATUS_LINE.fullmatch(head[:end].removesuffix(b"\r")):
        return _malformed("no status line:", head)
    return None


def _first_line(head: bytes) -> bytes:
    return head[:PEEK_BYTES_MAX].partition(b"\n")[0].removesuffix(b"\r")


def _malformed(what: str, head: bytes) -> Verdict:
    return Verdict(Reason.HTTP_MALFORMED, evidence_of(what.encode() + b" " + _first_line(head)), Stage.RESPONSE)
