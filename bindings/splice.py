"""What differs between two texts of one object, if it is the value of a single name.

An edit of a large store is nearly always of one virtual server. The texts are compared as bytes; where all that differs
lies within one value, the others need not be decoded again.
"""

from __future__ import annotations

import msgspec

from bindings.syntax import Pieces


def changed_piece(old: bytes, pieces: Pieces, new: bytes) -> tuple[str, msgspec.Raw] | None:
    """Name the one piece of the object `old` that is another in `new`, and its new text.

    Both are sound JSON objects; `pieces` is the first one decoded, all of its values objects, no name with a colon in
    it. None where more than one value differs, or the names, or nothing.
    """
    begin = _alike(old, new)
    limit = min(len(old), len(new)) - begin
    end = len(old) - _alike_at_the_end(old, new, limit)
    at = 0
    for name, piece in pieces.items():
        text = bytes(piece)
        start = old.find(b"{", old.find(b":", at))
        at = start + len(text)
        if at <= begin:
            continue
        if start > begin or end > at or old[start:at] != text:
            return None
        changed = new[start : at + len(new) - len(old)]
        return (name, msgspec.Raw(changed)) if _is_one_object(changed) else None
    return None


def _alike(one: bytes, other: bytes) -> int:
    """Count the bytes with which both begin."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _alike_at_the_end(one: bytes, other: bytes, limit: int) -> int:
    """Count the bytes with which both end, `limit` of them at most. No copy is turned round: that takes its time."""
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        if one[len(one) - middle : len(one) - low] == other[len(other) - middle : len(other) - low]:
            low = middle
        else:
            high = middle - 1
    return low


def _is_one_object(text: bytes) -> bool:
    try:
        msgspec.json.decode(text, type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return text[:1] == b"{"
