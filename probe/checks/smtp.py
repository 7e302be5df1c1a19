"""SMTP (RFC 5321, STARTTLS by RFC 3207) and LMTP (RFC 2033): greeting, EHLO, STARTTLS, EHLO, QUIT. Pure.

Rules:
1. The greeting is read to its end, the line with a space (or nothing) after its code. It is alive when its first line
   begins as expected and every further line bears the same code (RFC 5321 4.2.1).
2. A code of 4xx or 5xx that was not expected is `refused_by_server` at once, in the middle of a reply too.
3. With STARTTLS required: alive once TLS stands and EHLO is answered with 250 over it. A step refused with 4xx or 5xx
   is `refused_by_server`, answered with anything else `step_mismatch`; a server that does not offer it is
   `starttls_missing`, also one that knows HELO only (LMTP has no HELO to fall back on).
4. The goodbye goes to whoever spoke SMTP, after a refusal too (RFC 5321 3.1 lets the client QUIT after 554), but not
   after 421, which closes by itself. It is over with the 221 line, or with a refusal of QUIT.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from functools import lru_cache

from bindings.model import Binding, VirtualServer
from probe.checks.conversation import Conversation
from probe.checks.dialogue import LineCheck, LineDialogue
from probe.checks.expect import expected_but_got
from probe.checks.lines import PEEK_BYTES_MAX
from probe.values import Reason, Verdict, evidence_of

HELO_NAME_DEFAULT = "[127.0.0.1]"  # an address literal passes Postfix's helo restrictions; "localhost" is no FQDN
HELO_NAME_CHARS_MAX = 255
HELLOS_MAX = 1024  # kept to be shared
QUIT = b"QUIT\r\n"


class _Step(Enum):
    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    EHLO_OVER_TLS = auto()


class SmtpCheck(LineCheck):
    """Check an smtp or lmtp virtual server at one binding. Raises ValueError for a `helo_name` that cannot be sent."""

    __slots__ = ("ehlo", "helo")

    def __init__(self, server: VirtualServer, binding: Binding, headers: Mapping[str, str] | None = None) -> None:
        del headers
        super().__init__(server, binding)
        self.ehlo, self.helo = _hellos(server.protocol, server.helo_name or HELO_NAME_DEFAULT)

    def begin(self) -> Conversation:
        """Make the conversation of one probe."""
        return SmtpConversation(self)

    def reason_of(self, line: bytes) -> Reason:
        """Judge the greeting's first line; what is no reply line cannot match, whatever is expected."""
        code = code_of(line)
        if code and self.expectation.meets(line):
            return Reason.MATCHED
        return Reason.REFUSED_BY_SERVER if refuses(code) else Reason.BANNER_MISMATCH

    def is_whole(self, line: bytes) -> bool:
        """Say whether the first line is also the last."""
        return is_last(line)


@lru_cache(maxsize=HELLOS_MAX)
def _hellos(protocol: str, name: str) -> tuple[bytes, bytes]:
    """Write EHLO (or LHLO) and HELO, once for all that greet alike. Raises ValueError for what cannot be sent."""
    if len(name) > HELO_NAME_CHARS_MAX or not all("!" <= char <= "~" for char in name):
        raise ValueError(f"helo_name {name[:80]!r} is not a host name or an address literal")
    if protocol == "lmtp":
        return f"LHLO {name}\r\n".encode("ascii"), b""
    return f"EHLO {name}\r\n".encode("ascii"), f"HELO {name}\r\n".encode("ascii")


def code_of(line: bytes) -> bytes:
    """Return the three digits of a reply line, or nothing when it is none."""
    code = line[:3]
    return code if len(code) == 3 and code.isdigit() and line[3:4] in (b"", b" ", b"-") else b""


def is_last(line: bytes) -> bool:
    """Say whether a reply line is the last of its reply."""
    return line[3:4] != b"-"


def refuses(code: bytes) -> bool:
    """Say whether a code is 4xx or 5xx."""
    return code[:1] in (b"4", b"5")


