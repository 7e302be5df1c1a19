"""Read what people write for a time in the past: `30d`, `12h`, `2026-03-01`, `2026-03-01T12:00:00Z`, or seconds."""

from __future__ import annotations

import math
import re
from datetime import datetime

SPAN_S_MAX = 10 * 366 * 86_400.0
_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0}
_SPAN = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_SECONDS = re.compile(r"\d{1,12}(\.\d{1,9})?", re.ASCII)
_ISO_CHARS_MAX = 40


def read_since(text: str, now: float) -> float:
    """Return seconds since the epoch; a date or time without a zone is local. Raises ValueError with the mend."""
    if (span := _SPAN.fullmatch(text)) is not None:
        since = now - int(span[1]) * _UNITS_S[span[2]]
    elif _SECONDS.fullmatch(text):
        since = float(text)
    else:
        try:
            since = datetime.fromisoformat(text[:_ISO_CHARS_MAX]).astimezone().timestamp()
        except (ValueError, OverflowError):
            raise ValueError(f"{text!r:.60} is no time; write 30d, 12h, 90m, 2026-03-01 or 2026-03-01T12:00Z") from None
    if not (math.isfinite(since) and now - SPAN_S_MAX <= since < now):
        raise ValueError(f"{text!r:.60} is not in the last ten years; write 30d, 12h, 90m or a date that is past")
    return since
