"""POP3 (RFC 1939; CAPA by RFC 2449, STLS by RFC 2595): greeting, CAPA, STLS, CAPA, QUIT. Pure.

Rules:
1. The greeting is one line; `-ERR` is `refused_by_server` at once.
2. With STARTTLS required CAPA is asked first, so that "not offered" (`starttls_missing`) and "offered, then refused"
   (`refused_by_server`) are told apart. Of a server without CAPA, STLS is asked outright; its refusal is the former.
3. Alive once TLS stands and CAPA is answered over it: to its end, or with `-ERR` by a server that refused it before.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import Conversation
from probe.checks.dialogue import LineCheck, LineDialogue
from probe.checks.expect import begins_with_word
from probe.checks.lines import PEEK_BYTES_MAX
from probe.values import Reason, Verdict, evidence_of

QUIT = b"QUIT\r\n"


class _Step(Enum):
    GREETING = auto()
    CAPA = auto()
    CAPA_LIST = auto()
    STLS = auto()
    CAPA_OVER_TLS = auto()
    CAPA_LIST_OVER_TLS = auto()


class Pop3Check(LineCheck):
    """Check a pop3 virtual server at one binding."""

    __slots__ = ()

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        del headers
        super().__init__(server, binding)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return Pop3Conversation(self)

    def reason_of(self, line: bytes) -> Reason:
        """Judge the greeting."""
        if self.expectation.meets(line):
            return Reason.MATCHED
        return Reason.REFUSED_BY_SERVER if _refuses(line) else Reason.BANNER_MISMATCH


def _accepts(line: bytes) -> bool:
    return begins_with_word(line, b"+OK")


def _refuses(line: bytes) -> bool:
    return begins_with_word(line, b"-ERR")


class Pop3Conversation(LineDialogue):
    """One POP3 dialogue."""

    __slots__ = ("_banner", "_check", "_lists", "_offered", "_step")

    def __init__(self, check: Pop3Check) -> None:
        super().__init__()
        self._check = check
        self._step = _Step.GREETING
        self._banner = b""
        self._lists = False  # the server knows CAPA
        self._offered = False

    def hear(self, line: bytes) -> bytes:
        """Take one line."""
        if self.verdict is not None:
            self.finished = _accepts(line) or _refuses(line)
            return b""
        match self._step:
            case _Step.GREETING:
                return self._hear_greeting(line)
            case _Step.CAPA_LIST | _Step.CAPA_LIST_OVER_TLS:
                return self._hear_capability(line)
            case _:
                return self._hear_status(line)

    def over_tls(self) -> bytes:
        """Ask for something harmless that needs no login."""
        return self._go(_Step.CAPA_OVER_TLS, b"CAPA\r\n", "answer to CAPA over TLS")

    def _hear_greeting(self, line: bytes) -> bytes:
        self._banner = line[:PEEK_BYTES_MAX]
        verdict = self._check.judge(line)
        if verdict.reason is Reason.MATCHED and self._check.starttls:
            return self._go(_Step.CAPA, b"CAPA\r\n", "answer to CAPA")
        speaks_pop3 = _accepts(line) or _refuses(line)
        return self._part(verdict, polite=speaks_pop3)

    def _hear_status(self, line: bytes) -> bytes:
        accepted = _accepts(line)
        if not accepted and not _refuses(line):
            return self._fail(Reason.STEP_MISMATCH, line, polite=False)
        match self._step, accepted:
            case _Step.CAPA, True:
                self._lists = True
                self._step = _Step.CAPA_LIST
                return b""
            case _Step.CAPA, False:
                return self._go(_Step.STLS, b"STLS\r\n", "answer to STLS")
            case _Step.STLS, True:
                return self.upgrade(line)
            case _Step.STLS, False:
                return self._fail(Reason.REFUSED_BY_SERVER if self._lists else Reason.STARTTLS_MISSING, line)
            case _, True:
                self._lists = True
                self._step = _Step.CAPA_LIST_OVER_TLS
                return b""
            case _:
                return self._fail(Reason.REFUSED_BY_SERVER, line) if self._lists else self._live()

    def _hear_capability(self, line: bytes) -> bytes:
        if line != b".":
            self._offered = self._offered or begins_with_word(line, b"STLS")
            return b""
        if self._step is _Step.CAPA_LIST_OVER_TLS:
            return self._live()
        if self._offered:
            return self._go(_Step.STLS, b"STLS\r\n", "answer to STLS")
        evidence = evidence_of(b"STLS is not offered by " + self._banner)
        return self._part(Verdict(Reason.STARTTLS_MISSING, evidence, self.stage))

    def _go(self, step: _Step, command: bytes, awaited: str) -> bytes:
        self._step = step
        return self.ask(command, awaited)

    def _live(self) -> bytes:
        return self._part(Verdict(Reason.MATCHED, evidence_of(self._banner), self.stage))

    def _fail(self, reason: Reason, line: bytes, *, polite: bool = True) -> bytes:
        evidence = evidence_of(self._awaited.encode() + b": " + line)
        return self._part(Verdict(reason, evidence, self.stage), polite=polite)

    def _part(self, verdict: Verdict, *, polite: bool = True) -> bytes:
        return self.conclude(self._check.share(verdict), QUIT if polite and self._check.polite else b"")
