"""Which resources ask which address and port: what a listener's death concerns, found without a look at the others.

A plan is entered and taken out whole, at a cost of its own bindings only. What is not known before a name is looked up
is kept by its port; the addresses of the last probe then decide.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from typing import TypeVar

from probe.environment import Gone
from probe.monitor.plan import ProbePlan
from probe.monitor.target import Result, Target
from probe.values import ResourceId

Place = tuple[str, int]  # a numeric address in its shortest form, and a port

ANY_4, ANY_6 = "0.0.0.0", "::"  # noqa: S104 - what the kernel calls a wildcard listener, nothing is bound to it

_Ids = dict[ResourceId, None]  # used as an ordered set
_Key = TypeVar("_Key")


class Places:
    """The table. One place is nearly always one resource's, so a single id is kept without a set around it."""

    __slots__ = ("_at", "_named", "_on_port")

    def __init__(self) -> None:
        self._at: dict[Place, ResourceId | _Ids] = {}
        self._on_port: dict[int, _Ids] = {}  # those with a numeric address
        self._named: dict[int, _Ids] = {}

    def __repr__(self) -> str:
        return f"<Places {len(self._at)} on {len(self._on_port)} ports, names on {len(self._named)} ports>"

    def add(self, plan: ProbePlan) -> None:
        """Enter what the plan asks. Idempotent."""
        for target in plan.targets:
            if target.name is not None:
                self._named.setdefault(target.name.port, {})[plan.id] = None
            elif (place := place_of(target)) is not None:
                _enter(self._at, place, plan.id)
                self._on_port.setdefault(place[1], {})[plan.id] = None

    def remove(self, plan: ProbePlan) -> None:
        """Take out what the plan asks. Idempotent."""
        for target in plan.targets:
            if target.name is not None:
                _drop(self._named, target.name.port, plan.id)
            elif (place := place_of(target)) is not None:
                _drop(self._at, place, plan.id)
                _drop(self._on_port, place[1], plan.id)

    def at(self, place: Place) -> tuple[ResourceId, ...]:
        """Return who asks that very place."""
        found = self._at.get(place, {})
        return tuple(found) if isinstance(found, dict) else (found,)

    def candidates(self, gone: Gone) -> tuple[ResourceId, ...]:
        """Return whom the death may concern beside those `at` the place: `concerns` decides on each."""
        named = self._named.get(gone.port, {})
        if gone.address in (ANY_4, ANY_6):
            return (*self._on_port.get(gone.port, {}), *named)
        return tuple(named)


def place_of(target: Target) -> Place | None:
    """Return where a target is; None for a unix socket, a name, or one that cannot be asked at all."""
    address = target.address
    if not isinstance(address, tuple) or target.obstacle is not None:
        return None
    text, port = address[0], address[1]
    if ":" not in text:
        return address  # the very same, which costs nothing to keep
    six = ipaddress.IPv6Address(text.partition("%")[0])
    return (str(six.ipv4_mapped or six), port)


def places_asked(plan: ProbePlan, last: Result | None) -> Iterator[Place]:
    """Give every place that the plan asks; of its names, those that the last probe found."""
    targets = list(plan.targets)
    if last is not None and any(target.name is not None for target in targets):
        targets += [part.target for part in last.each]
    for target in targets:
        if (place := place_of(target)) is not None:
            yield place


def concerns(gone: Gone, place: Place, is_local: Callable[[str], bool]) -> bool:
    """Whether what listened at `gone` may have been what answers at `place`."""
    address, port = place
    if port != gone.port:
        return False
    if gone.address in (ANY_4, ANY_6):
        return (gone.address == ANY_6 or ":" not in address) and is_local(address)
    return address == gone.address


def _enter(table: dict[_Key, ResourceId | _Ids], key: _Key, id: ResourceId) -> None:
    known = table.get(key)
    if known is None:
        table[key] = id
    elif isinstance(known, dict):
        known[id] = None
    elif known != id:
        table[key] = {known: None, id: None}


def _drop(table: dict[_Key, ResourceId | _Ids] | dict[_Key, _Ids], key: _Key, id: ResourceId) -> None:
    known = table.get(key)
    if isinstance(known, dict):
        known.pop(id, None)
        if not known:
            del table[key]
    elif known == id:
        del table[key]
