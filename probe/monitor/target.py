"""What is dialled and what comes back: the shared immutable description of one binding, and the result of one probe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bindings.model import VirtualServer
from probe.checks.conversation import Check
from probe.environment import Address
from probe.monitor.mask import Mask
from probe.monitor.recording import Moments
from probe.monitor.tls import TlsFacts, TlsTerms
from probe.values import Stage, Verdict

Stages = tuple[tuple[Stage, float], ...]  # seconds of each stage, in the order in which they were gone through


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One binding to ask, built once when the plan is made and shared by all its probes.

    With `name` set it is not dialled itself: the name is looked up for every probe, and `name.pin` makes a target of
    each address.
    """

    binding: str  # as written in the store
    protocol: str
    check: Check
    timeout_s: float
    family: int = 0
    address: Address = ""
    text: str = ""  # the numeric address, for people
    source: tuple[str, int] | None = None  # bound before connecting (S34)
    preface: bytes = b""  # the PROXY protocol's header
    tls: TlsTerms | None = None  # TLS on connect
    upgrade: TlsTerms | None = None  # STARTTLS, once the conversation wants it
    waits_for_connect: bool = False  # we speak first, or the connection is all that is asked: the writer is armed
    near: bool = False  # ... on this machine: what is sent right behind the connect arrives, so the writer is not armed
    name: Name | None = None
    obstacle: Verdict | None = None  # why it cannot be asked at all (an unreadable secret): told in place of a probe
    server: VirtualServer | None = None  # what the store says of it: how the check was asked for
    mask: Mask | None = None  # the secrets in what is sent, where there are any


class Name(NamedTuple):
    """A name to look up, and how an address of it becomes a target: `pin(family, numeric address)`."""

    text: str
    pin: Callable[[int, str], Target]
    family: int  # of the source address that is bound; 0 for any
    port: int = 0

    def fitting(self, found: Sequence[tuple[int, str]]) -> Sequence[tuple[int, str]]:
        """Leave out what cannot be reached from the source's family, unless that is everything."""
        return [one for one in found if self.family in (0, one[0])] or found


class Result(NamedTuple):
    """The outcome of one probe of one binding; or of several: `parts` has each, the rest is the decisive one's."""

    target: Target
    verdict: Verdict
    started: float  # clock seconds of the dial
    ended: float
    stages: Stages
    tls: TlsFacts | None = None
    parts: tuple[Result, ...] = ()
    moments: Moments = ()  # the dialogue, unless it went well

    @property
    def each(self) -> tuple[Result, ...]:
        """The results of the single bindings."""
        return self.parts or (self,)
