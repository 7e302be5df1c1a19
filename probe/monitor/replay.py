"""A kept dialogue judged anew, without any network: what the check would make today of what was said then.

Rules:
1. What the peer said is fed to the check again, piece by piece. What the check says meanwhile must be what was said
   then: an answer to another question is no evidence, so that where the two part the verdict is `not_yet` (unknown).
2. A verdict that came from outside the check (refused, reset, the TLS handshake, our own trouble) stands, unless the
   check now reaches another one before it.
3. After a stall of ours that made the verdict unknown no failure was evidence, and none is now.
4. Where bytes are missing that it takes to judge, the verdict is `not_yet`.
"""

from __future__ import annotations

from bindings.model import Binding, Secret, VirtualServer
from probe.checks import check_for
from probe.monitor.escapes import escape, unescape
from probe.monitor.mask import MASKED
from probe.monitor.recording import Happening
from probe.monitor.targets import PREFACE
from probe.monitor.transcript import Piece, Transcript
from probe.values import Outcome, Reason, Verdict, evidence_of

SAID_SHOWN_CHARS = 40


def replay(transcript: Transcript, server: VirtualServer, binding: Binding) -> Verdict:
    """Judge a dialogue by the check of `server` at `binding`. Raises ValueError for what cannot be read or asked."""
    run = _Run(transcript, server, binding)
    for piece in transcript.pieces:
        verdict = run.take(piece)
        if verdict is not None:
            return run.then if run.stalled and verdict.outcome is Outcome.FAILED else verdict
    return run.missing("the transcript has no end")


class _Run:
    """One replay. `_unsaid`: what the check has said and the transcript has yet to say."""

    def __init__(self, transcript: Transcript, server: VirtualServer, binding: Binding) -> None:
        secrets = {name: MASKED for name, value in server.headers if isinstance(value, Secret)}
        self._conversation = check_for(server, binding, secrets).begin()
        self.then = Verdict(transcript.reason, transcript.evidence, transcript.stage)
        self.stalled = any(
            piece.direction == "event" and piece.text == Happening.STALLED for piece in transcript.pieces
        )
        self._secure = binding.secure
        self._begun = False
        self._unsaid = PREFACE[server.proxy_protocol]

    def take(self, piece: Piece) -> Verdict | None:
        """Go on by one piece; return the verdict as soon as it falls."""
        if piece.direction == "event":
            return self._happen(Happening(piece.text))
        data = unescape(piece.text)
        if piece.direction == "sent":
            return self._compare(data, cut=piece.cut_bytes > 0)
        if self._unsaid:
            return self._parted(f"nothing instead of {_shown(self._unsaid)}")
        if not self._speaks:
            return self._parted("other bytes than TLS")
        if data:
            self._unsaid += self._conversation.received(data)
        if self._conversation.verdict is None and piece.cut_bytes:
            return self.missing(f"{piece.cut_bytes} bytes were not kept")
        return self._conversation.verdict

    def missing(self, what: str) -> Verdict:
        """Say that the dialogue is over before the check has its verdict."""
        return Verdict(Reason.NOT_YET, evidence_of(f"no verdict from what is here: {what}"), self._conversation.stage)

    @property
    def _speaks(self) -> bool:
        """Whether bytes are the check's: not those of a connection or a handshake that is still to come."""
        return self._begun and not self._conversation.wants_tls

    def _happen(self, what: Happening) -> Verdict | None:
        conversation = self._conversation
        match what:
            case Happening.CONNECTED:
                return None if self._secure else self._begin()
            case Happening.SECURED if self._secure:
                return self._begin()
            case Happening.SECURED if conversation.wants_tls:
                self._unsaid += conversation.secured()
                return self._conversation.verdict
            case Happening.SECURED:
                return self._parted("a TLS handshake")
            case Happening.VERDICT:
                goes_on = (
                    f"would say {_shown(self._unsaid)}" if self._unsaid else f"waits at stage {conversation.stage}"
                )
                return self.missing(f"then it was over here, now the check {goes_on}")
            case Happening.CLOSED | Happening.EXPIRED if self._unsaid:
                return self._parted(f"nothing instead of {_shown(self._unsaid)}")
            case Happening.CLOSED if self._speaks:
                conversation.ended()
                return self._conversation.verdict
            case Happening.EXPIRED if self._speaks:
                return conversation.expired()
            case _:
                return self.then

    def _begin(self) -> Verdict | None:
        self._begun = True
        self._unsaid += self._conversation.opened()
        return self._conversation.verdict

    def _compare(self, said: bytes, *, cut: bool) -> Verdict | None:
        if not self._unsaid.startswith(said):
            instead = _shown(self._unsaid) if self._unsaid else "nothing"
            return self._parted(f"{_shown(said)} instead of {instead}")
        self._unsaid = b"" if cut else self._unsaid[len(said) :]
        return None

    def _parted(self, what: str) -> Verdict:
        return self.missing(f"then we said {what}")


def _shown(data: bytes) -> str:
    line = data.partition(b"\r\n")[0]
    text = escape(line)
    return f'"{text}"' if len(text) <= SAID_SHOWN_CHARS else f'"{text[: SAID_SHOWN_CHARS - 3]}..."'
