"""Labels as text, in the one place that escapes them (Prometheus text format 0.0.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[\w./:@ -]*", re.ASCII).fullmatch  # what most values are made of
_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})
_HELP_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n"})


def escape(value: str) -> str:
    """Escape a label value; what cannot be written as UTF-8 (a lone surrogate) becomes a question mark."""
    if _PLAIN(value):
        return value
    text = value.translate(_ESCAPES)
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def escape_help(text: str) -> str:
    """Escape the text of a HELP line."""
    return text.translate(_HELP_ESCAPES)


def label_text(names: Iterable[str], values: Iterable[str]) -> str:
    """Write `name="value"` pairs with commas, without the braces."""
    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))
