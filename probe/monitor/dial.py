"""One dial: the dialogue of one probe over its connection, plain, over TLS or upgraded by STARTTLS; all one path.

Rules:
1. One deadline for the whole dialogue, from the opening of the socket. When it passes, what lies in the kernel is read
   first; then the time that our own loop lost is credited; over `STALL_CREDIT_MAX` the verdict is `prober_stalled`.
   So is every failure of a dial that was under way across a pause of ours longer than its time-out.
2. The result is told at the verdict, once. The goodbye that may follow has a budget of its own, and cannot change it.
3. A fault of our own code is `probe_internal` (unknown).
4. What is said is kept only once a look at the first answer does not settle that all is well (`_record`), or when
   somebody asked for it: a steady round records nothing.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from probe.checks.conversation import Conversation
from probe.environment import READABLE
from probe.monitor.connection import Connection
from probe.monitor.errnos import verdict_of
from probe.monitor.recording import Happening, Moments, Recording
from probe.monitor.target import Result
from probe.monitor.tls import TlsFault, TlsSession, TlsTerms
from probe.values import Outcome, Reason, Stage, Verdict, evidence_of

QUIT_BUDGET_S = 0.25
STALL_CREDIT_MAX = 4.0  # in time-outs
CLOSE_ENOUGH_S = 1e-6

_CONNECT, _TLS, _BANNER, _QUIT = Stage.CONNECT, Stage.TLS, Stage.BANNER, Stage.QUIT
_MATCHED = Reason.MATCHED

# What a peer does to someone who keeps it waiting: after a stall as long as the time-out it is no evidence against it.
PROVOKED = frozenset({Reason.EOF, Reason.RESET, Reason.TLS_PROTOCOL, Reason.REFUSED_BY_SERVER, Reason.HTTP_STATUS})


class Dial(Connection):
    """One probe of one target; made and started by the engine."""

    __slots__ = ()

    def __repr__(self) -> str:
        state = "closed" if self.closed else self._stage.value if self.slot else "waiting"
        verdict = f" {self.result.verdict.reason}" if self.result is not None else ""
        return f"<Dial {self._target.text} {state}{verdict}>"

    @property
    def done(self) -> bool:
        """Whether the result was told, or never will be."""
        return self.closed or self.result is not None

    @property
    def moments(self) -> Moments:
        """The dialogue as far as it is kept."""
        return () if self._recording is None else self._recording.moments

    def cancel(self) -> None:
        """Close at once and tell nothing more. Idempotent."""
        self._on_closed = None
        self.close()

    # --- the verdict ---

    def conclude(self, verdict: Verdict) -> None:
        """Tell the verdict and close."""
        try:
            now = self._engine.clock.now()
            if self.result is None and not self.closed and not self._record(now).ended:
                self._happened(Happening.BROKEN if self._stands else Happening.UNCONNECTED, now)
            self._tell(verdict, now)
        finally:
            self.close()

    def broke(self, error: Exception) -> None:
        """Take an exception of our own code (rule 3)."""
        self._engine.bug(error)
        if self.result is None and not self.closed:
            evidence = evidence_of(f"{type(error).__name__}: {error}")
            self.conclude(Verdict(Reason.PROBE_INTERNAL, evidence, self._stage))
        self.close()

    def _tell(self, verdict: Verdict, now: float) -> None:
        if self.closed or self.result is not None:
            return
        moments: Moments = ()
        mask = self._target.mask
        if mask is not None and (shown := mask.evidence(verdict.evidence)) != verdict.evidence:
            verdict = replace(verdict, evidence=shown)
        if verdict.reason is not _MATCHED:
            verdict = self._weigh(verdict, now)
            self._happened(Happening.VERDICT, now)
            moments = self.moments
        elif self._recording is not None:
            self._happened(Happening.VERDICT, now)
        if self._stage is not _QUIT:
            self._note(_QUIT, now)
        facts = self._session.facts if self._session is not None else None
        self.result = Result(self._target, verdict, self._started, now, tuple(self._stages), facts, (), moments)
        self._on_result(self.result)

    def _weigh(self, verdict: Verdict, now: float) -> Verdict:
        stall, timeout_s = self._engine.stall, self._target.timeout_s
        if verdict.outcome is Outcome.FAILED:
            lost_s, paused_s = stall.lost(now) - self._lost, stall.paused_s(self._started, now)
            if paused_s > timeout_s or (verdict.reason in PROVOKED and lost_s >= timeout_s):
                self._happened(Happening.STALLED, now)
                return _stalled(max(lost_s, paused_s), f"then {verdict.reason}", self._stage)
        return verdict

    # --- what is kept of it ---

    def _record(self, now: float) -> Recording:
        """Return the recording. It begins here, with what has happened until now told again (rule 4)."""
        recording = self._recording
        if recording is None:
            recording = self._recording = Recording()
        if recording.begun:
            return recording
        recording.begun = True
        target, took_s = self._target, dict(self._stages)
        at_s = until_now_s = now - self._started
        if self._stands:
            at_s = took_s.get(_CONNECT, until_now_s)
            recording.note(at_s, Happening.CONNECTED)
            if target.preface:
                recording.sent(at_s, target.preface)
        if self._session is not None and self._session.stands:
            at_s = at_s + took_s[_TLS] if _TLS in took_s else until_now_s
            recording.note(at_s, Happening.SECURED)
        if self._stands and self._conversation is not None and (said := target.check.begin().opened()):
            recording.sent(at_s, said if target.mask is None else target.mask.sent(said))
        return recording

    @property
    def _stands(self) -> bool:
        """Whether the connection was ever known to stand."""
        return self._connected or bool(self._stages)

    def _happened(self, what: Happening, now: float) -> None:
        self._record(now).note(now - self._started, what)

    # --- the deadline ---

    def due(self, now: float) -> None:
        """Judge the deadline (rule 1), or end a goodbye whose budget is spent."""
        try:
            if self.result is not None:
                self.close()
            elif self._queue_full and now < self._deadline:
                self._connect(now)
            else:
                self._expire(now)
        except Exception as error:  # noqa: BLE001 - rule 3
            self.broke(error)

    def _expire(self, now: float) -> None:
        connecting = self._connecting
        if not connecting:
            self.ready(READABLE)
            if self.closed or self.result is not None:
                return
        timeout_s = self._target.timeout_s
        lost_s = self._engine.stall.lost(now) - self._lost
        credit_max_s = timeout_s * STALL_CREDIT_MAX
        rest_s = timeout_s - (now - self._started) + min(lost_s, credit_max_s)
        if rest_s > CLOSE_ENOUGH_S:
            self._deadline = now + rest_s
            self._engine.wheel.add(self, now + rest_s)
        elif lost_s > credit_max_s:
            self._happened(Happening.STALLED, now)
            self.conclude(_stalled(lost_s, "more than can be credited", self._stage))
        elif connecting:
            self._happened(Happening.EXPIRED, now)
            self.conclude(Verdict(Reason.CONNECT_TIMEOUT, f"no connection within {timeout_s:g} s", _CONNECT))
        else:
            self._time_out(now)

    def _time_out(self, now: float) -> None:
        if self._stage is _CONNECT:
            self._time_connect()
            self._settle(now)  # the connection stands, and nothing came over it
        self._happened(Happening.EXPIRED, now)
        if self._session is not None and not self._session.stands:
            evidence = f"no TLS handshake within {self._target.timeout_s:g} s"
            self.conclude(Verdict(Reason.TLS_TIMEOUT, evidence, _TLS))
        else:
            conversation = self._conversation or self._begin_silent()
            self.conclude(conversation.verdict or conversation.expired())

    # --- the dialogue ---

    @property
    def next_stage(self) -> Stage:
        """The stage that follows `connect`."""
        if self._session is not None:
            return _TLS
        return self._conversation.stage if self._conversation is not None else _BANNER

    def opened(self, now: float) -> None:
        """Begin with our own words: the PROXY header, then the handshake or the request."""
        target = self._target
        if target.tls is not None:
            session = self._session = TlsSession(target.tls)
            if self._connected:
                self._note(_TLS, now)
            self._transmit(target.preface + session.pending)
        else:
            conversation = self._conversation = target.check.begin()
            self._unsent = target.preface
            self._respond(conversation, conversation.opened(), now)

    def ended(self, now: float) -> None:
        """Take the end of the stream: `eof`, unless the conversation needs no more."""
        if self.result is None or self._recording is not None:
            self._happened(Happening.CLOSED, now)
        if self._session is not None and not self._session.stands:
            self.conclude(Verdict(Reason.EOF, "end of stream during the TLS handshake", _TLS))
        elif self.result is None:
            conversation = self._conversation or self._begin_silent()
            conversation.ended()
            self._respond(conversation, b"", now)
        self.close()

    def failed(self, code: int) -> None:
        """Take the errno that broke the connection."""
        if self.result is None:
            if self._stage is _CONNECT and code in {errno.ECONNRESET, errno.EPIPE}:
                self._time_connect()
                self._settle(self._engine.clock.now())  # refused comes as ECONNREFUSED: who resets had accepted
            if code == errno.ETIMEDOUT and self._stage is not _CONNECT:
                self._time_out(self._engine.clock.now())
            else:
                self.conclude(verdict_of(code, self._stage))
        self.close()

    def heard(self, plaintext: bytes, now: float) -> None:
        """Take what the peer says: judge it at a glance where that is all there is to it, else converse."""
        conversation = self._conversation
        if self._fresh:
            self._fresh = False
            verdict = self._target.check.glance(plaintext)
            if verdict is not None:
                if verdict.reason is not _MATCHED or self._recording is not None:
                    self._record(now).received(now - self._started, plaintext)
                if conversation is not None and verdict.stage is not None and verdict.stage is not self._stage:
                    self._note(verdict.stage, now)
                try:
                    self._tell(verdict, now)
                finally:
                    self.close()
                return
        if conversation is None:
            conversation = self._begin_silent()
        answer = conversation.received(plaintext)
        verdict = conversation.verdict
        if verdict is None or verdict.reason is not _MATCHED or self._recording is not None:
            self._record(now).received(now - self._started, plaintext)
        self._respond(conversation, answer, now)

    def _begin_silent(self) -> Conversation:
        """Begin where the server speaks first: there is nothing to send at the opening."""
        conversation = self._conversation = self._target.check.begin()
        conversation.opened()
        return conversation

    def _respond(self, conversation: Conversation, answer: bytes, now: float) -> None:
        """Act on what the conversation has become."""
        if conversation.stage is not self._stage and self._connected and self.result is None:
            self._note(conversation.stage, now)
        if conversation.verdict is not None and self.result is None:
            self._tell(conversation.verdict, now)
            if not (self.closed or conversation.finished):
                self._parting = True
                self._engine.wheel.cancel(self)
                self._engine.wheel.add(self, now + QUIT_BUDGET_S)
        if self.closed:
            return
        if answer or self._unsent or not self._armed:
            if answer and self._recording is not None and self._recording.begun:
                self._recording.sent(now - self._started, answer)
            self._say(answer)
        if conversation.finished:
            self.close()
        elif conversation.wants_tls and self._session is None and not self.closed:
            self._secure(self._target.upgrade)

    def _say(self, plaintext: bytes) -> None:
        if self._session is not None:
            self._session.send(plaintext)
            plaintext = self._session.pending
        self._transmit(plaintext)

    def _secure(self, terms: TlsTerms | None) -> None:
        if terms is None:
            raise ValueError("the conversation wants TLS and the plan has no terms for it")
        self._session = TlsSession(terms, upgraded=True)
        self._fresh = False
        self._transmit(self._session.pending)

    def decrypt(self, session: TlsSession, data: bytes, now: float) -> None:
        """Take bytes off the wire: go on with the handshake, or hear what is in them."""
        stood = session.stands
        try:
            plaintext = session.received(data)
            if session.stands and not stood:
                self._secured(now)
            if plaintext and not self.closed:
                self.heard(plaintext, now)
            if not self.closed and (more := session.pending):
                self._transmit(more)
        except TlsFault as fault:
            if self.result is None:
                self._happened(Happening.TLS_FAILED, now)
            if not self.closed:
                self._transmit(session.pending)  # the alert that tells the peer why
            self.conclude(fault.verdict)
            return
        if session.ended and not self.closed:
            self.ended(now)

    def _secured(self, now: float) -> None:
        conversation = self._conversation
        if self._recording is not None and self._recording.begun:
            self._happened(Happening.SECURED, now)
        if conversation is not None:
            self._respond(conversation, conversation.secured(), now)
            return
        conversation = self._conversation = self._target.check.begin()
        answer = conversation.opened()
        self._respond(conversation, answer, now)


def _stalled(lost_s: float, what: str, stage: Stage) -> Verdict:
    return Verdict(Reason.PROBER_STALLED, f"our own loop lost {lost_s:.3f} s, {what}", stage)
