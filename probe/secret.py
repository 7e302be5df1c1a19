"""A secret that cannot be printed by mistake: it shows itself only to whoever calls `reveal`."""

from __future__ import annotations

import hmac
from typing import Generic, NoReturn, TypeVar

MASK = "********"

Text = TypeVar("Text", str, bytes)


class Secret(Generic[Text]):
    """A token, password or key. Every way to write it gives the mask, or is refused; it equals no text."""

    __slots__ = ("_text",)

    def __init__(self, text: Text) -> None:
        self._text: Text = text

    def reveal(self) -> Text:
        """Give the text itself, to be used at once and kept nowhere."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        """Compare with another secret; how long that takes tells nothing."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    __hash__ = None  # type: ignore[assignment] # no key of a table, which would be shown with it

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def __copy__(self) -> Secret[Text]:
        return self

    def __deepcopy__(self, memo: object) -> Secret[Text]:
        return self


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
