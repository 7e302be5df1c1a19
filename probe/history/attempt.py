"""What is asked over the network and no decision tells: a verb refused at the gate, or a change of the store."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Attempt:
    """One such request; every text is bounded and escaped by who tells it."""

    who: str  # the token's name, and the address
    verb: str  # method and route
    target: str
    granted: bool
    answer: str
    time: float = 0.0  # wall clock, when the journal took it
