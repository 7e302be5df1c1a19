"""IMAP (RFC 9051 and 3501): greeting, CAPABILITY, STARTTLS, CAPABILITY, LOGOUT. Pure.

Rules:
1. The greeting is one line; `* BYE` is `refused_by_server`, there and at any later step.
2. With STARTTLS required a `[CAPABILITY ...]` code in the greeting that names STARTTLS is believed; where it does not,
   or there is none, CAPABILITY is asked, since servers shorten that code. `* PREAUTH` is `starttls_missing`, since
   STARTTLS is a command of the not authenticated state only (RFC 9051 6.2.1).
3. Alive once TLS stands and CAPABILITY is answered OK over it. A tagged NO or BAD is `refused_by_server`; another tag,
   or a request to continue, is `step_mismatch`. Untagged lines beside the answer are passed over, within the bounds.
4. The goodbye is over with the tagged answer to LOGOUT.
"""

from __future__ import annotations

from collections.abc import Mapping

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import Conversation
from probe.checks.dialogue import LineCheck, LineDialogue
from probe.checks.expect import begins_with_word
from probe.checks.lines import PEEK_BYTES_MAX
from probe.values import Reason, Verdict, evidence_of

CAPABILITY = b"CAPABILITY"


class ImapCheck(LineCheck):
    """Check an imap virtual server at one binding."""

    __slots__ = ()

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        del headers
        super().__init__(server, binding)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return ImapConversation(self)

    def reason_of(self, line: bytes) -> Reason:
        """Judge the greeting."""
        if self.expectation.meets(line):
            return Reason.MATCHED
        return Reason.REFUSED_BY_SERVER if begins_with_word(line, b"* BYE") else Reason.BANNER_MISMATCH


def _names_starttls(words: bytes) -> bool:
    return b"STARTTLS" in words.upper().split()


class ImapConversation(LineDialogue):
    """One IMAP dialogue. `_tag` is of the command in flight, empty while the greeting is awaited."""

    __slots__ = ("_banner", "_check", "_command", "_commands", "_offered", "_secure", "_tag")

    def __init__(self, check: ImapCheck) -> None:
        super().__init__()
        self._check = check
        self._banner = b""
        self._command = b""
        self._commands = 0
        self._offered = False
        self._secure = False
        self._tag = b""

    def hear(self, line: bytes) -> bytes:
        """Take one line."""
        if self.verdict is not None:
            self.finished = begins_with_word(line, self._tag.upper())
            return b""
        if not self._tag:
            return self._hear_greeting(line)
        if line.startswith(b"* "):
            return self._hear_untagged(line)
        tag, _, status = line.partition(b" ")
        if tag != self._tag:
            return self._fail(Reason.STEP_MISMATCH, line, polite=False)
        if begins_with_word(status, b"OK"):
            return self._hear_ok(line)
        refused = begins_with_word(status, b"NO") or begins_with_word(status, b"BAD")
        return self._fail(Reason.REFUSED_BY_SERVER if refused else Reason.STEP_MISMATCH, line)

    def over_tls(self) -> bytes:
        """Ask again: what was listed before TLS is void (RFC 9051 6.2.1)."""
        self._secure = True
        return self._command_of(CAPABILITY, "answer to CAPABILITY over TLS")

    def _hear_greeting(self, line: bytes) -> bytes:
        self._banner = line[:PEEK_BYTES_MAX]
        verdict = self._check.judge(line)
        if verdict.reason is not Reason.MATCHED or not self._check.starttls:
            speaks_imap = begins_with_word(line, b"* OK") or begins_with_word(line, b"* PREAUTH")
            return self._part(verdict, polite=speaks_imap)
        if begins_with_word(line, b"* PREAUTH"):
            return self._lack()
        _, found, code = line.upper().partition(b"[CAPABILITY ")
        if found and _names_starttls(code.partition(b"]")[0]):
            return self._command_of(b"STARTTLS", "answer to STARTTLS")
        return self._command_of(CAPABILITY, "answer to CAPABILITY")

    def _hear_untagged(self, line: bytes) -> bytes:
        if begins_with_word(line, b"* BYE"):
            return self._fail(Reason.REFUSED_BY_SERVER, line, polite=False)
        if begins_with_word(line, b"* CAPABILITY"):
            self._offered = _names_starttls(line)
        return b""

    def _hear_ok(self, line: bytes) -> bytes:
        if self._secure:
            return self._part(Verdict(Reason.MATCHED, evidence_of(self._banner), self.stage))
        if self._command == b"STARTTLS":
            return self.upgrade(line)
        return self._command_of(b"STARTTLS", "answer to STARTTLS") if self._offered else self._lack()

    def _command_of(self, command: bytes, awaited: str) -> bytes:
        return self.ask(self._tagged(command), awaited)

    def _tagged(self, command: bytes) -> bytes:
        self._command = command
        self._commands += 1
        self._tag = b"a%d" % self._commands
        return self._tag + b" " + command + b"\r\n"

    def _lack(self) -> bytes:
        evidence = evidence_of(b"STARTTLS is not offered by " + self._banner)
        return self._part(Verdict(Reason.STARTTLS_MISSING, evidence, self.stage))

    def _fail(self, reason: Reason, line: bytes, *, polite: bool = True) -> bytes:
        evidence = evidence_of(self._awaited.encode() + b": " + line)
        return self._part(Verdict(reason, evidence, self.stage), polite=polite)

    def _part(self, verdict: Verdict, *, polite: bool = True) -> bytes:
        goodbye = self._tagged(b"LOGOUT") if polite and self._check.polite else b""
        return self.conclude(self._check.share(verdict), goodbye)
