"""Secrets kept out of what is shown: the request headers that hold them, and their echo in what the peer says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import AnyStr

from bindings.model import Secret
from probe.monitor.escapes import escape
from probe.values import EVIDENCE_CHARS_MAX

MASKED = "***"
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie"})  # however the store holds them
ECHO_BYTES_MIN = 4  # a shorter value is looked for in its header only: it would be found everywhere
_DOTS = "..."  # of `evidence_of`


class Mask:
    """The secrets of one binding's request; never printed, also not by `repr`.

    An echo is found as the whole value and, for `SCHEME CREDENTIALS`, as the credentials; it is replaced by as many
    asterisks, so that the framing of what came still holds.
    """

    __slots__ = ("_echoes", "_header")

    def __init__(self, names: Iterable[str], values: Iterable[str]) -> None:
        escaped = "|".join(re.escape(name) for name in names)
        self._header = re.compile(rf"(?im)^((?:{escaped}):[ \t]*)[^\r\n]*".encode())
        raw = [value.strip().encode("utf-8", "surrogateescape") for value in values]
        echoes = {part for value in raw for part in (value, value.partition(b" ")[2].strip())}
        self._echoes = sorted((echo for echo in echoes if len(echo) >= ECHO_BYTES_MIN), key=len, reverse=True)

    def __repr__(self) -> str:
        return "<Mask>"

    def sent(self, data: bytes) -> bytes:
        """Put `***` in the place of the values of secret headers."""
        return self._header.sub(rb"\1" + MASKED.encode(), data)

    def received(self, data: bytes, *, cut: bool = False) -> bytes:
        """Cover every echo; where the text was `cut`, also the beginning of one at its end."""
        for echo in self._echoes:
            data = data.replace(echo, b"*" * len(echo))
        if cut:
            for echo in self._echoes:
                begun = _begun(data, echo)
                data = data[: len(data) - begun] + b"*" * begun
        return data

    def evidence(self, text: str) -> str:
        """Cover every echo in evidence: bounded text, escaped, with dots where it was cut."""
        for echo in map(escape, self._echoes):
            text = text.replace(echo, "*" * len(echo))
        if len(text) == EVIDENCE_CHARS_MAX and text.endswith(_DOTS):
            shown = text.removesuffix(_DOTS)
            for echo in map(escape, self._echoes):
                begun = _begun(shown, echo)
                shown = shown[: len(shown) - begun] + "*" * begun
            text = shown + _DOTS
        return text


def _begun(text: AnyStr, echo: AnyStr) -> int:
    """Say how much of an echo the text ends with."""
    return next((size for size in range(len(echo) - 1, 0, -1) if text.endswith(echo[:size])), 0)


def is_secret(name: str, value: str | Secret) -> bool:
    """Say whether a header's value must not be shown."""
    return isinstance(value, Secret) or name.lower() in CREDENTIALS


def mask_of(headers: Iterable[tuple[str, str | Secret]], resolved: Mapping[str, str]) -> Mask | None:
    """Make the mask of a request's headers, or None when none is secret; `resolved` has what was in the files."""
    secret = [(name, value) for name, value in headers if is_secret(name, value)]
    if not secret:
        return None
    values = [value if isinstance(value, str) else resolved.get(name, "") for name, value in secret]
    return Mask((name for name, _ in secret), values)
