"""A dialogue as it is shown and kept in a file: who was asked how, what was said, what came of it; one shape for all.

The API answers with it, `check --explain --json` prints it, `check --replay` reads it.
"""

from __future__ import annotations

from typing import Any, cast

import msgspec

from bindings.model import Protocol, VirtualServer
from probe.monitor.escapes import escape
from probe.monitor.mask import MASKED, Mask, is_secret
from probe.monitor.recording import Direction, Moments
from probe.monitor.target import Result
from probe.values import Outcome, Reason, Stage

SECONDS_DIGITS = 6

# What decides how a check asks and judges; what decides how TLS is judged is not here, since it cannot be replayed.
ASKED = ("expect", "starttls", "proxy_protocol", "helo_name", "path", "host", "method", "headers", "expect_status",
         "body_match", "probe_timeout_s", "polite", "subject", "body_json")  # fmt: skip
_DEFAULTS = VirtualServer(key="", protocol="tcp", bindings=())


class Piece(msgspec.Struct, frozen=True):
    """What one side said, or an event. `text` is printable ASCII with `\\xNN` for the rest, bounded."""

    direction: Direction
    at_s: float  # since the dial
    text: str
    cut_bytes: int = 0  # so many came behind it and were not kept


class Transcript(msgspec.Struct, frozen=True, rename={"pieces": "transcript"}):
    """One dialogue. `times`: how often the same came in a row, this being the last time."""

    time: float  # of the dial, seconds since the epoch
    times: int
    protocol: Protocol
    binding: str
    secure: bool
    address: str
    source: str | None
    asked: dict[str, Any]  # the virtual server's properties that are not default, secrets masked
    verdict: Outcome
    reason: Reason
    stage: Stage | None
    evidence: str
    stages: dict[str, float]  # "connect_s"
    masked: bool  # something in it stands for a secret
    pieces: tuple[Piece, ...]


def transcript_of(result: Result, time: float, times: int = 1) -> Transcript:
    """Write down the dialogue of one probe of one binding."""
    target, verdict = result.target, result.verdict
    mask = target.mask
    return Transcript(
        time=time,
        times=times,
        protocol=cast("Protocol", target.protocol),
        binding=target.binding,
        secure=target.tls is not None,
        address=target.text,
        source=target.source[0] if target.source else None,
        asked={} if target.server is None else asked_of(target.server),
        verdict=verdict.outcome,
        reason=verdict.reason,
        stage=verdict.stage,
        evidence=verdict.evidence if mask is None else mask.evidence(verdict.evidence),
        stages={f"{stage}_s": round(seconds, SECONDS_DIGITS) for stage, seconds in result.stages},
        masked=mask is not None,
        pieces=_pieces(result.moments, mask),
    )


def asked_of(server: VirtualServer) -> dict[str, Any]:
    """List the properties that decide the dialogue, as the store writes them, without any secret."""
    asked: dict[str, Any] = {}
    for name in ASKED:
        value = getattr(server, name)
        if name == "headers" and value:
            ordered = sorted(server.headers, key=lambda header: not isinstance(header[1], str))  # as they are sent
            asked[name] = {key: MASKED if is_secret(key, inner) else inner for key, inner in ordered}
        elif value != getattr(_DEFAULTS, name):
            asked[name] = list(value) if isinstance(value, tuple) else value
    return asked


def _pieces(moments: Moments, mask: Mask | None) -> tuple[Piece, ...]:
    if mask is not None:
        moments = _masked(moments, mask)
    return tuple(
        Piece(moment.direction, round(moment.at_s, SECONDS_DIGITS), escape(moment.data), moment.cut)
        for moment in moments
    )


def _masked(moments: Moments, mask: Mask) -> Moments:
    """Cover echoes, also those that came in two pieces."""
    heard = [moment for moment in moments if moment.direction == "received"]
    covered = mask.received(b"".join(moment.data for moment in heard), cut=any(moment.cut for moment in heard))
    told, at = [], 0
    for moment in moments:
        if moment.direction == "received":
            end = at + len(moment.data)
            told.append(moment._replace(data=covered[at:end]))
            at = end
        else:
            told.append(moment)
    return tuple(told)
