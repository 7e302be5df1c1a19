"""A synchronous driver of checks: feed a list of pieces, see what came out.

It holds every conversation to the rules of `probe/checks/conversation.py` on the way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from bindings.model import Binding, VirtualServer
from probe.checks import check_for
from probe.checks.conversation import Check, Conversation
from probe.values import Reason, Stage, Verdict


class Happening(Enum):
    """What can happen in a dialogue beside bytes."""

    SECURED = auto()  # the STARTTLS handshake is done; passed over unless the conversation wants it
    ENDED = auto()  # the peer's end of stream


SECURED = Happening.SECURED
ENDED = Happening.ENDED
Piece = bytes | Happening


@dataclass(frozen=True, slots=True)
class Talk:
    """How a dialogue stands after the pieces given. `expired` is what a deadline passing now would make of it."""

    verdict: Verdict | None
    sent: bytes
    stages: tuple[Stage, ...]  # each once, in the order of entering
    finished: bool
    wants_tls: bool
    expired: Verdict

    @property
    def reason(self) -> Reason | None:
        return self.verdict.reason if self.verdict else None

    @property
    def fell_at(self) -> Stage | None:
        return self.verdict.stage if self.verdict else None


def drive(check: Check, pieces: Iterable[Piece]) -> Talk:
    """Hold one dialogue with the check, asserting on the way what `conversation.py` promises."""
    conversation = check.begin()
    sent = conversation.opened()
    assert bool(sent) == check.speaks_first
    stages = [conversation.stage]
    fallen = conversation.verdict
    for piece in pieces:
        sent += _happen(conversation, piece)
        if conversation.stage is not stages[-1]:
            stages.append(conversation.stage)
        assert fallen is None or conversation.verdict is fallen, "a verdict changed"
        fallen = conversation.verdict
        assert fallen or not conversation.finished, "finished without a verdict"
        assert not (fallen and conversation.wants_tls), "TLS is wanted after the verdict"
        assert held_bytes(conversation) <= HELD_BYTES_MAX
    expired = conversation.expired()
    assert conversation.verdict is fallen, "asking about the deadline changed something"
    return Talk(fallen, sent, tuple(stages), conversation.finished, conversation.wants_tls, expired)


def _happen(conversation: Conversation, piece: Piece) -> bytes:
    if isinstance(piece, bytes):
        return conversation.received(piece) if piece else b""
    if piece is ENDED:
        conversation.ended()
        return b""
    return conversation.secured() if conversation.wants_tls else b""


HELD_BYTES_MAX = 64 * 1024 + 16 * 1024


def held_bytes(conversation: object) -> int:
    """Count the bytes that a conversation holds on to, wherever they are (its check is shared and does not count)."""
    total = 0
    for kind in type(conversation).__mro__:
        for name in getattr(kind, "__slots__", ()):
            value = getattr(conversation, name)
            if isinstance(value, bytes | bytearray):
                total += len(value)
            elif type(value).__module__ in ("probe.checks.lines", "probe.checks.body"):
                total += held_bytes(value)
    return total


def server_of(protocol: str, **properties: object) -> VirtualServer:
    """Make a virtual server with one plain binding; `properties` are those of VirtualServer."""
    return VirtualServer(key=f"/{protocol}/1", protocol=protocol, bindings=(PLAIN,), **properties)  # type: ignore[arg-type] # tests name properties freely


def check_of(protocol: str, binding: Binding | None = None, **properties: object) -> Check:
    """Make the check of such a virtual server at that binding, by default its plain one."""
    return check_for(server_of(protocol, **properties), binding or PLAIN)


PLAIN = Binding(text="127.0.0.1:2525", address="127.0.0.1", port=2525)
SECURE = Binding(text="127.0.0.1:4650", address="127.0.0.1", port=4650, secure=True)
