"""What the command line prints: text made safe for a terminal, colour only where it is wanted, JSON by the line."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO
from unicodedata import combining, east_asian_width

_COLOURS = {"green": "32", "yellow": "33", "red": "31", "dim": "2"}
_ESCAPES = re.compile(r"(\x1b\[[0-9;]*m)")
TEXT_CHARS_MAX = 2000  # of one value that came from outside


def safe(text: object) -> str:
    """Escape what could move a terminal's cursor, reorder its text or forge a line; bounded."""
    value = str(text)[: TEXT_CHARS_MAX + 1]
    if not value.isprintable():
        value = "".join(char if char.isprintable() else escape(char) for char in value)
    return value if len(value) <= TEXT_CHARS_MAX else value[: TEXT_CHARS_MAX - 3] + "..."


def escape(char: str) -> str:
    """Write one character as the escape that JSON and Python share where they can: `\\n`, `\\x1b`, `\\u202e`."""
    return char.encode("unicode_escape").decode("ascii")


def print_json(value: object, stream: TextIO | None = None) -> None:
    """Print one JSON document on one line; what is not ASCII is escaped, so that the line is safe anywhere."""
    print(json.dumps(value, ensure_ascii=True, separators=(", ", ": ")), file=stream)


def complain(prog: str, message: str) -> None:
    """Print one error on stderr as `looksalive COMMAND: MESSAGE`."""
    print(f"looksalive {prog}: {safe(message)}", file=sys.stderr)


class Style:
    """How to write on one stream: with colour on a terminal that wants it, with shapes it can encode."""

    def __init__(self, stream: TextIO, variables: Mapping[str, str] = os.environ, *, colour: str = "auto") -> None:
        """Settle it; `colour` is what `--color` said: auto, always or never."""
        wanted = not variables.get("NO_COLOR") and variables.get("TERM") != "dumb"
        self.colour = colour == "always" or (colour == "auto" and wanted and stream.isatty())
        self.unicode = (stream.encoding or "ascii").lower().replace("-", "") == "utf8"

    def paint(self, colour: str, text: str) -> str:
        """Wrap in the colour's escapes, or leave as it is; the meaning never rests on colour alone."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.colour and colour in _COLOURS else text


def clip(line: str, columns: int) -> str:
    """Cut a painted line to so many columns of a terminal; escapes take none, and colour ends with the line."""
    kept: list[str] = []
    room = columns
    for piece in _ESCAPES.split(line):
        if piece.startswith("\x1b"):
            kept.append(piece)
            continue
        for char in piece:
            room -= 2 if east_asian_width(char) in "WF" else 0 if combining(char) else 1
            if room < 0:
                return "".join(kept) + ("\x1b[0m" if "\x1b" in line else "")
            kept.append(char)
    return "".join(kept)


def duration_text(seconds: float) -> str:
    """Say a duration as people do: `0.21 ms`, `34 ms`, `4.1 s`, `12 min`, `3 h`, `2 d`."""
    if seconds < 0.01:
        return f"{seconds * 1000:.2g} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    for unit, size in (("d", 86400), ("h", 3600)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 60:.0f} min"


def plural(count: int, noun: str) -> str:
    """Say a count with its noun: `1 group`, `2 groups`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def resource_objects(status: Any) -> list[dict[str, Any]]:
    """Take the resource objects out of the status document, whatever else is in it."""
    resources = status.get("resources", []) if isinstance(status, dict) else []
    return [resource for resource in resources if isinstance(resource, dict) and isinstance(resource.get("id"), str)]
