"""The picture as a table of plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Generator
from itertools import islice

from probe.api.service import Service
from probe.lifecycle.report import ResourceReport

ROWS_PER_SLICE = 500
COLUMN_CHARS_MAX = 60

_HEAD = ("RESOURCE", "STATE", "ALIVE", "REASON", "AGE", "ROOT CAUSE", "RESTARTS", "EVIDENCE")


def table(service: Service) -> Generator[bytes, None, None]:
    """Write the table in slices; the first one decides how wide the columns are."""
    yield f"looksalive on {_printable(service.node)}, revision {service.revision}\n\n".encode()
    reports = service.resources()
    rows = [_HEAD, *map(_row, islice(reports, ROWS_PER_SLICE))]
    widths = [min(COLUMN_CHARS_MAX, max(map(len, column))) for column in zip(*rows, strict=True)]
    while rows:
        yield "".join(_line(row, widths) for row in rows).encode()
        rows = [*map(_row, islice(reports, ROWS_PER_SLICE))]


def _row(report: ResourceReport) -> tuple[str, ...]:
    cells = (
        str(report.id),
        str(report.state),
        "yes" if report.alive else "no",
        f"{report.reason} (stale)" if report.stale else str(report.reason),
        "-" if report.age_s is None else f"{report.age_s:.1f} s",
        str(report.root_cause or "-"),
        str(report.restarts),
        report.evidence,
    )
    return tuple(map(_printable, cells))


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    *cells, last = row
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
    return "  ".join((*padded, last)).rstrip() + "\n"


def _printable(text: str) -> str:
    """Keep a terminal safe: a control character or a direction mark in a name or a banner becomes a question mark."""
    return "".join(character if character.isprintable() else "?" for character in text)
