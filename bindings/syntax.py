"""JSON as text: decoding it in two passes, saying where it breaks, and finding names that are given twice.

A large store is decoded into pieces of raw text first, one a key; only pieces that changed are decoded further.
msgspec keeps the last of two equal names, so the pieces kept are counted against the text.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import msgspec

from bindings.mistakes import Mistakes, Steps, shown

DEPTH_COUNTED = 64

_NAME_END = b'":'  # ends every name of an object in customary JSON; inside a string its quote would be escaped
_AT_BYTE = re.compile(r" \(byte (\d+)\)$")
_PIECES = msgspec.json.Decoder(dict[str, msgspec.Raw])
_VALUE = msgspec.json.Decoder()

Pieces = dict[str, msgspec.Raw]


def decode_text(data: bytes, mistakes: Mistakes) -> Pieces | None:
    """Decode a whole file into its top-level pieces, or note why it is no JSON object and return None."""
    try:
        str(data, "utf-8")  # raw pieces are skipped over, not decoded: bad bytes in them would show up late
        return _PIECES.decode(data)
    except msgspec.ValidationError:
        mistakes.add("the file must hold one JSON object: { ... }")
    except UnicodeDecodeError as error:
        mistakes.add_syntax(f"byte 0x{data[error.start]:02x} is not UTF-8", *_place_at(data, error.start))
    except RecursionError:
        mistakes.add("the file is nested too deeply")
    except msgspec.DecodeError as error:
        _explain(data, str(error), mistakes)
    return None


def decode_pieces(raw: msgspec.Raw, what: str, mistakes: Mistakes, *steps: str) -> Pieces | None:
    """Decode one piece into its own pieces, or note that it is no object and return None."""
    try:
        return _PIECES.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        mistakes.add(f"must be an object: {what}", *steps)
    return None


def decode_value(raw: msgspec.Raw, mistakes: Mistakes, *steps: str) -> object:
    """Decode one piece whole; what JSON's grammar allows and nobody can hold is noted and becomes None."""
    try:
        return _VALUE.decode(raw)
    except RecursionError:
        mistakes.add("is nested too deeply", *steps)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        mistakes.add(f"cannot be read: {_AT_BYTE.sub('', str(error)).partition(' - at ')[0]}", *steps)
    return None


def names_written(text: bytes | msgspec.Raw) -> int:
    """Count the names of all objects in a text. Exact where each is followed by its colon at once, as is customary.

    Anything else makes the count differ from what was decoded, and then `note_duplicates` looks closely.
    """
    return bytes(text).count(_NAME_END)


def names_in(value: object, depth: int = 0) -> int:
    """Count the names of all objects within a decoded value, as deep as a sound store goes."""
    count = 0
    if isinstance(value, dict):
        count = len(value)
        value = value.values()
    for inner in value if depth < DEPTH_COUNTED else ():  # type: ignore[attr-defined] # only objects and lists get here
        if inner.__class__ is dict or inner.__class__ is list:
            count += names_in(inner, depth + 1)
    return count


def note_duplicates(data: bytes, mistakes: Mistakes, depth: int) -> None:
    """Note every name that an object gives twice, exactly; slow, so asked only when the counts differ.

    The first `depth` steps name the part that a mistake is in, as `keys, /smtp/1` or `groups, evs1, resources, smtp`.
    """
    twice: dict[int, list[str]] = {}  # by id of the object; all of them stay alive in `top` or `lost`
    lost: list[object] = []

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        content = dict(pairs)
        if len(content) != len(pairs):
            twice[id(content)] = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]
            lost.append(content)
            lost.extend(value for _, value in pairs)
        return content

    try:
        top = json.loads(data, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return  # said already, by whoever decoded it
    rest: list[tuple[Steps, object]] = [((), top)] if twice else []
    while rest:
        steps, value = rest.pop()
        if isinstance(value, dict):
            for name in twice.get(id(value), ()):
                at = (*steps, name)
                mistakes.enter(at[:depth], "/".join(str(step) for step in at[1:depth:2]))
                mistakes.add(f"{shown(name)} is given twice", *at[depth:])
            rest.extend(((*steps, name), inner) for name, inner in reversed(value.items()))
        elif isinstance(value, list):
            rest.extend(((*steps, index), inner) for index, inner in enumerate(value))


def _explain(data: bytes, fallback: str, mistakes: Mistakes) -> None:
    """Say where the text breaks; the standard library's words are better, msgspec's are always there."""
    if not data.strip():
        mistakes.add("the file is empty")
        return
    try:
        json.loads(str(data, "utf-8"))
    except json.JSONDecodeError as error:
        mistakes.add_syntax(f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}", error.lineno, error.colno)
        return
    except (ValueError, RecursionError):
        pass  # refused for its size; msgspec has said where
    where = _AT_BYTE.search(fallback)
    at = _place_at(data, int(where[1]) if where else len(data))
    mistakes.add_syntax(f"not JSON: {_AT_BYTE.sub('', fallback)}", *at)


def _place_at(data: bytes, offset: int) -> tuple[int, int]:
    """Turn a byte offset into a line and a column, both counted from 1."""
    before = data[:offset]
    line_start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[line_start:].decode("utf-8", "replace")) + 1