class SmtpConversation(LineDialogue):
    """One SMTP or LMTP dialogue."""

    __slots__ = ("_banner", "_check", "_code", "_greeting", "_offered", "_step")

    def __init__(self, check: SmtpCheck) -> None:
        super().__init__()
        self._check = check
        self._step = _Step.GREETING
        self._banner = b""
        self._greeting = Verdict(Reason.NOT_YET)
        self._code = b""  # of the unfinished reply; empty between two replies
        self._offered = False

    def hear(self, line: bytes) -> bytes:
        """Take one reply line."""
        if self.verdict is not None:
            return self._hear_goodbye(line)
        begun, code = self._code, code_of(line)
        self._code = b"" if is_last(line) else code
        if self._step is _Step.GREETING:
            return self._hear_greeting(begun, code, line)
        return self._hear_answer(begun, code, line)

    def over_tls(self) -> bytes:
        """Greet again, as RFC 3207 4.2 has it: what was said before TLS is void."""
        self._step = _Step.EHLO_OVER_TLS
        return self.ask(self._check.ehlo, "answer to EHLO over TLS")

    def _hear_greeting(self, begun: bytes, code: bytes, line: bytes) -> bytes:
        check = self._check
        if not begun:
            self._banner = line[:PEEK_BYTES_MAX]
            self._greeting = check.judge(line)
            if self._greeting.reason is not Reason.MATCHED:
                return self._part(self._greeting, code)
        elif code != begun:
            refused = refuses(code)
            reason = Reason.REFUSED_BY_SERVER if refused else Reason.BANNER_MISMATCH
            evidence = evidence_of(line) if refused else expected_but_got(begun.decode() + " again", line)
            return self._part(Verdict(reason, evidence, self.stage), code)
        if not is_last(line):
            return b""
        if check.starttls:
            self._step = _Step.EHLO
            return self.ask(check.ehlo, "answer to EHLO")
        return self._part(self._greeting, code)

    def _hear_answer(self, begun: bytes, code: bytes, line: bytes) -> bytes:
        if not code or code != (begun or code):
            return self._part(self._judge(Reason.STEP_MISMATCH, line), code)
        if self._step is _Step.EHLO and _keyword(line) == b"STARTTLS":
            self._offered = True
        if not is_last(line):
            return b""
        if code == b"250":
            return self._accepted(line)
        if code == b"220" and self._step is _Step.STARTTLS:
            return self.upgrade(line)
        if self._step is _Step.EHLO and code[:1] == b"5" and self._check.helo:
            self._step = _Step.HELO
            return self.ask(self._check.helo, "answer to HELO")
        return self._part(self._judge(Reason.REFUSED_BY_SERVER if refuses(code) else Reason.STEP_MISMATCH, line), code)

    def _accepted(self, line: bytes) -> bytes:
        match self._step:
            case _Step.EHLO if self._offered:
                self._step = _Step.STARTTLS
                return self.ask(b"STARTTLS\r\n", "answer to STARTTLS")
            case _Step.EHLO | _Step.HELO:
                evidence = evidence_of(b"STARTTLS is not offered by " + self._banner)
                return self._part(Verdict(Reason.STARTTLS_MISSING, evidence, self.stage), b"250")
            case _Step.EHLO_OVER_TLS:
                return self._part(Verdict(Reason.MATCHED, self._greeting.evidence, self.stage), b"250")
            case _:
                return self._part(self._judge(Reason.STEP_MISMATCH, line), b"250")

    def _judge(self, reason: Reason, line: bytes) -> Verdict:
        return Verdict(reason, evidence_of(self._awaited.encode() + b": " + line), self.stage)

    def _part(self, verdict: Verdict, code: bytes) -> bytes:
        speaks_smtp = bool(code) and code != b"421"
        return self.conclude(self._check.share(verdict), QUIT if self._check.polite and speaks_smtp else b"")

    def _hear_goodbye(self, line: bytes) -> bytes:
        code = code_of(line)
        if is_last(line) and (code == b"221" or refuses(code)):
            self.finished = True
        return b""


def _keyword(line: bytes) -> bytes:
    return (line[4:].split(None, 1) or [b""])[0].upper()
