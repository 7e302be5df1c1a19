"""Logs on stderr: one JSON object a line for machines, one readable line for people; nothing from outside unescaped.

A message is a sentence; what belongs to it goes into `extra={"fields": {"id": …, "from": …, "to": …}}`.
"""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

from probe.cli.output import safe

FIELDS_MAX = 32
LIST_ITEMS_MAX = 100
MESSAGE_CHARS_MAX = 4000
TRACE_CHARS_MAX = 20_000

Plain = str | int | float | bool | None | list["Plain"]


def configure(log_format: str, level: str, stream: TextIO | None = None) -> None:
    """Send every logger's records to `stream` (stderr) in the format `json` or `text`; replaces an earlier set-up."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


class JsonFormatter(logging.Formatter):
    """One object a line: time (RFC 3339, UTC, milliseconds), level, logger, message, then the record's own fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Plain] = {
            "time": _time_text(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        for name, value in _fields(record).items():
            line.setdefault(name, value)  # a field never replaces one of the four above
        trace = _trace(self, record)
        if trace:
            line["exception"] = trace
        return json.dumps(line, ensure_ascii=True)


class TextFormatter(logging.Formatter):
    """One line: time, level, the sentence, then the fields as `name=value`; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={_field_text(value)}" for name, value in _fields(record).items())
        line = f"{_time_text(record)} {record.levelname.lower():<7} {safe(_message(record))}{fields}"
        trace = _trace(self, record)
        if trace:
            line += "".join(f"\n    {safe(part)}" for part in trace.splitlines())
        return line


def _time_text(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(record: logging.LogRecord) -> str:
    return record.getMessage()[:MESSAGE_CHARS_MAX]


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    if not record.exc_info:
        return ""
    return formatter.formatException(record.exc_info)[-TRACE_CHARS_MAX:]  # the end names the error


def _fields(record: logging.LogRecord) -> dict[str, Plain]:
    fields = getattr(record, "fields", None)
    if not isinstance(fields, Mapping):
        return {}
    return {safe(name): plain(value) for name, value in list(fields.items())[:FIELDS_MAX]}


def plain(value: object) -> Plain:
    """Reduce a value to what JSON has: an enum or an id to its text, a tuple to a list, a NaN to its name."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if type(value) in (list, tuple) or isinstance(value, set | frozenset):  # not a ResourceId: that one is a text
        items = sorted(value, key=str) if isinstance(value, set | frozenset) else value
        return [plain(item) for item in list(items)[:LIST_ITEMS_MAX]]  # type: ignore[call-overload]  # list or tuple
    return str(value)[:MESSAGE_CHARS_MAX]


def _field_text(value: Plain) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = safe(text)
    return json.dumps(text, ensure_ascii=False) if not text or any(c in text for c in ' "=') else text
