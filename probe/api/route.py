"""What a route is: enough to serve it, to guard it and to describe it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from probe.api.replies import JSON
from probe.api.tokens import Role

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Query:
    """An optional parameter of the query string; `values` closes a string."""

    name: str
    about: str
    whole_number: bool = False
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked. `role` None means that reading is open."""

    method: str
    path: str
    handle: Handle
    summary: str
    shape: type | None = None  # of the JSON that is answered; None for another medium or no shape of ours
    media: tuple[str, ...] = (JSON,)
    code: int = 200
    also: tuple[int, ...] = ()  # further codes that carry the same shape
    empty: tuple[int, ...] = ()  # further codes without a body
    errors: tuple[int, ...] = ()  # codes that carry an error; 421 is everybody's
    query: tuple[Query, ...] = ()
    role: Role | None = None
    body: type | None = None
    essential: bool = False  # answered also when there are too many connections: a kubelet's, and the scrape
