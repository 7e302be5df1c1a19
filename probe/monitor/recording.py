"""What was said in a dialogue, kept piece by piece within bounds. Pure.

A dial that goes well at once has no recording; one begins when a dial wants more than one look, or fails, with what has
happened until then told again from its stages.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, NamedTuple

SIDE_BYTES_MAX = 4 * 1024  # kept of what each side says
EXPLAINED_BYTES_MAX = 256 * 1024  # the same for a person who asked for it: everything that a check can want to see
PIECES_MAX = 64  # beyond it, what one side says in several pieces is kept as one
TURNS_MAX = 32  # on top, for changes of the speaker; no check has half as many

Direction = Literal["sent", "received", "event"]


class Happening(StrEnum):
    """What can happen in a dialogue beside bytes."""

    CONNECTED = "connected"
    SECURED = "tls handshake done"
    UNCONNECTED = "no connection"
    BROKEN = "connection broken"
    TLS_FAILED = "tls failed"
    CLOSED = "peer closed"
    EXPIRED = "deadline passed"
    STALLED = "our own loop was stalled"
    VERDICT = "verdict"


# What ends a dialogue from outside: the verdict is the driver's, or the check's answer to it.
ENDINGS = frozenset(Happening) - {Happening.CONNECTED, Happening.SECURED, Happening.VERDICT}


class Moment(NamedTuple):
    """One piece of a dialogue. `cut`: so many bytes that came behind it were not kept."""

    direction: Direction
    at_s: float  # since the dial
    data: bytes
    cut: int = 0


Moments = tuple[Moment, ...]


class Recording:
    """A dialogue so far: at most `bytes_max` bytes of each side, the first ones, and a bounded number of pieces."""

    __slots__ = ("_left", "_moments", "begun", "ended")

    def __init__(self, bytes_max: int = SIDE_BYTES_MAX) -> None:
        self._left: dict[Direction, int] = {"sent": bytes_max, "received": bytes_max}
        self._moments: list[Moment] = []
        self.begun = False  # what happened before it was needed has been told
        self.ended = False  # something ended the dialogue from outside

    @property
    def moments(self) -> Moments:
        """The pieces in their order."""
        return tuple(self._moments)

    def sent(self, at_s: float, data: bytes) -> None:
        """Add what we said."""
        self._add("sent", at_s, data)

    def received(self, at_s: float, data: bytes) -> None:
        """Add what the peer said."""
        self._add("received", at_s, data)

    def note(self, at_s: float, what: Happening) -> None:
        """Add an event."""
        self.ended = self.ended or what in ENDINGS
        self._moments.append(Moment("event", at_s, what.encode()))

    def _add(self, direction: Direction, at_s: float, data: bytes) -> None:
        kept = data[: self._left[direction]]
        self._left[direction] -= len(kept)
        moment = Moment(direction, at_s, kept, len(data) - len(kept))
        last = self._moments[-1] if self._moments else moment
        full = len(self._moments) >= PIECES_MAX
        if last.direction == direction and last is not moment and (full or last.cut):
            self._moments[-1] = last._replace(data=last.data + kept, cut=last.cut + moment.cut)
        elif len(self._moments) < PIECES_MAX + TURNS_MAX:
            self._moments.append(moment)
        else:
            self._moments[-1] = last._replace(cut=last.cut + len(data))


def unasked(at_s: float) -> Moments:
    """Make the moments of a target that was never dialled: its name gave no address."""
    return (Moment("event", at_s, Happening.UNCONNECTED.encode()), Moment("event", at_s, Happening.VERDICT.encode()))
