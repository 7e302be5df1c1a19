"""Events, decisions and whole worlds as JSON and back: what a journal keeps, so that a replay can step them again.

1. Nothing here lists a field: dataclasses are written field by field, and a member of the unions `Event` and `Action`
   carries its class name. A new event, action or field needs no edit; a table of the world is one that a decision has.
2. The same value is always the same bytes (sets are sorted), so that two decisions are compared by their bytes.
3. Large values come in pieces, none of which takes long to make: the world of 100,000 resources is written by a thread
   whose every call is short, since the interpreter belongs to the event loop.
4. What is read was written by anybody. Decoding is strict: a wrong type, an unknown name and a field that nobody knows
   (of a later version) are errors that say where. A field that is missing has its default, as an earlier version had.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from functools import cache
from hashlib import blake2b
from itertools import islice
from types import NoneType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from probe.lifecycle.actions import Action
from probe.lifecycle.events import Event
from probe.lifecycle.world import Decision, Transition, World

DOCUMENT_BYTES_MAX = 256 * 1024 * 1024  # one event; a store of 100,000 resources is about 60 MB
PIECE_ROWS = 100
DIGEST_BYTES = 12
SHOWN_CHARS = 200

_encode = msgspec.json.Encoder(order="deterministic").encode
_TAGGED: dict[str, dict[str, type[Any]]] = {
    "event": {kind.__name__: kind for kind in get_args(Event)},
    "action": {kind.__name__: kind for kind in get_args(Action)},
}
_NAMES = {name: tuple(field.name for field in fields(kind)) for some in _TAGGED.values() for name, kind in some.items()}
_TOLD = ("actions", "transitions", "answer")  # of a decision: compared as they are, the rest by its digest
_DIGESTED = tuple(field.name for field in fields(Decision) if field.name not in _TOLD)
_NOTHING = {dict: b"[]", list: b"[]", tuple: b"[]", bool: b"false", NoneType: b"null"}  # how what is empty is written
_LATER = frozenset({"joined"})  # came with a later version: where empty they are no part of a digest, as before it


class Undecodable(ValueError):
    """Bytes that are not what they should be, or of a later version; the text says what and where."""


# --- events and what was decided on them ---


def event_pieces(event: Event) -> Iterator[bytes]:
    """Write an event: `["Probed", {"id": ["evs1", "smtp"], ...}]`."""
    short = _short(event)
    if short is not None:
        yield short
    else:
        yield from _tagged_pieces(event)


def decode_event(raw: bytes) -> Event:
    """Read an event. Raises Undecodable."""
    event: Event = _decode_tagged("event", raw)
    return event


def action_pieces(actions: Iterable[Action]) -> Iterator[bytes]:
    """Write the actions of a decision, in order."""
    rows = iter(actions)
    begun = b"["
    while some := list(islice(rows, PIECE_ROWS)):
        yield begun + b",".join(_short(action) or b"".join(_tagged_pieces(action)) for action in some)
        begun = b","
    yield b"[]" if begun == b"[" else b"]"


def decode_actions(raw: bytes) -> list[Action]:
    """Read the actions of a decision. Raises Undecodable."""
    return [_decode_tagged("action", bytes(each)) for each in _decode(raw, list[msgspec.Raw], "the actions")]


def transition_pieces(transitions: list[Transition]) -> Iterator[bytes]:
    """Write the changes of state of a decision, in order."""
    yield from _list_pieces(transitions)


def decode_transitions(raw: bytes) -> list[Transition]:
    """Read the changes of state of a decision. Raises Undecodable."""
    transitions: list[Transition] = _decode_whole(raw, list[Transition], "the transitions")
    return transitions


def encode_answer(decision: Decision) -> bytes:
    """Write what an operator is answered: the operation's number, a refusal, or null."""
    return _encode(decision.answer)


def digest(decision: Decision) -> str:
    """Sum up the rest of a decision (records, tables, wishes) in a few hexadecimal digits."""
    summary = blake2b(digest_size=DIGEST_BYTES)
    begun = b""
    for name in _DIGESTED:
        value = getattr(decision, name)
        if value:
            for piece in _value_pieces(value):
                summary.update(begun + piece)
                begun = b""
        elif name not in _LATER:  # most are empty in most decisions
            begun += _NOTHING.get(type(value)) or _encode(value)
    summary.update(begun)
    return summary.hexdigest()


# --- worlds ---


def snapshot(world: World) -> Decision:
    """Copy the tables of a world, cheaply: the records are shared, for nobody changes one."""
    return Decision(**{name: _copy(getattr(world, name)) for name in _world_names()})


def world_of(taken: Decision) -> World:
    """Make a world of its own from a snapshot: the fork on which a plan is tried, or where a replay begins."""
    world = World()
    world.apply(taken)
    return world


