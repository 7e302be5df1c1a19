"""What all protocols of lines share: the greeting's glance, the bounds, the ways in which a dialogue ends. Pure.

A protocol's file adds a `LineCheck` (how one greeting line is judged) and a `LineDialogue` (what each line means).
"""

from __future__ import annotations

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import LINE_BYTES_MAX, REPLY_BYTES_MAX, REPLY_LINES_MAX, Conversation
from probe.checks.expect import expectation_of, expected_but_got
from probe.checks.lines import PEEK_BYTES_MAX, LineReader, LineTooLong
from probe.values import Reason, Stage, Verdict, evidence_of

LINE_END_BYTES = 2
_NOTHING_YET = Verdict(Reason.NOT_YET)


class LineCheck:
    """The recipe of a dialogue of lines, immutable but for memos of one entry each.

    The memos make a steady round cheap: the same greeting is judged once, and its verdict is the same object again, so
    that whoever stores it can compare by identity.
    """

    __slots__ = ("_line_judged", "_shared", "expectation", "polite", "starttls")

    speaks_first = False

    def __init__(self, server: VirtualServer, binding: Binding) -> None:
        self.expectation = expectation_of(server)
        self.polite = server.polite
        # With TLS from the first byte there is nothing left to upgrade: STARTTLS is for the plain bindings.
        self.starttls = server.starttls == "required" and not binding.secure
        self._line_judged: tuple[bytes, Verdict] | None = None
        self._shared = _NOTHING_YET

    @property
    def glances(self) -> bool:
        """Whether a greeting can be the whole dialogue."""
        return not (self.polite or self.starttls)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        raise NotImplementedError

    def glance(self, data: bytes) -> Verdict | None:
        """Judge a piece that is exactly one whole greeting line; None whenever the dialogue is more than that."""
        length = len(data)
        if self.polite or self.starttls or length > LINE_BYTES_MAX or data.find(b"\n") != length - 1 or not length:
            return None
        line = data[:-2] if data.endswith(b"\r\n") else data[:-1]
        verdict = self.judge(line)
        return None if verdict.reason is Reason.MATCHED and not self.is_whole(line) else verdict

    def judge(self, line: bytes) -> Verdict:
        """Judge the first line of a greeting (without its end)."""
        judged = self._line_judged
        if judged is not None and judged[0] == line:
            return judged[1]
        reason = self.reason_of(line)
        mismatch = reason is Reason.BANNER_MISMATCH
        evidence = expected_but_got(self.expectation, line) if mismatch else evidence_of(line)
        verdict = Verdict(reason, evidence, Stage.BANNER)
        self._line_judged = (line, verdict)
        return verdict

    def reason_of(self, line: bytes) -> Reason:
        """Say what a first line means: `matched`, `refused_by_server` or `banner_mismatch`."""
        return Reason.MATCHED if self.expectation.meets(line) else Reason.BANNER_MISMATCH

    def is_whole(self, line: bytes) -> bool:
        """Say whether a greeting that begins with this line ends with it."""
        del line
        return True

    def share(self, verdict: Verdict) -> Verdict:
        """Return the equal verdict given last time, if it is equal, so that a steady state is one object."""
        if verdict != self._shared:
            self._shared = verdict
        return self._shared


