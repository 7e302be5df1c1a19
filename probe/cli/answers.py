"""The answers of `check`, for people a line per address, for programs an object per URL."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

import msgspec

from probe.cli.output import Style, duration_text, safe
from probe.cli.transcripts import VERDICT_COLOURS, dialogue_lines
from probe.cli.urls import Asked
from probe.monitor.target import Result
from probe.monitor.tls import TlsFacts
from probe.monitor.transcript import transcript_of
from probe.values import Outcome

SECONDS_DIGITS = 6
_WORST_FIRST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.ALIVE)  # as monitoring plugins rank them


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """Pick the worst outcome: one failure outweighs everything, an unknown what is alive."""
    return min(outcomes, key=_WORST_FIRST.index, default=Outcome.UNKNOWN)


def answer_object(asked: Asked, result: Result, explained_from: float | None = None) -> dict[str, object]:
    """Make the object of one URL; one that stands for several addresses lists each under `addresses`.

    `explained_from`: the wall time at which the clock said 0; each address then comes with its dialogue.
    """
    answer: dict[str, object] = {"target": asked.url, **_facts(result, explained_from)}
    if len(result.each) > 1:
        answer["addresses"] = [{"address": part.target.text, **_facts(part, explained_from)} for part in result.each]
    return answer


def _facts(result: Result, explained_from: float | None) -> dict[str, object]:
    facts: dict[str, object] = {
        "verdict": result.verdict.outcome,
        "reason": result.verdict.reason,
        "evidence": result.verdict.evidence,
        "stages": {f"{stage}_s": round(seconds, SECONDS_DIGITS) for stage, seconds in result.stages},
        "tls": _tls_object(result.tls) if result.tls else None,
    }
    if explained_from is not None:
        facts |= msgspec.to_builtins(transcript_of(result, explained_from + result.started))
    return facts


def _tls_object(tls: TlsFacts) -> dict[str, object]:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "verified": tls.verified,
        "not_after": [_moment(date) for date in tls.not_after],  # the leaf's first
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def answer_lines(asked: Asked, result: Result, style: Style, explained_from: float | None = None) -> Iterator[str]:
    """Write one line for each address that the URL stands for, with its dialogue below where it is to be explained."""
    for part in result.each:
        verdict = part.verdict
        where = f"{asked.scheme}://{asked.binding}".replace("://unix:", "://")
        address = part.target.text
        if address and address not in asked.binding:
            where += f" ({address})"
        parts = [safe(where), style.paint(VERDICT_COLOURS[verdict.outcome], verdict.outcome), verdict.reason]
        if verdict.evidence:
            parts.append(f'"{safe(verdict.evidence)}"')
        parts += [f"{stage} {duration_text(seconds)}" for stage, seconds in part.stages]
        if part.tls is not None:
            parts.append(_tls_text(part.tls))
        yield " ".join(parts)
        if explained_from is not None:
            yield from dialogue_lines(transcript_of(part, explained_from + part.started), style)


def _tls_text(tls: TlsFacts) -> str:
    until = f" certificate until {_moment(tls.not_after[0])[:10]}" if tls.not_after else ""
    return f"{safe(tls.version or 'TLS')}{until}{'' if tls.verified else ' unverified'}"