def world_pieces(taken: Decision) -> Iterator[bytes]:
    """Write a snapshot, piece by piece: `["records", [[id, record], ...]]`, or `["next_op", 17]`."""
    for name in _world_names():
        value = getattr(taken, name)
        head = b'["%s",' % name.encode()
        if not isinstance(value, dict):
            yield head + b"".join(_value_pieces(value)) + b"]"
            continue
        rows = iter(value.items())
        while piece := list(islice(rows, PIECE_ROWS)):
            yield head + _encode(piece) + b"]"


def decode_world(pieces: Iterable[bytes]) -> World:
    """Read a world. Raises Undecodable."""
    hints = _decision_hints()
    values: dict[str, Any] = {}
    for raw in pieces:
        name, body = _decode(raw, tuple[str, msgspec.Raw], "a piece of the world")
        if name not in _world_names():
            raise Undecodable(f"a world has no {name[:SHOWN_CHARS]!r} here; it was written by another version")
        hint = hints[name]
        if get_origin(hint) is dict:
            rows = _decode_whole(bytes(body), list[tuple[get_args(hint)]], name)  # type: ignore[misc] # made at run time
            values.setdefault(name, {}).update(rows)
        else:
            values[name] = _decode_whole(bytes(body), hint, name)
    return world_of(Decision(**values))


@cache
def _decision_hints() -> dict[str, Any]:
    return get_type_hints(Decision)


@cache
def _world_names() -> tuple[str, ...]:
    """Name what a world is made of: whatever decisions write into it. The rest of it (the heap) follows from that."""
    there = vars(World())
    return tuple(field.name for field in fields(Decision) if field.name in there)


def _copy(value: Any) -> Any:
    return dict(value) if isinstance(value, dict) else value


# --- pieces ---


def _short(value: Event | Action) -> bytes | None:
    """Write an event or action as `_tagged_pieces` does, in one go; None where that would take long."""
    kind = type(value).__name__
    for name in _NAMES[kind]:
        inner = getattr(value, name)
        if inner.__class__ is dict or (inner.__class__ in (tuple, list) and len(inner) > PIECE_ROWS):
            return None
    return b'["%s",%b]' % (kind.encode(), _encode(value))


def _tagged_pieces(value: object) -> Iterator[bytes]:
    yield b'["%s",{' % type(value).__name__.encode()
    comma = b""
    for field in fields(value):  # type: ignore[arg-type] # members of the unions are dataclasses
        yield comma + b'"%s":' % field.name.encode()
        yield from _value_pieces(getattr(value, field.name))
        comma = b","
    yield b"}]"


def _value_pieces(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict) and len(value) <= PIECE_ROWS:
        yield _encode(list(value.items()))
    elif isinstance(value, dict):
        yield from _list_pieces(list(value.items()))
    elif isinstance(value, tuple | list) and len(value) > PIECE_ROWS:
        yield from _list_pieces(value)
    else:
        yield _encode(value)


def _list_pieces(rows: tuple[Any, ...] | list[Any]) -> Iterator[bytes]:
    yield b"["
    for start in range(0, len(rows), PIECE_ROWS):
        piece = _encode(rows[start : start + PIECE_ROWS])
        yield (b"," if start else b"") + piece[1:-1]
    yield b"]"


# --- strict decoding ---


def _decode_tagged(what: str, raw: bytes) -> Any:
    name, body = _decode(raw, tuple[str, msgspec.Raw], f"the {what}")
    kind = _TAGGED[what].get(name)
    if kind is None:
        raise Undecodable(f"there is no {what} {name[:SHOWN_CHARS]!r} here; it was written by another version")
    return _decode_whole(bytes(body), kind, name)


def _decode(raw: bytes, kind: Any, what: str) -> Any:
    if len(raw) > DOCUMENT_BYTES_MAX:
        raise Undecodable(f"{what}: {len(raw)} bytes, more than {DOCUMENT_BYTES_MAX}")
    try:
        return _decoder(kind).decode(raw)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"{what}: {str(error)[:SHOWN_CHARS]}") from None


def _decode_whole(raw: bytes, kind: Any, what: str) -> Any:
    """Decode and take care that nothing was passed over: a field that we do not know could have mattered."""
    value = _decode(raw, kind, what)
    again = _encode(value)
    if again != raw:
        place = _excess(_decode(raw, Any, what), msgspec.json.decode(again), what)
        if place is not None:
            raise Undecodable(f"{place[:SHOWN_CHARS]} is not known here; it was written by another version")
    return value


def _excess(written: Any, known: Any, place: str) -> str | None:
    """Find the first field that decoding has passed over."""
    pairs: Iterable[tuple[Any, Any, str]] = ()
    if isinstance(written, dict) and isinstance(known, dict):
        unknown = next((name for name in written if name not in known), None)
        if unknown is not None:
            return f"{place}.{unknown}"
        pairs = ((written[name], known[name], f"{place}.{name}") for name in written)
    elif isinstance(written, list) and isinstance(known, list):
        pairs = ((one, two, f"{place}[{at}]") for at, (one, two) in enumerate(zip(written, known, strict=False)))
    return next((found for one, two, where in pairs if (found := _excess(one, two, where)) is not None), None)


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)