class LineDialogue:
    """One conversation in lines. A protocol overrides `hear`; everything else is the rules of `conversation.py`.

    `_awaited` names in words what the peer owes; it is what the evidence of a silence says.
    """

    __slots__ = ("_awaited", "_heard", "_reader", "_reply_bytes", "_reply_lines", "finished", "stage", "verdict",
                 "wants_tls")  # fmt: skip

    def __init__(self) -> None:
        self.stage = Stage.BANNER
        self.verdict: Verdict | None = None
        self.finished = False
        self.wants_tls = False
        self._reader = LineReader()
        self._awaited = "greeting"
        self._heard = b""  # how the last line of the unfinished reply began
        self._reply_lines = 0
        self._reply_bytes = 0

    def hear(self, line: bytes) -> bytes:
        """Take one line and return what to send."""
        raise NotImplementedError

    def over_tls(self) -> bytes:
        """Return what to ask once the STARTTLS handshake is done."""
        raise NotImplementedError

    def opened(self) -> bytes:
        """Send nothing: the peer greets first."""
        return b""

    def received(self, data: bytes) -> bytes:
        """Hear every whole line; plain text behind an agreement to STARTTLS is an injection (CVE-2011-0411)."""
        if self.finished:
            return b""
        self._reader.feed(data)
        answer = b""
        try:
            while self._hears and (line := self._reader.take()) is not None:
                self._count(line)
                answer += self.hear(line)
        except LineTooLong as fault:
            evidence = evidence_of(f"{fault}: ".encode() + fault.seen)
            self.conclude(Verdict(Reason.LINE_TOO_LONG, evidence, self.stage))
        if self.wants_tls and self._reader.pending:
            # What came behind is not shown: how much of it there is depends on the segmentation.
            evidence = evidence_of(b"plain text behind the answer to STARTTLS: " + self._heard)
            self.conclude(Verdict(Reason.STARTTLS_INJECTION, evidence, self.stage))
        if not self._hears:
            self._reader.clear()
        return answer

    def secured(self) -> bytes:
        """Go on over TLS; the answer there is a step of its own (stage `response`)."""
        if self.finished or not self.wants_tls:
            return b""
        self.wants_tls = False
        self.stage = Stage.RESPONSE
        return self.over_tls()

    def ended(self) -> None:
        """Note the end of the stream: `eof` unless the verdict has fallen."""
        if self.verdict is None:
            self.conclude(Verdict(Reason.EOF, self._missing(), self.stage))
        self.finished = True

    def expired(self) -> Verdict:
        """Say `banner_timeout` for the greeting, `tls_timeout` for the upgrade, `step_timeout` for any other answer."""
        if self.verdict is not None:
            return self.verdict
        if self.wants_tls:
            return Verdict(Reason.TLS_TIMEOUT, "no TLS handshake after STARTTLS", self.stage)
        reason = Reason.BANNER_TIMEOUT if self.stage is Stage.BANNER else Reason.STEP_TIMEOUT
        return Verdict(reason, self._missing(), self.stage)

    def conclude(self, verdict: Verdict, goodbye: bytes = b"") -> bytes:
        """Set the verdict, once. With a goodbye the dialogue goes on until the peer has answered it."""
        self.wants_tls = False
        if self.verdict is None:
            self.verdict = verdict
        else:
            goodbye = b""
        if goodbye:
            self.stage = Stage.QUIT
            self.reply_done()
        else:
            self.finished = True
        return goodbye

    def ask(self, command: bytes, awaited: str) -> bytes:
        """Send a command at stage `request`, or at `response` once over TLS, and count a new reply."""
        if self.stage is Stage.BANNER:
            self.stage = Stage.REQUEST
        self._awaited = awaited
        self.reply_done()
        return command

    def upgrade(self, line: bytes) -> bytes:
        """Want TLS: the peer agreed to STARTTLS with this line."""
        self.wants_tls = True
        self.stage = Stage.TLS
        self.reply_done()
        self._heard = line[:PEEK_BYTES_MAX]
        return b""

    def reply_done(self) -> None:
        """Begin to count the next reply."""
        self._heard = b""
        self._reply_lines = self._reply_bytes = 0

    @property
    def _hears(self) -> bool:
        return not (self.finished or self.wants_tls)

    def _count(self, line: bytes) -> None:
        self._heard = line[:PEEK_BYTES_MAX]
        self._reply_lines += 1
        self._reply_bytes += len(line) + LINE_END_BYTES
        if self._reply_lines > REPLY_LINES_MAX:
            raise LineTooLong(f"a reply has more than {REPLY_LINES_MAX} lines", line)
        if self._reply_bytes > REPLY_BYTES_MAX:
            raise LineTooLong(f"a reply is longer than {REPLY_BYTES_MAX} bytes", line)

    def _missing(self) -> str:
        seen = self._reader.peek() or self._heard
        if seen:
            return evidence_of(f"incomplete {self._awaited}: ".encode() + seen)
        return f"no {self._awaited}"
