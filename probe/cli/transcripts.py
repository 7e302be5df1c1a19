"""Dialogues for people, line by line; and files of them for `check --replay`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import msgspec

from probe.cli.output import Style, safe
from probe.monitor.escapes import unescape
from probe.monitor.recording import Happening
from probe.monitor.transcript import Piece, Transcript
from probe.values import Outcome, Reason, Verdict

FILE_BYTES_MAX = 32 * 1024 * 1024
TRANSCRIPTS_MAX = 1000
STDIN = "-"
VERDICT_COLOURS = {Outcome.ALIVE: "green", Outcome.FAILED: "red", Outcome.UNKNOWN: "yellow"}
LINE_END = "\\x0a"
_SIGNS = {"sent": ">", "received": "<", "event": "*"}
_LISTS = ("transcripts", "addresses")  # of the API's answer; of `check` where a URL stands for several addresses


def dialogue_lines(transcript: Transcript, style: Style) -> Iterator[str]:
    """Write a dialogue: the seconds since the dial, who spoke (`>` we, `<` the peer, `*` an event), one line each."""
    for piece in transcript.pieces:
        at = f"{piece.at_s:12.6f} {_SIGNS[piece.direction]} "
        text = piece.text
        if text == Happening.VERDICT and piece.direction == "event":
            text = f"verdict: {transcript.verdict} {transcript.reason}"
        for line in _lines(piece, text):
            yield style.paint("dim", at) + line
            at = " " * 13 + at[13:]
    if transcript.masked:
        yield " " * 15 + "(secrets are masked)"


def _lines(piece: Piece, text: str) -> Iterator[str]:
    *whole, rest = text.split(LINE_END)
    yield from (line + LINE_END for line in whole)
    if piece.cut_bytes:
        yield f"{rest} [{piece.cut_bytes} more bytes, not kept]".lstrip()
    elif rest:
        yield rest


def read_transcripts(path: str) -> list[Transcript]:
    """Read the dialogues in a file (`-`: standard input), as `check --explain --json` or the API wrote them.

    Raises OSError, or ValueError worded for a person.
    """
    if path == STDIN:
        content = sys.stdin.buffer.read(FILE_BYTES_MAX + 1)
        if len(content) > FILE_BYTES_MAX:
            raise ValueError(f"is longer than {FILE_BYTES_MAX} bytes")
    else:
        from probe.environment.files import RealFiles

        content = RealFiles().read(path, FILE_BYTES_MAX)
    try:
        documents = [msgspec.json.decode(content)]
    except msgspec.DecodeError:
        documents = _documents(content)
    found = [one for document in documents for one in _transcripts_in(document)]
    if not 0 < len(found) <= TRANSCRIPTS_MAX:
        raise ValueError(f"has {len(found)} transcripts; 1 to {TRANSCRIPTS_MAX} can be replayed")
    return found


def _documents(content: bytes) -> list[Any]:
    try:
        return [msgspec.json.decode(line) for line in content.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise ValueError(f"is not JSON, nor JSON by the line: {error}") from error


def _transcripts_in(document: Any) -> Iterator[Transcript]:
    if not isinstance(document, dict):
        raise ValueError(  # noqa: TRY004 - what a file holds is a value, and told like every other mistake in it
            'holds something else than what "check --explain --json" or the API write'
        )
    inside = next((document[name] for name in _LISTS if isinstance(document.get(name), list)), None)
    for one in [document] if inside is None else inside:
        try:
            transcript = msgspec.convert(one, Transcript)
            for piece in transcript.pieces:
                if piece.direction == "event":
                    Happening(piece.text)
                else:
                    unescape(piece.text)
        except ValueError as error:  # msgspec's ValidationError is one
            raise ValueError(f"has a transcript that cannot be read: {error}") from error
        yield transcript


def replay_object(transcript: Transcript, now: Verdict) -> dict[str, Any]:
    """Make the object of one replay."""
    return {
        "address": transcript.address,
        "binding": transcript.binding,
        "protocol": transcript.protocol,
        "time": transcript.time,
        "then": {
            "verdict": transcript.verdict,
            "reason": transcript.reason,
            "stage": transcript.stage,
            "evidence": transcript.evidence,
        },
        "now": {"verdict": now.outcome, "reason": now.reason, "stage": now.stage, "evidence": now.evidence},
        "masked": transcript.masked,
        "cut_bytes": _cut_bytes(transcript),
    }


def replay_line(transcript: Transcript, now: Verdict, style: Style) -> str:
    """Write one replay as a line: whom it was with, the verdict then and now, and what could not be seen."""
    then = _verdict_text(transcript.verdict, transcript.reason, transcript.evidence, style)
    line = f"{transcript.protocol} {safe(transcript.address)} then {then} now "
    line += _verdict_text(now.outcome, now.reason, now.evidence, style)
    notes = ["secrets are masked"] if transcript.masked else []
    if cut := _cut_bytes(transcript):
        notes.append(f"{cut} bytes were not kept")
    return f"{line} ({', '.join(notes)})" if notes else line


def _verdict_text(outcome: Outcome, reason: Reason, evidence: str, style: Style) -> str:
    quoted = f' "{safe(evidence)}"' if evidence else ""
    return f"{style.paint(VERDICT_COLOURS[outcome], outcome)} {reason}{quoted}"


def _cut_bytes(transcript: Transcript) -> int:
    return sum(piece.cut_bytes for piece in transcript.pieces)
